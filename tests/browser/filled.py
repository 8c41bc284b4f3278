"""Alice's organisation with something on every page, and the list of those pages."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from apps.analytics.services import marker_create
from apps.core.scope import tenant_scope
from apps.notifications.announcing import announcement_put
from apps.notifications.log import deliveries_of
from apps.tenants.invitations import invitation_send, invite
from tests.analytics.rows import Rows
from tests.factories import colleague_make, key_make, notice_make, override_make, rule_make
from tests.notifications.webhooks import webhook_make
from tests.portal.test_access import CHECK, PAGES, url_of

# Addresses of the workspace that are no page of their own: files, parts of pages, ways back from elsewhere.
NO_PAGES = {
    "analytics:traffic_csv", "analytics:events_csv", "analytics:tail", "analytics:rule_glance", "analytics:sparks",
    "limits:rules_live", "limits:overrides_export", "apikeys:made", "billing:bill_csv", "billing:bought",
    "billing:payment_changed", "notifications:unread", "tenants:audit_csv", "tenants:export_download",
    "billing:change",  # leads away where nothing is sold
}  # fmt: skip
OPEN = [
    "/", "/pricing", "/docs/", "/docs/concepts", "/docs/algorithms", "/docs/errors", "/docs/errors/unauthenticated",
    "/docs/webhooks", "/docs/changelog", "/status",
    "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/accounts/password/reset/done/",
    "/accounts/confirm-email/", "/accounts/inactive/",
]  # fmt: skip
OWN = [
    "/account", "/account/sessions", "/organisations/new", "/accounts/email/", "/accounts/password/change/",
    "/accounts/logout/", "/accounts/reauthenticate/",
]  # fmt: skip
RULES = [
    {"name": "user-rpm", "type": "user", "match": {"routes": ["POST /v1/chat"]}},
    {"name": "whole-api", "limit": 10_000, "mode": "shadow"},
    {"name": "search-burst", "type": "user", "burst": 200, "algorithm": "token_bucket"},
    {"name": "exports", "type": "user", "algorithm": "fixed_window", "calendar_unit": "month", "window_ms": 0},
    {"name": "renders-at-once", "type": "user", "limit": 20, "window_ms": 300_000, "algorithm": "concurrency"},
    {"name": "guesses", "type": "ip", "limit": 5, "algorithm": "sliding_log", "enabled": False},
    {"name": "scrapers", "action": "deny", "limit": 0, "window_ms": 0, "match": {"ips": ["198.51.100.0/24"]}},
]


@dataclass(frozen=True, slots=True)
class Filled:
    """What `url_of` asks of a rule, and where the invitation leads."""

    id: int
    override_id: int
    channel_id: int
    delivery_id: int
    invitation_id: int
    user_id: int
    key: object
    invitation_path: str

    def pages(self, slug):
        return [
            url_of(name, slug, self, self.key)
            for name, (method, _) in PAGES.items()
            if method == "get" and name not in NO_PAGES
        ]


def fill(alice, ingest):
    """Needs a database that keeps what is written, and no tasks that run."""
    now = timezone.now()
    rule, *_ = [rule_make(alice.tenant_id, **fields) for fields in RULES]
    override = override_make(alice.tenant_id, rule.id, note="Enterprise contract")
    override_make(alice.tenant_id, rule.id, ("u_2",), None)
    override_make(alice.tenant_id, rule.id, ("u_3",), 0, expires_at=datetime(2031, 1, 1, tzinfo=UTC))
    hook = webhook_make(alice, "https://hooks.example.com/", verified=False)
    for kind in ("quota.warning", "key.leaked"):
        notice_make(alice.tenant_id, kind)
    announcement_put(
        announcement_id=None, title="Slow charts", body="Charts lag by a few minutes.", state="investigating",
        component="analytics", is_public=True, tenant_ids=None, now=now,
    )  # fmt: skip
    invited = invite(
        tenant_id=alice.tenant_id, email="sam@example.com", role="viewer", by_id=alice.user_id, by_role="owner", now=now
    )
    invitation_send(invitation_id=invited.id, now=now)
    path = next(line for line in mail.outbox[-1].body.split() if "/invitations/" in line)
    call_command("analytics_seed", tenant=[alice.slug], days=2, replace=True, verbosity=0)
    Rows(ingest, alice.tenant_id).event(
        now, CHECK, allowed=False, user="u_42", route="POST /v1/chat", ip="203.0.113.7", results=[(rule.id, 1)]
    )
    with tenant_scope(alice.tenant_id):
        marker_create(tenant_id=alice.tenant_id, kind="deploy", text="v2.14.0", at=now)
        [delivery] = deliveries_of(tenant_id=alice.tenant_id, channel_id=hook.id, limit=1)
    return Filled(
        id=rule.id, override_id=override.id, channel_id=hook.id, delivery_id=delivery.id, invitation_id=invited.id,
        user_id=colleague_make(alice.tenant_id, "viewer", "vera@example.com"), key=key_make(alice.tenant_id).key,
        invitation_path="/invitations/" + path.split("/invitations/")[1],
    )  # fmt: skip
