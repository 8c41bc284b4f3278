"""What every view of the admin API has: who asks, what a credential may, and what is said to others."""

import json

import pytest
from django.test import Client

from apps.tenants.permissions import ROLE_PERMISSIONS, SCOPE_PERMISSIONS, Permission
from apps.tenants.principals import AdminView
from apps.tenants.services import tenant_suspend
from tests.factories import key_make

pytestmark = pytest.mark.usefixtures("counters")
ADDRESS = "/api/v1/analytics/markers"
OWNERS_ONLY = {Permission.OWNERS_EDIT, Permission.TENANT_DELETE, Permission.BILLING_EDIT}
apart = pytest.mark.django_db(transaction=True)


def called(secret, method="get", body=None, **headers):
    given = {"Authorization": f"Bearer {secret}"} | headers
    raw = body if isinstance(body, bytes) else json.dumps(body)
    more = {} if body is None else {"data": raw, "content_type": "application/json"}
    return getattr(Client(), method)(ADDRESS, headers=given, **more)


def test_no_key_may_what_only_owners_may():
    assert not OWNERS_ONLY & frozenset().union(*SCOPE_PERMISSIONS.values())
    assert SCOPE_PERMISSIONS["admin"] == ROLE_PERMISSIONS["admin"]
    assert not SCOPE_PERMISSIONS["check"] | SCOPE_PERMISSIONS["refund"]


def test_a_view_that_does_not_say_who_may_is_a_mistake():
    with pytest.raises(TypeError, match="DELETE"):

        class Careless(AdminView):
            permissions = {"GET": Permission.VIEW}

            def delete(self, request):
                """Not reached."""


@apart
def test_a_text_that_is_no_key_is_read_as_a_token(alice):
    answer = called("eyJhbGciOiJub25lIn0.e30.")
    assert (answer.status_code, answer.json()["code"], answer["WWW-Authenticate"]) == (401, "token_invalid", "Bearer")


@apart
def test_the_second_kind_of_credential_is_a_class_in_the_settings(alice, settings):
    settings.API_AUTHENTICATION = [settings.API_AUTHENTICATION[0], f"{__name__}.Everybody"]
    Everybody.tenant_id = alice.tenant_id
    assert called("some-token").status_code == 200
    assert called("some-token", "post", {"text": "v1"}).status_code == 403
    assert called("rl_live_nonsense").status_code == 401


class Everybody:
    """Reads any token as a viewer's."""

    tenant_id = 0

    def authenticate(self, request):
        from apps.tenants.principals import Principal

        return None, Principal(self.tenant_id, "user", 1, "viewer", ROLE_PERMISSIONS["viewer"])

    def authenticate_header(self, request):
        return "Bearer"


@apart
def test_a_method_that_there_is_not_is_405_and_a_suspended_tenant_is_refused(alice):
    secret = key_make(alice.tenant_id, scopes=["admin"]).secret
    assert called(secret, "delete").json()["code"] == "method_not_allowed"
    assert called(secret, "options").status_code == 405
    assert called(secret, "head").status_code == 200
    tenant_suspend(tenant_id=alice.tenant_id, at="2026-01-01T00:00Z")
    assert called(secret).json()["detail"] == "this tenant is suspended"


@apart
@pytest.mark.parametrize(
    "body",
    [
        b"{", b'{"text": "\\u0000"}', b'{"text": "\\ud800"}', b'{"\\u0000": "x"}', b'{"text": NaN}',
        b"[" * 100_000, b"9" * 5_000, b"\xff",
    ],
)  # fmt: skip
def test_a_body_that_no_database_could_hold_is_refused(body, alice):
    answer = called(key_make(alice.tenant_id, scopes=["admin"]).secret, "post", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")


@apart
def test_a_body_that_is_too_large_is_refused(alice):
    answer = called(key_make(alice.tenant_id, scopes=["admin"]).secret, "post", b'"' + b"x" * 2_700_000 + b'"')
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
