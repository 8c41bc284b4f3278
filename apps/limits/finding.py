"""Where somebody wants to go, by name: pages of the organisation, its rules and its keys."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.urls import reverse

from apps.apikeys.selectors import keys_of
from apps.limits.selectors import rules_of
from apps.tenants.permissions import Permission
from apps.tenants.selectors import MemberInfo

MOST = 12
_PAGES = (
    ("Overview", "analytics:overview", Permission.VIEW), ("Traffic", "analytics:traffic", Permission.VIEW),
    ("Offenders", "analytics:offenders", Permission.VIEW), ("Explorer", "analytics:explorer", Permission.VIEW),
    ("Rules", "limits:rules", Permission.VIEW), ("New rule", "limits:rule_create", Permission.RULES_EDIT),
    ("Keys", "apikeys:keys", Permission.VIEW), ("New key", "apikeys:create", Permission.KEYS_EDIT),
    ("Inbox", "notifications:inbox", Permission.VIEW), ("Notifications", "notifications:preferences", Permission.VIEW),
    ("Channels", "notifications:channels", Permission.VIEW), ("Team", "tenants:team", Permission.VIEW),
    ("Audit", "tenants:audit", Permission.AUDIT_VIEW), ("Plan and usage", "limits:plan", Permission.BILLING_VIEW),
    ("Bill", "billing:bill", Permission.BILLING_VIEW), ("Invoices", "billing:invoices", Permission.BILLING_VIEW),
    ("Settings", "tenants:settings", Permission.TENANT_EDIT), ("Privacy", "analytics:privacy", Permission.VIEW),
    ("Retention", "tenants:retention", Permission.VIEW),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    kind: str
    name: str
    url: str


def places(member: MemberInfo, wanted: str) -> list[Place]:
    """Those whose name has every word of `wanted`, at most MOST: names that begin with it first. Inside the scope."""
    words = wanted.lower().split()
    found = [place for place in _all(member) if all(word in place.name.lower() for word in words)]
    start = " ".join(words)
    return sorted(found, key=lambda place: not place.name.lower().startswith(start))[:MOST]


def _all(member: MemberInfo) -> Iterator[Place]:
    slug, tenant_id = member.tenant.slug, member.tenant.id
    for name, page, permission in _PAGES:
        if member.may(permission):
            yield Place("Page", name, reverse(page, args=[slug]))
    yield from _rules(slug, tenant_id)
    for key in keys_of(tenant_id):
        if key.revoked_at is None:
            yield Place("Key", key.name, f"{reverse('apikeys:keys', args=[slug])}#key-{key.id}")


def _rules(slug: str, tenant_id: int) -> Iterable[Place]:
    for rule in rules_of(tenant_id):
        yield Place("Rule", rule.name, reverse("limits:rule", args=[slug, rule.id]))
