"""What somebody should look at, worst first, each with its one next step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.apikeys.selectors import KeyInfo
from apps.limits.selectors import LiveDoors, RuleInfo
from apps.plans.selectors import PlanQuota
from apps.tenants.permissions import Permission
from apps.tenants.selectors import TenantInfo
from ratelimiter.store.live import LiveTotals

ENDS_SOON = timedelta(days=7)
QUOTA_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Attention:
    """`state` is a colour and a shape; `view` and `word` the next step, if there is one here, for who has the
    permission.
    """

    state: str
    fact: str
    meaning: str
    view: str = ""
    word: str = ""
    permission: Permission = Permission.VIEW


def attention(
    *,
    tenant: TenantInfo,
    rules: Sequence[RuleInfo],
    keys: Sequence[KeyInfo],
    doors: LiveDoors,
    today: LiveTotals,
    used: int,
    quota: PlanQuota,
    now: datetime,
) -> list[Attention]:
    found = [
        *_doors(doors),
        *_tenant(tenant),
        *_rules(rules),
        *_counts(today),
        *_quota(used, quota),
        *_keys(keys, now),
    ]
    order = {"denied": 0, "degraded": 1, "shadow": 2}
    return sorted(found, key=lambda item: order[item.state])


def _doors(doors: LiveDoors) -> Iterator[Attention]:
    if not doors.doors_total:
        yield Attention("denied", "No door is answering.", "Checks are not decided, and the numbers here stand still.")
    elif not doors.everywhere:
        yield Attention(
            "degraded",
            f"Revision {doors.revision:,} is live on {doors.doors_live} of {doors.doors_total} doors.",
            "The others still decide by the one before; this usually takes less than a second.",
        )


def _tenant(tenant: TenantInfo) -> Iterator[Attention]:
    if tenant.suspended_at is not None:
        yield Attention(
            "denied", "This organisation is suspended.", "Every key is refused with 403 until it is lifted."
        )


def _rules(rules: Sequence[RuleInfo]) -> Iterator[Attention]:
    enabled = [rule for rule in rules if rule.enabled]
    if not rules:
        yield Attention(
            "degraded",
            "There is no rule yet.",
            "Every check passes.",
            "limits:rule_create",
            "Write a rule",
            Permission.RULES_EDIT,
        )
    elif not enabled:
        yield Attention("degraded", "Every rule is off.", "Every check passes.", "limits:rules", "See the rules")
    elif all(rule.is_shadow for rule in enabled):
        yield Attention(
            "shadow", "Every rule is in shadow.", "Denials are recorded only.", "limits:rules", "See the rules"
        )


def _counts(today: LiveTotals) -> Iterator[Attention]:
    if today.degraded:
        yield Attention(
            "degraded",
            f"{today.degraded:,} checks were answered degraded today.",
            "The counters could not be reached; each rule followed its own policy.",
        )


def _quota(used: int, quota: PlanQuota) -> Iterator[Attention]:
    if quota.cap and used >= quota.cap:
        yield Attention(
            "denied",
            f"The checks of this period are used up: {quota.cap:,}.",
            "Further ones with a live key are answered 402 and not decided, until the next period begins.",
            "limits:plan",
            "See the plans",
            Permission.BILLING_VIEW,
        )
    elif used >= QUOTA_SHARE * quota.included_checks:
        yield Attention(
            "degraded",
            f"{used:,} of {quota.included_checks:,} included checks are used this period.",
            f"They are what the {quota.plan.name} plan includes.",
            "limits:plan",
            "See the plans",
            Permission.BILLING_VIEW,
        )


def _keys(keys: Sequence[KeyInfo], now: datetime) -> Iterator[Attention]:
    active = [key for key in keys if key.is_active(now)]
    if not active:
        yield Attention(
            "denied",
            "There is no working key.",
            "Nobody can ask.",
            "apikeys:create",
            "Make a key",
            Permission.KEYS_EDIT,
        )
    replaced = {key.rotated_from_id for key in keys}
    for key in active:
        if key.expires_at is not None and key.expires_at - now < ENDS_SOON and key.id not in replaced:
            yield Attention(
                "degraded", f"The key {key.name} ends in less than 7 days.", "Checks made with it will be refused.",
                "apikeys:keys", "See the keys",
            )  # fmt: skip
