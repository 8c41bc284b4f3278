"""Asking for the end of an organisation, taking it back, and what the purge knows of."""

from datetime import timedelta

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from apps.core.errors import Conflict, Invalid
from apps.core.scope import tenant_scope
from apps.tenants.audit.models import AuditEntry
from apps.tenants.models import Cell, Deletion, Membership, Tenant, User
from apps.tenants.privacy import erasing
from apps.tenants.privacy.deletion import GRACE, deletion_ask, deletion_mail, deletion_take_back, deletions_sweep
from apps.tenants.privacy.holdings import When, elsewhere, holdings
from apps.tenants.services import membership_put, tenant_suspend
from ratelimiter.events.bus import TOPIC
from ratelimiter.events.topics import DEAD, TOPICS
from tests.database import as_owner, owner_connection
from tests.factories import PASSWORD, colleague_make, notices_fill, override_make, rule_make
from tests.people import Browser

NOW = timezone.now()


def ask(member, **changed):
    values = {"tenant_id": member.tenant_id, "name": "Alice", "user_id": member.user_id, "password": PASSWORD}
    return deletion_ask(**values | {"now": NOW} | changed)


def purge(asked, now=None):
    with as_owner():
        return erasing.purge(deletion_id=asked.id, now=now or asked.due_at)


def declared():
    return {holding.table for holding in holdings()}


def carrying():
    """Every table of the database with a tenant in it, as the deletion names it."""
    with owner_connection() as owner:
        rows = owner.execute(
            "SELECT DISTINCT CASE WHEN n.nspname LIKE 'cell\\_%' THEN 'cell' ELSE n.nspname END || '.' || c.relname"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('tenant_id', 'tenant') AND NOT attisdropped"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%'"
        ).fetchall()
    return {name for (name,) in rows}


def referring():
    """Tables that refer to tenants under whatever name."""
    with owner_connection() as owner:
        rows = owner.execute(
            "SELECT n.nspname || '.' || c.relname FROM pg_constraint r JOIN pg_class c ON c.oid = r.conrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE r.contype = 'f' AND r.confrelid = 'public.tenants_tenant'::regclass"
        ).fetchall()
    return {name for (name,) in rows}


def test_every_table_that_carries_a_tenant_is_declared(db):
    assert "analytics.event" in carrying()
    assert carrying() | referring() == declared()


def test_a_table_that_nobody_declared_is_found(db):
    with owner_connection() as owner:
        owner.execute("CREATE TABLE public.new_thing (id bigint, tenant_id bigint)")
        try:
            assert carrying() - declared() == {"public.new_thing"}
        finally:
            owner.execute("DROP TABLE public.new_thing")


def test_topics_with_events_forget_before_the_grace_is_over():
    kept = {topic.name: timedelta(days=topic.keep_days) for topic in TOPICS}
    assert max(kept[TOPIC], kept[DEAD]) < GRACE


def test_asking_suspends_and_tells_the_owners(alice, sent, django_capture_on_commit_callbacks):
    colleague_make(alice.tenant_id, "owner", "other@example.com")
    colleague_make(alice.tenant_id, "viewer", "vera@example.com")
    with django_capture_on_commit_callbacks(execute=True):
        asked = ask(alice)
    assert asked.due_at == NOW + timedelta(days=30)
    assert Tenant.objects.get(id=alice.tenant_id).suspended_at == NOW
    assert ("limits.snapshot_publish", {"tenant_id": alice.tenant_id}) in sent
    assert ("billing.deletion_follow", {"tenant_id": alice.tenant_id}) in sent
    assert deletion_mail(deletion_id=asked.id, now=NOW)
    assert not deletion_mail(deletion_id=asked.id, now=NOW)
    assert mail.outbox[-1].to == [alice.email, "other@example.com"]
    assert "Alice is deleted on" in mail.outbox[-1].subject
    assert reverse("tenants:deletion", args=[alice.slug]) in mail.outbox[-1].body


@pytest.mark.parametrize(("wrong", "field"), [({"name": "alice"}, "name"), ({"password": "no"}, "password")])
def test_asking_takes_the_name_and_the_password(alice, sent, wrong, field):
    with pytest.raises(Invalid) as refused:
        ask(alice, **wrong)
    assert list(refused.value.fields) == [field]
    assert not Deletion.objects.exists()


def test_asking_twice_is_refused(alice, sent):
    ask(alice)
    with pytest.raises(Conflict):
        ask(alice)


@pytest.mark.parametrize("before", [None, NOW - timedelta(days=3)])
def test_taken_back_all_is_as_it_was(alice, sent, before):
    if before:
        tenant_suspend(tenant_id=alice.tenant_id, at=before)
    ask(alice)
    deletion_take_back(tenant_id=alice.tenant_id, now=NOW)
    assert Tenant.objects.get(id=alice.tenant_id).suspended_at == before
    with tenant_scope(alice.tenant_id):
        assert AuditEntry.objects.latest("seq").action == "tenant.restored"
    with pytest.raises(Conflict):
        deletion_take_back(tenant_id=alice.tenant_id, now=NOW)
    ask(alice)  # and may be asked for again


