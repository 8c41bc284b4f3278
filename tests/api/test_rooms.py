"""Keys, members, the organisation, bills and notices through the admin API."""

import pytest

from apps.apikeys.models import ApiKey
from apps.core.scope import tenant_scope
from apps.tenants.audit.models import AuditEntry
from apps.tenants.idempotency.models import IdempotentAnswer
from apps.tenants.permissions import ROLE_PERMISSIONS, scopes_beyond
from apps.tenants.selectors import members_of_tenant
from tests.api.calling import Caller
from tests.factories import colleague_make, key_make, notice_make
from tests.notifications.webhooks import webhook_make

pytestmark = pytest.mark.django_db(transaction=True)


def actions(member):
    with tenant_scope(member.tenant_id):
        return list(AuditEntry.objects.filter(via="api").order_by("seq").values_list("action", flat=True))


def test_a_key_is_made_used_rotated_and_revoked(admin, alice):
    made = admin.post("api-keys", {"name": "ci", "live": True, "scopes": ["read", "check"]}, idempotency_key="one")
    key, secret = made.json(), made.json()["secret"]
    assert (made["Cache-Control"], key["scopes"], key["live"]) == ("no-store", ["check", "read"], True)
    assert made["Location"] == f"/api/v1/api-keys/{key['id']}"
    mine = Caller(secret)
    assert mine.get(f"api-keys/{key['id']}").json()["masked"].startswith(secret[:12])
    assert secret not in mine.get("api-keys").content.decode()
    again = admin.post("api-keys", {"name": "ci", "live": True, "scopes": ["read", "check"]}, idempotency_key="one")
    assert again.json()["secret"] == secret
    with tenant_scope(alice.tenant_id):
        assert secret not in IdempotentAnswer.objects.get().sealed
    fresh = admin.post(f"api-keys/{key['id']}/rotate", {"overlap_s": 0})
    assert fresh["Location"] == f"/api/v1/api-keys/{fresh.json()['id']}"
    mine.get("api-keys", status=401)
    admin.post(f"api-keys/{key['id']}/rotate", {}, status=409)
    newer = Caller(fresh.json()["secret"])
    newer.get("api-keys")
    for _ in range(2):
        assert admin.post(f"api-keys/{fresh.json()['id']}/revoke", status=200).json()["revoked_at"]
    newer.get("api-keys", status=401)
    assert actions(alice) == ["key.created", "key.rotated", "key.revoked"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"), ({"name": ""}, "/name"), ({"name": 5}, "/name"), ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["all"]}, "/scopes"), ({"name": "x", "scopes": [5]}, "/scopes/0"),
        ({"name": "x", "live": "yes"}, "/live"), ({"name": "x", "colour": 1}, "/colour"),
        ({"name": "x", "expires_at": "soon"}, "/expires_at"),
        ({"name": "x", "expires_at": "2030-01-01T00:00"}, "/expires_at"),
        ({"name": "x", "expires_at": "0001-01-01T00:00:00+14:00"}, "/expires_at"), ([], "/"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_is_refused(body, pointer, admin, alice):
    told = admin.post("api-keys", body, status=400).json()
    assert told["errors"][0]["pointer"] == pointer
    assert actions(alice) == []


def test_nobody_gives_a_key_more_than_they_may_themselves(alice, counters, as_role):
    developer = ROLE_PERMISSIONS["developer"]
    assert scopes_beyond(["check", "refund", "read", "admin"], developer) == ["admin"]
    assert scopes_beyond(["admin"], ROLE_PERMISSIONS["admin"]) == []
    key = key_make(alice.tenant_id, scopes=["admin"]).key
    browser = as_role("developer")
    made = browser.post(f"/t/{alice.slug}/keys/new", {"name": "x", "kind": "live", "scopes": ["admin"]})
    assert (made.status_code, b"may more than you may yourself" in made.content) == (422, True)
    assert browser.post(f"/t/{alice.slug}/keys/{key.id}/rotate", {"overlap": "0"}).status_code == 422
    with tenant_scope(alice.tenant_id):
        assert ApiKey.objects.filter(scopes__contains=["admin"]).count() == 1


def test_members_are_invited_changed_and_removed_and_owners_are_not(admin, alice, sent):
    vera = colleague_make(alice.tenant_id, "viewer")
    told = admin.get("members?limit=1").json()
    assert (told["members"][0]["email"], told["next"]) == (alice.email, alice.user_id)
    assert admin.get(f"members?cursor={told['next']}").json()["members"][0]["user_id"] == vera
    assert admin.patch(f"members/{vera}", {"role": "developer"}).json()["role"] == "developer"
    admin.patch(f"members/{vera}", {"role": "owner"}, status=403)
    admin.patch(f"members/{vera}", {"role": "king"}, status=400)
    admin.patch(f"members/{alice.user_id}", {"role": "admin"}, status=403)
    admin.delete(f"members/{alice.user_id}", status=403)
    admin.delete(f"members/{vera}")
    assert [one.email for one in members_of_tenant(alice.tenant_id)] == [alice.email]
    invited = admin.post("members/invitations", {"email": "sam@example.com", "role": "viewer"}).json()
    assert invited["invited_by"] == "a colleague"
    admin.post("members/invitations", {"email": "sam@example.com", "role": "owner"}, status=403)
    admin.post("members/invitations", {"email": "nobody", "role": "viewer"}, status=400)
    assert admin.get("members/invitations").json()["invitations"] == [invited]
    admin.post(f"members/invitations/{invited['id']}/resend", status=409)
    admin.post(f"members/invitations/{invited['id']}/revoke", status=200)
    assert actions(alice) == ["member.role_changed", "member.removed", "invitation.sent", "invitation.revoked"]


def test_the_organisation_is_called_otherwise(admin, alice):
    assert admin.get("tenants/current").json()["slug"] == alice.slug
    assert admin.patch("tenants/current", {"timezone": "Europe/Berlin"}).json()["name"] == "Alice"
    told = admin.patch("tenants/current", {"name": "Alice Ltd"}).json()
    assert (told["name"], told["timezone"]) == ("Alice Ltd", "Europe/Berlin")
    for wrong in ({"name": ""}, {"name": None}, {"timezone": "Mars/Olympus"}, {"slug": "x"}):
        admin.patch("tenants/current", wrong, status=400)
    assert actions(alice) == ["tenant.updated", "tenant.updated"]


def test_the_bill_so_far_is_said(admin, alice):
    told = admin.get("billing").json()
    assert (told["plan"]["code"], told["plan"]["price_cents"]) == ("professional", 19_900)
    assert told["usage"] == {"checks": 0, "included": told["usage"]["included"], "overage": 0, "counted_until": None}
    assert told["lines"][0]["kind"] == "base"
    assert told["total_cents"] == sum(line["amount_cents"] for line in told["lines"])
    assert admin.get("billing/invoices").json() == {"invoices": []}


def test_notices_are_those_that_the_role_hears_of(admin, reader, alice):
    ids = [notice_make(alice.tenant_id, dedupe_key=f"n{number}") for number in range(3)]
    first = admin.get("notifications?limit=2").json()
    rest = admin.get(f"notifications?limit=2&cursor={first['next']}").json()
    assert [one["id"] for one in first["notifications"] + rest["notifications"]] == ids[::-1]
    assert (rest["next"], first["notifications"][0]["unread"]) == (None, None)
    assert reader.get("notifications").json()["notifications"] == []
    hook = webhook_make(alice, "https://hooks.example.com/x?secret=1")
    (channel,) = reader.get("notifications/channels").json()["channels"]
    assert (channel["id"], channel["medium"]) == (hook.id, "webhook")
    assert "secret=1" not in str(channel)


def test_pages_of_keys_hold_every_key_once(admin, alice):
    ids = [key_make(alice.tenant_id).key.id for _ in range(3)]
    seen, query = [], "limit=2"
    while query:
        told = admin.get(f"api-keys?{query}").json()
        seen += [key["id"] for key in told["api_keys"]]
        query = told["next"] and f"limit=2&cursor={told['next']}"
    assert seen == sorted(seen)
    assert set(ids) <= set(seen)
