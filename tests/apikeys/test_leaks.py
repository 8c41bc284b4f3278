"""A signed report of leaked keys revokes them and tells their owners; anything else does nothing."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client
from structlog.testing import capture_logs

from apps.apikeys.models import ApiKey
from apps.core.scope import tenant_scope
from apps.notifications.models import Delivery, Notice
from apps.tenants.models import KeyIndex
from ratelimiter.snapshot.keyring import key_generate
from tests.factories import key_make

URL = "/secret-scanning/report"
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(autouse=True)
def scanner(settings):
    public = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    settings.SECRET_SCANNING_KEYS = {"scanner-1": base64.b64encode(public).decode()}


def report(*tokens, key_id="scanner-1", body=None, signed=None):
    body = body or json.dumps(
        [{"token": token, "type": "ratelimiter_key", "url": "https://github.com/a/b/.env"} for token in tokens]
    )
    signature = base64.b64encode(KEY.sign((signed or body).encode(), ec.ECDSA(SHA256()))).decode()
    headers = {"Github-Public-Key-Identifier": key_id, "Github-Public-Key-Signature": signature}
    return Client().post(URL, body, content_type="application/json", headers=headers)


def test_a_leaked_key_is_revoked_its_owners_are_told_and_it_is_in_no_log(alice, sent):
    issued = key_make(alice.tenant_id)
    with capture_logs() as logs:
        answer = report(issued.secret)
    assert [one["label"] for one in answer.json()] == ["true_positive"]
    assert KeyIndex.objects.get(key_id=issued.key.id).revoked_at is not None
    with tenant_scope(alice.tenant_id):
        assert ApiKey.objects.get(id=issued.key.id).revoked_at is not None
        notice = Notice.objects.get(kind="key.leaked")
        assert Delivery.objects.filter(notice_id=notice.id).count() == 1
    assert notice.context["found_at"] == "https://github.com/a/b/.env"
    assert [one["event"] for one in logs if one["event"] == "key_leaked"] == ["key_leaked"]
    assert issued.secret not in str(logs) + str(notice.context)


def test_the_same_report_again_changes_nothing(alice, sent):
    issued = key_make(alice.tenant_id)
    for _ in range(3):
        assert report(issued.secret).json()[0]["label"] == "true_positive"
    with tenant_scope(alice.tenant_id):
        assert Notice.objects.count() == 1


def test_what_is_none_of_ours_is_said_so(alice, sent):
    tokens = (key_generate(live=True), "rl_live_" + "x" * 38, "ghp_something", "")
    assert [one["label"] for one in report(*tokens).json()] == ["false_positive"] * 4


@pytest.mark.parametrize("changed", [{"key_id": "somebody"}, {"key_id": ""}, {"signed": "something else"}])
def test_a_report_that_is_not_signed_by_a_scanner_does_nothing(changed, alice, sent):
    issued = key_make(alice.tenant_id)
    assert report(issued.secret, **changed).status_code == 403
    assert KeyIndex.objects.get(key_id=issued.key.id).revoked_at is None


@pytest.mark.parametrize(
    "body", ["nonsense", "{}", "[1]", '[{"type": "x"}]', "[" + '{"token":"x"},' * 500 + '{"token":"x"}]']
)
def test_a_report_that_cannot_be_read_is_refused(body, db):
    assert report(body=body).status_code == 400


def test_a_report_is_posted(db):
    assert Client().get(URL).status_code == 405
    assert Client().post(URL, "[]", content_type="application/json").status_code == 403


def test_scanners_keys_are_read_from_the_environment(settings):
    import msgspec

    from config.env import env
    from ratelimiter.environ import EnvironmentInvalid

    [(name, encoded)] = settings.SECRET_SCANNING_KEYS.items()
    assert msgspec.structs.replace(env, secret_scanning_keys=f"{name}={encoded}").scanners() == {name: encoded}
    with pytest.raises(EnvironmentInvalid, match="SECRET_SCANNING_KEYS"):
        msgspec.structs.replace(env, secret_scanning_keys="a=b").scanners()
