"""The demo tenant: what a team with a chat product would have set up. Made once; afterwards it belongs to its users."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from apps.apikeys.selectors import secret_tenant
from apps.apikeys.services import key_create
from apps.core.errors import NotFound
from apps.core.scope import tenant_scope
from apps.limits.services import rules_apply
from apps.limits.specs import RuleSpec
from apps.plans.services import plan_set
from apps.tenants.selectors import TenantInfo, password_is_right, tenant_by_slug
from apps.tenants.services import tenant_create, user_ensure

SLUG = "demo"
EMAIL = "demo@example.com"
STAFF_EMAIL = "staff@example.com"
PLAN = "professional"

_SECOND, _MINUTE, _DAY = 1_000, 60_000, 86_400_000

RULES = (
    RuleSpec(
        name="chat-per-user",
        type="user",
        match={"routes": ["POST /v1/chat"]},
        limit=5,
        window_ms=10 * _SECOND,
        priority=100,
    ),
    RuleSpec(
        name="free-chat-daily",
        type="custom",
        key=("user", "attributes.plan"),
        match={"routes": ["POST /v1/chat"], "attributes": {"plan": "free"}},
        algorithm="fixed_window",
        limit=50,
        window_ms=_DAY,
        priority=90,
    ),
    RuleSpec(
        name="uploads-burst",
        type="user",
        match={"routes": ["POST /v1/uploads/**", "PUT /v1/uploads/**"]},
        algorithm="token_bucket",
        limit=60,
        burst=120,
        window_ms=_MINUTE,
        priority=50,
    ),
    RuleSpec(name="per-ip", type="ip", limit=300, window_ms=_MINUTE, on_failure="open", priority=10),
    RuleSpec(name="whole-api", type="global", limit=60_000, window_ms=_MINUTE, on_failure="open"),
    RuleSpec(
        name="login-per-ip",
        type="ip",
        match={"routes": ["POST /v1/login"]},
        limit=10,
        window_ms=5 * _MINUTE,
        on_failure="closed",
        mode="shadow",
        priority=80,
    ),
)


@dataclass(frozen=True, slots=True)
class Demo:
    tenant: str
    email: str
    password: str
    staff_email: str
    staff_password: str
    api_key: str


@transaction.atomic
def demo_ensure(*, kept: Mapping[str, str], now: datetime) -> Demo:
    """`kept` is what an earlier call returned, as far as it is still known: what of it works goes on working."""
    password, user_id = _login(EMAIL, kept.get("password"), name="Demo", is_staff=False)
    staff_password, _ = _login(STAFF_EMAIL, kept.get("staff_password"), name="Staff", is_staff=True)
    try:
        tenant = tenant_by_slug(SLUG)
    except NotFound:
        tenant = _tenant_make(user_id)
    return Demo(SLUG, EMAIL, password, STAFF_EMAIL, staff_password, _key(tenant, kept.get("api_key"), now))


def _login(email: str, kept: str | None, *, name: str, is_staff: bool) -> tuple[str, int]:
    password = kept if kept and password_is_right(email=email, password=kept) else secrets.token_urlsafe(12)
    return password, user_ensure(email=email, password=password, name=name, is_staff=is_staff)


def _tenant_make(user_id: int) -> TenantInfo:
    tenant = tenant_create(name="Demo", slug=SLUG, owner_id=user_id)
    plan_set(tenant_id=tenant.id, code=PLAN)
    with tenant_scope(tenant.id):
        rules_apply(tenant_id=tenant.id, specs=RULES, prune=True)
    return tenant


def _key(tenant: TenantInfo, kept: str | None, now: datetime) -> str:
    if kept and secret_tenant(kept, now=now) == tenant.id:
        return kept
    with tenant_scope(tenant.id):
        return key_create(tenant_id=tenant.id, name="Demo", live=True).secret