def test_staff_cannot_lift_the_suspension_meanwhile(alice, sent):
    ask(alice)
    with pytest.raises(Conflict):
        tenant_suspend(tenant_id=alice.tenant_id, at=None)


def test_the_sweep_finds_what_was_not_done(alice, bob, sent, django_capture_on_commit_callbacks):
    asked, later = ask(alice), ask(bob, name="Bob", now=NOW + timedelta(days=1))
    with django_capture_on_commit_callbacks(execute=True):
        assert deletions_sweep(now=asked.due_at) == 2
    assert ("tenants.deletion_purge", {"deletion_id": asked.id}) in sent
    assert ("tenants.deletion_purge", {"deletion_id": later.id}) not in sent
    assert ("tenants.deletion_mail", {"deletion_id": later.id}) in sent


def test_the_application_cannot_purge(alice, sent):
    with pytest.raises(erasing.OwnerNeeded):
        erasing.purge(deletion_id=ask(alice).id, now=NOW + GRACE)


@pytest.mark.django_db(transaction=True)
def test_before_its_time_or_taken_back_nothing_is_purged(alice, sent, counters):
    asked = ask(alice)
    assert not purge(asked, NOW + timedelta(days=29))
    deletion_take_back(tenant_id=alice.tenant_id, now=NOW)
    assert not purge(asked)
    assert Tenant.objects.filter(id=alice.tenant_id).exists()


@pytest.mark.django_db(transaction=True)
def test_a_purge_takes_the_tenant_and_its_people_and_nobody_else(alice, bob, sent, counters):
    both = colleague_make(alice.tenant_id, "viewer", "both@example.com")
    membership_put(tenant_id=bob.tenant_id, user_id=both, role="viewer")
    staff = colleague_make(alice.tenant_id, "admin", "staff@example.com")
    User.objects.filter(id=staff).update(is_staff=True)
    for member in (alice, bob):
        override_make(member.tenant_id, rule_make(member.tenant_id, name="mine", type="user").id)
        notices_fill(member)
    browser = Browser().into(alice.email)
    seats = Cell.objects.get().tenant_count
    assert purge(ask(alice))
    assert set(User.objects.values_list("email", flat=True)) == {bob.email, "both@example.com", "staff@example.com"}
    assert list(Membership.objects.values_list("tenant_id", flat=True).distinct()) == [bob.tenant_id]
    assert Cell.objects.get().tenant_count == seats - 1
    assert browser.get("/home").status_code == 302
    assert set(rows_left(alice.tenant_id)) == {"public.tenants_deletion", "public.plans_term", "analytics.erased"}
    assert rows_left(bob.tenant_id)["cell.limits_override"] == 1
    assert Browser().into(bob.email).get(reverse("limits:rules", args=[bob.slug])).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("stage", list(When))
def test_a_crash_anywhere_is_made_good_by_the_next_run(alice, sent, counters, monkeypatch, stage):
    rule_make(alice.tenant_id)
    asked = ask(alice)
    *_, last = elsewhere(stage)
    broken = type(last)(last.what, stage, _crash)
    monkeypatch.setattr(erasing, "elsewhere", lambda when: [*elsewhere(when), *([broken] if when is stage else [])])
    with pytest.raises(ZeroDivisionError):
        purge(asked)
    assert Deletion.objects.get(id=asked.id).purged_at is None
    if stage is not When.AFTER:
        with pytest.raises(Conflict, match="has begun"):
            deletion_take_back(tenant_id=alice.tenant_id, now=NOW)
    monkeypatch.setattr(erasing, "elsewhere", elsewhere)
    assert purge(asked)
    assert not purge(asked)
    assert "cell.limits_rule" not in rows_left(alice.tenant_id)


def _crash(tenant_id):
    raise ZeroDivisionError


def rows_left(tenant_id):
    """Table → how many rows carry the tenant."""
    left = {}
    with owner_connection() as owner:
        tables = owner.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition"
        ).fetchall()
        for schema, table in tables:
            count = owner.execute(f'SELECT count(*) FROM "{schema}"."{table}" WHERE tenant_id = %s', [tenant_id])
            name = f"{'cell' if schema.startswith('cell_') else schema}.{table}"
            left[name] = left.get(name, 0) + count.fetchone()[0]
    return {name: count for name, count in left.items() if count}


def test_the_pages_ask_say_and_take_back(alices, alice, sent, as_role):
    url = reverse("tenants:deletion", args=[alice.slug])
    settings_page = reverse("tenants:settings", args=[alice.slug])
    assert url in alices.get(settings_page).content.decode()
    assert url not in as_role("admin").get(settings_page).content.decode()
    assert alices.post(url, {"name": "Bob", "password": PASSWORD}).status_code == 422
    answer = alices.post(url, {"name": "Alice", "password": PASSWORD}, follow=True)
    assert "Alice is deleted on" in answer.content.decode()
    viewer = as_role("viewer").get(reverse("analytics:overview", args=[alice.slug])).content.decode()
    assert "An owner can take it back." in viewer
    assert alices.post(reverse("tenants:restore", args=[alice.slug]), follow=True).status_code == 200
    assert "is deleted on" not in alices.get(settings_page).content.decode()
