"""Who the seeded tenants are: their size and rhythm, their rules, and the routes, keys and people of their traffic."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apps.apikeys.selectors import keys_of
from apps.apikeys.services import key_create
from apps.core.errors import NotFound
from apps.core.scope import tenant_scope
from apps.limits.selectors import RuleInfo, rules_of
from apps.limits.services import rules_apply
from apps.limits.specs import RuleSpec
from apps.plans.services import plan_set
from apps.tenants.selectors import TenantInfo, tenant_by_slug
from apps.tenants.services import tenant_create

LARGEST_A_DAY = 220_000.0  # checks of the largest tenant; the one of rank r has the r-th part, as such things go
FULL_RANK = 5  # so many have hundreds of users, the others a handful

_ADJECTIVES = ("Brass", "Quiet", "Northern", "Copper", "Swift", "Paper", "Amber", "Granite", "Salt", "Harbour")
_NOUNS = ("Otter", "Ledger", "Orchard", "Signal", "Foundry", "Kitchen", "Atlas", "Lantern", "Bicycle", "Courier")
_TRADES = ("Chat", "Maps", "Pay", "Labs", "Mail", "Studio", "Freight", "Health", "Games", "Cloud")
_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "America/Los_Angeles", "Asia/Kolkata")

_ROUTES = (
    ("POST /v1/chat", 0.38), ("GET /v1/search", 0.22), ("GET /v1/models", 0.11), ("POST /v1/embeddings", 0.09),
    ("GET /v1/me", 0.07), ("POST /v1/uploads", 0.05), ("POST /v1/login", 0.03), ("PUT /v1/profile", 0.02),
    ("GET /v1/invoices", 0.015), ("POST /v1/render", 0.01), ("DELETE /v1/uploads", 0.005),
)  # fmt: skip
_MINUTE = 60_000
_RULES = (
    RuleSpec(name="per-user", type="user", limit=100, window_ms=_MINUTE, priority=20),
    RuleSpec(name="per-ip", type="ip", limit=300, window_ms=_MINUTE, priority=10),
    RuleSpec(name="everyone", type="global", limit=50_000, window_ms=_MINUTE),
    RuleSpec(
        name="login-per-ip", type="ip", match={"routes": ["POST /v1/login"]}, limit=10, window_ms=5 * _MINUTE,
        mode="shadow", priority=30,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """`share` of all checks and `denied` share of all denials; `is_rest` counts as "everybody else" in rollups."""

    dimension: str
    text: str
    share: float
    denied: float
    is_rest: bool = False


@dataclass(frozen=True, slots=True)
class Seeded:
    """A tenant and its traffic. `per_day` checks on an average day, busiest at `peak_h` UTC; `slow` picks a latency."""

    tenant_id: int
    slug: str
    per_day: float
    peak_h: float
    weekend: float
    slow: int
    is_full: bool
    namespaces: tuple[tuple[str, bool, float], ...]  # name, live key, share
    rules: tuple[RuleInfo, ...]
    keys: tuple[tuple[int, float], ...]  # id, share
    values: tuple[Value, ...]


def tenant_seeded(tenant: TenantInfo, *, rank: int) -> Seeded:
    """Rank 1 is the largest. The same tenant is the same every time."""
    chance = random.Random(tenant.id)  # noqa: S311 - demo data
    with tenant_scope(tenant.id):
        rules = tuple(rule for rule in rules_of(tenant.id) if rule.enabled)
        keys = [key.id for key in keys_of(tenant.id) if key.revoked_at is None][:4]
        if not keys:
            keys = [key_create(tenant_id=tenant.id, name="Production", live=True).key.id]
    is_full = rank <= FULL_RANK
    return Seeded(
        tenant_id=tenant.id,
        slug=tenant.slug,
        per_day=LARGEST_A_DAY / rank * chance.uniform(0.9, 1.1),
        peak_h=chance.choice((14.0, 14.5, 20.0, 6.0)) if rank > 1 else 14.0,
        weekend=chance.uniform(0.35, 0.9),
        slow=chance.randrange(3),
        is_full=is_full,
        namespaces=_namespaces(rules, is_full=is_full),
        rules=rules,
        keys=tuple(zip(keys, _shares(len(keys), 1.2), strict=True)),
        values=(*_routes(is_full=is_full), *_people(chance, is_full=is_full)),
    )


def tenants_ensure(ranks: Iterable[int]) -> list[TenantInfo]:
    """`seed-0001` and so on, with rules and a plan each; those that are there already stay as they are."""
    return [_tenant_ensure(rank) for rank in ranks]


def _tenant_ensure(rank: int) -> TenantInfo:
    slug = f"seed-{rank:04d}"
    try:
        return tenant_by_slug(slug)
    except NotFound:
        name = f"{_ADJECTIVES[rank % 10]} {_NOUNS[rank // 10 % 10]} {_TRADES[rank // 100 % 10]}"
        tenant = tenant_create(name=name, slug=slug, owner_id=None, timezone=_ZONES[rank % len(_ZONES)])
        plan_set(tenant_id=tenant.id, code="professional" if rank <= 50 else "startup")
        with tenant_scope(tenant.id):
            rules_apply(tenant_id=tenant.id, specs=_RULES[: 4 if rank <= 50 else 2], prune=False)
        return tenant


def _namespaces(rules: Sequence[RuleInfo], *, is_full: bool) -> tuple[tuple[str, bool, float], ...]:
    others = sorted({rule.namespace for rule in rules} - {"default"})
    if is_full and not others:
        others = ["internal"]
    if not is_full:
        return (("default", True, 1.0),)
    rest = 0.12 / len(others)
    return (("default", True, 0.85), *((name, True, rest) for name in others), ("default", False, 0.03))


def _routes(*, is_full: bool) -> list[Value]:
    routes = _ROUTES if is_full else _ROUTES[:4]
    whole = sum(share for _, share in routes)
    # Denials gather on the first and, where there is one, on the login.
    blamed = {"POST /v1/chat": 0.6, "GET /v1/search": 0.15, "POST /v1/login": 0.25}
    whole_blamed = sum(blamed.get(route, 0.0) for route, _ in routes)
    return [Value("route", route, share / whole, blamed.get(route, 0.0) / whole_blamed) for route, share in routes]


def _people(chance: random.Random, *, is_full: bool) -> list[Value]:
    """A few who are denied again and again, many who are not, and the long tail."""
    first, tail = (30, 160) if is_full else (3, 1)
    found = []
    for dimension, texts in (("user", _users(chance)), ("ip", _addresses(chance))):
        denied = [0.46, 0.17, 0.09, *(0.16 / (first - 3) if first > 3 else 0.0 for _ in range(first - 3))]
        shares = [0.6 * share for share in _shares(first, 0.7)]
        found += [
            Value(dimension, text, share, blame)
            for text, share, blame in zip(texts[:first], shares, denied, strict=True)
        ]
        rest_denied = max(0.0, 1.0 - sum(denied)) / tail
        found += [Value(dimension, text, 0.4 / tail, rest_denied, is_rest=True) for text in texts[first : first + tail]]
    return found


def _users(chance: random.Random) -> list[str]:
    return ["u_911", *(f"u_{number}" for number in chance.sample(range(1_000, 9_000), 199))]


def _addresses(chance: random.Random) -> list[str]:
    """Of the ranges that are kept for examples."""
    near = [f"203.0.113.{number}" for number in chance.sample(range(1, 255), 120)]
    far = [f"2001:db8:{number:x}::{chance.randrange(1, 16):x}" for number in chance.sample(range(1, 4_096), 80)]
    return [near[0], *chance.sample(near[1:] + far, 199)]


def _shares(count: int, slope: float) -> list[float]:
    weights = [1 / math.pow(place, slope) for place in range(1, count + 1)]
    return [weight / sum(weights) for weight in weights]
