"""Everything that an organisation has, as a file of its own."""

import json
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from apps.core.errors import Conflict, NotFound
from apps.core.scope import tenant_scope
from apps.tenants.audit.models import AuditEntry
from apps.tenants.models import Export
from apps.tenants.privacy import exporting
from apps.tenants.privacy.exporting import (
    export_ask,
    export_link,
    export_make,
    export_open,
    exports_remove,
    exports_sweep,
)
from apps.tenants.privacy.holdings import holdings
from tests.analytics.rows import Rows, ingesting
from tests.factories import colleague_make, key_make, notices_fill, override_make, rule_make
from tests.notifications.webhooks import webhook_make

NOW = timezone.now()
NASTY = '"quoted" \\n \\\\ \n\t\u2028 \x01\x02 é, "a"'


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.EXPORT_DIR = str(tmp_path / "exports")
    return tmp_path / "exports"


def made(member, now=NOW):
    asked = export_ask(tenant_id=member.tenant_id, user_id=member.user_id, now=now)
    assert export_make(export_id=asked.id, now=now)
    return Export.objects.get(id=asked.id)


def opened(folder, export):
    with ZipFile(folder / export.file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def lines(raw):
    return [json.loads(line) for line in raw.decode().split("\n") if line]


@pytest.fixture
def filled(alice, bob, sent):
    """Alice, whose every kind of thing Bob has, too."""
    with ingesting() as ingest:
        for member in (alice, bob):
            rule = rule_make(member.tenant_id, name=f"rule-of-{member.slug}", type="user")
            override_make(member.tenant_id, rule.id, values=("u_1",))
            notices_fill(member)
            webhook_make(member, f"https://hooks.{member.slug}.example/secret-path")
            key_make(member.tenant_id)
            rows = Rows(ingest, member.tenant_id)
            rows.event(NOW, f"chk_{member.slug}", user=f"caller of {member.slug} {NASTY}", ip="203.0.113.9")
            rows.everywhere(NOW, allowed=5)
        yield alice


def test_every_kind_is_there_whole_and_of_nobody_else(filled, folder, bob):
    files = opened(folder, made(filled))
    manifest = json.loads(files["manifest.json"])
    wanted = {f"{held.schema}/{held.name}.jsonl" for held in holdings() if not held.not_exported}
    assert {entry["name"] for entry in manifest["files"]} >= wanted
    for entry in manifest["files"]:
        raw = files[entry["name"]]
        assert (len(raw), sha256(raw).hexdigest()) == (entry["bytes"], entry["sha256"])
        assert len(lines(raw)) == entry["rows"]
        assert {line.get("tenant_id", filled.tenant_id) for line in lines(raw)} <= {filled.tenant_id}
    [override] = lines(files["cell/limits_override.jsonl"])
    assert override["values"] == ["u_1"]
    assert [line["id"] for line in lines(files["analytics/event.jsonl"])] == ["chk_alice"]
    assert f"caller of alice {NASTY}" in {line["value"] for line in lines(files["analytics/identifier.jsonl"])}
    assert [line["email"] for line in lines(files["people.jsonl"])] == [filled.email]
    assert lines(files["organisation.jsonl"])[0]["slug"] == "alice"
    assert b"bob" not in b"".join(files.values()).lower()


def test_secrets_are_left_out(filled, folder):
    files = opened(folder, made(filled))
    [key, *_] = lines(files["cell/apikeys_apikey.jsonl"])
    assert "digest" not in key
    assert "secret" not in lines(files["cell/notifications_channel.jsonl"])[0]
    with tenant_scope(filled.tenant_id):
        assert b"secret-path" not in b"".join(files.values()).replace(b"hooks.alice.example", b"")


def test_whoever_asked_has_a_mail_and_one_is_made_at_a_time(alice, sent, folder):
    asked = export_ask(tenant_id=alice.tenant_id, user_id=alice.user_id, now=NOW)
    with pytest.raises(Conflict):
        export_ask(tenant_id=alice.tenant_id, user_id=alice.user_id, now=NOW)
    assert export_make(export_id=asked.id, now=NOW)
    assert not export_make(export_id=asked.id, now=NOW)
    [said] = [one for one in mail.outbox if "export" in one.subject]
    assert said.to == [alice.email]
    assert reverse("tenants:exports", args=[alice.slug]) in said.body


def test_what_a_crash_left_is_made_by_the_sweep(
    alice, sent, folder, monkeypatch, django_capture_on_commit_callbacks
):  # fmt: skip
    asked = export_ask(tenant_id=alice.tenant_id, user_id=alice.user_id, now=NOW)
    whole = exporting.archive_write

    def half(*, path, **_):
        path.write_bytes(b"PK")
        raise OSError

    monkeypatch.setattr(exporting, "archive_write", half)
    with pytest.raises(OSError):
        export_make(export_id=asked.id, now=NOW)
    monkeypatch.setattr(exporting, "archive_write", whole)
    later = NOW + exporting.TRY_AGAIN
    with django_capture_on_commit_callbacks(execute=True):
        exports_sweep(now=later)
    assert ("tenants.export_make", {"export_id": asked.id}) in sent
    assert export_make(export_id=asked.id, now=later)
    assert len(list(folder.iterdir())) == 1


def test_a_link_is_for_one_person_and_ten_minutes(alice, sent, monkeypatch):
    export = made(alice)
    other = colleague_make(alice.tenant_id, "owner", "other@example.com")
    link = export_link(export_id=export.id, user_id=alice.user_id)
    ask = {"tenant_id": alice.tenant_id, "now": NOW}
    assert export_open(user_id=alice.user_id, link=link, **ask).is_file()
    with tenant_scope(alice.tenant_id):
        assert AuditEntry.objects.latest("seq").action == "export.downloaded"
    for wrong in ({"user_id": other, "link": link}, {"user_id": alice.user_id, "link": link + "x"}):
        with pytest.raises(NotFound):
            export_open(**wrong, **ask)
    monkeypatch.setattr(exporting, "LINK_S", -1)
    with pytest.raises(NotFound):
        export_open(user_id=alice.user_id, link=link, **ask)


def test_after_seven_days_and_with_the_tenant_the_file_goes(alice, bob, sent, folder):
    export, bobs = made(alice), made(bob)
    assert exports_sweep(now=NOW + timedelta(days=6)) == 0
    assert exports_sweep(now=NOW + timedelta(days=7)) == 2
    assert not list(folder.iterdir())
    assert (Export.objects.get(id=export.id).file, Export.objects.get(id=bobs.id).file) == ("", "")
    again = made(alice, NOW + timedelta(days=8))
    exports_remove(bob.tenant_id)
    assert (folder / again.file).exists()
    exports_remove(alice.tenant_id)
    assert not list(folder.iterdir())


def test_the_page_makes_and_gives_the_file(alice, alices, sent, folder, bobs):
    url = reverse("tenants:exports", args=[alice.slug])
    assert alices.post(url).status_code == 302
    assert "Being made" in alices.get(url).content.decode()
    [export] = Export.objects.all()
    export_make(export_id=export.id, now=timezone.now())
    page = alices.get(url).content.decode()
    link = page.split("download?link=")[1].split('"')[0]
    download = reverse("tenants:export_download", args=[alice.slug])
    answer = alices.get(download, {"link": link})
    raw = b"".join(answer.streaming_content)
    assert "README.txt" in ZipFile(BytesIO(raw)).namelist()
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/zip", "private, no-store")
    assert alices.get(download, {"link": "forged"}).status_code == 404
    assert bobs.get(download, {"link": link}).status_code == 404
    assert Path(folder).stat().st_mode & 0o777 == 0o700
