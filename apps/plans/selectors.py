"""What a plan allows. What leaves this room is frozen."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Q

from apps.core.errors import Forbidden, NotFound
from apps.plans.models import Plan, TenantPlan, Term
from apps.plans.periods import Period, hour_of, months_after, period_at
from apps.tenants.selectors import tenant_get

DEFAULT_PLAN = "free"
OVERAGE_UNIT = 100_000  # checks that overage_cents buy
_LISTED = Q(is_listed=True, contract__isnull=True)  # a contract is nobody else's, whatever its plan says


class PlanForbids(Forbidden):
    """The tenant's plan does not include what was asked; the text names the cheapest plan that does."""

    code = "plan_forbids"


@dataclass(frozen=True, slots=True)
class PlanInfo:
    """Money in cents, checks a month, overage per 100,000 checks (None: a hard cap, or negotiated). A trial ends after
    `lasts_days`, a contract cannot be left before `term_months`, 0 for none.
    """

    code: str
    name: str
    price_cents: int
    price_is_from: bool
    included_checks: int
    overage_cents: int | None
    overage_is_negotiated: bool
    rule_types: tuple[str, ...]
    retention_days: int
    webhooks: bool
    custom_integrations: bool
    support: str
    sla_percent: Decimal | None
    lasts_days: int | None
    term_months: int

    @property
    def is_capped(self) -> bool:
        """Checks beyond those included are refused instead of billed."""
        return self.overage_cents is None and not self.overage_is_negotiated


@dataclass(frozen=True, slots=True)
class Entitlements:
    """What one tenant may do."""

    tenant_id: int
    plan_code: str
    plan_name: str
    rule_types: tuple[str, ...]
    included_checks: int
    retention_days: int
    webhooks: bool


@dataclass(frozen=True, slots=True)
class TermInfo:
    """From `starts_at` on, a whole hour, until the next one. `sold_under` is empty for a plan that was given."""

    starts_at: datetime
    plan: PlanInfo
    sold_under: str = ""


@dataclass(frozen=True, slots=True)
class PlanQuota:
    """`cap` is the most checks in a period, grace included; 0 counts without refusing."""

    plan: PlanInfo
    period: Period
    following: Period
    cap: int
    spend_cap_cents: int | None

    @property
    def included_checks(self) -> int:
        return self.plan.included_checks


def plans_all() -> list[PlanInfo]:
    """The price list, cheapest first."""
    return [
        _plan_info(plan)
        for plan in Plan.objects.select_related("contract").filter(_LISTED).order_by("price_cents", "code")
    ]


def plans_sold() -> list[PlanInfo]:
    """The price list and every contract, cheapest first."""
    sold = _LISTED | Q(contract__isnull=False)
    return [
        _plan_info(plan)
        for plan in Plan.objects.select_related("contract").filter(sold).order_by("price_cents", "code")
    ]


def plans_for(tenant_id: int) -> list[PlanInfo]:
    """The price list and what the tenant was offered, cheapest first."""
    shown = _LISTED | Q(contract__tenant_id=tenant_id)
    return [
        _plan_info(plan)
        for plan in Plan.objects.select_related("contract").filter(shown).order_by("price_cents", "code")
    ]


def plan_for(tenant_id: int, code: str) -> PlanInfo:
    """One of those. Raises NotFound with the same words for other tenants' contracts as for what there is not."""
    shown = plans_for(tenant_id)
    for plan in shown:
        if plan.code == code:
            return plan
    raise NotFound(f"there is no plan “{code}”; there are: {', '.join(plan.code for plan in shown)}")


def contract_ends_at(tenant_id: int) -> datetime | None:
    """When the tenant's contract may be left; None for one without."""
    held = TenantPlan.objects.select_related("plan__contract").filter(tenant_id=tenant_id).first()
    if held is None or not hasattr(held.plan, "contract"):
        return None
    return months_after(hour_of(held.since_at), held.plan.contract.term_months)


def trial_for(tenant_id: int) -> PlanInfo | None:
    """What the tenant may try; None for one that pays, or has paid or tried before."""
    if plan_of(tenant_id).code != DEFAULT_PLAN or Term.objects.filter(tenant_id=tenant_id).exclude(
        plan_id=DEFAULT_PLAN
    ):
        return None
    trial = Plan.objects.filter(lasts_days__isnull=False).order_by("code").first()
    return None if trial is None else _plan_info(trial)


def trial_ends_at(tenant_id: int) -> datetime | None:
    """None for a tenant that is not trying anything."""
    held = (
        TenantPlan.objects.select_related("plan__contract")
        .filter(tenant_id=tenant_id, plan__lasts_days__isnull=False)
        .first()
    )
    return None if held is None else held.since_at + timedelta(days=held.plan.lasts_days or 0)


def trials_until(moment: datetime) -> list[tuple[int, datetime]]:
    """Tenants whose trial ends by then, and when it does."""
    trying = (
        TenantPlan.objects.filter(plan__lasts_days__isnull=False)
        .order_by("tenant_id")
        .values_list("tenant_id", "since_at", "plan__lasts_days")
    )
    ends = [(tenant_id, since_at + timedelta(days=days or 0)) for tenant_id, since_at, days in trying]
    return [(tenant_id, ends_at) for tenant_id, ends_at in ends if ends_at <= moment]


def plan_get(code: str) -> PlanInfo:
    """Raises NotFound."""
    plan = Plan.objects.select_related("contract").filter(code=code).first()
    if plan is None:
        known = ", ".join(Plan.objects.filter(_LISTED).order_by("price_cents", "code").values_list("code", flat=True))
        raise NotFound(f"there is no plan “{code}”; there are: {known}")
    return _plan_info(plan)


def plan_of(tenant_id: int) -> PlanInfo:
    held = TenantPlan.objects.select_related("plan__contract").filter(tenant_id=tenant_id).first()
    return plan_get(DEFAULT_PLAN) if held is None else _plan_info(held.plan)


def plan_since(tenant_id: int) -> datetime | None:
    """When the tenant took its plan; None for one that never took any and is on the default plan."""
    return TenantPlan.objects.filter(tenant_id=tenant_id).values_list("since_at", flat=True).first()


def quota_of(tenant_id: int, now: datetime) -> PlanQuota:
    """Raises NotFound for a tenant that is gone."""
    held = TenantPlan.objects.select_related("plan__contract").filter(tenant_id=tenant_id).first()
    if held is None:
        anchor_at, plan, spend_cap_cents = tenant_get(tenant_id).created_at, plan_get(DEFAULT_PLAN), None
    else:
        anchor_at, plan, spend_cap_cents = held.since_at, _plan_info(held.plan), held.spend_cap_cents
    period = period_at(anchor_at, now)
    return PlanQuota(plan, period, period.following(anchor_at), _cap(plan, spend_cap_cents), spend_cap_cents)


def terms_of(tenant_id: int) -> list[TermInfo]:
    """In order; the first begins when the tenant did. Raises NotFound for a tenant that is gone."""
    terms = [
        TermInfo(term.starts_at, _plan_info(term.plan), term.sold_under)
        for term in Term.objects.select_related("plan__contract").filter(tenant_id=tenant_id).order_by("starts_at")
    ]
    begun = hour_of(tenant_get(tenant_id).created_at)
    if not terms or terms[0].starts_at > begun:
        terms.insert(0, TermInfo(begun, plan_get(DEFAULT_PLAN)))
    return terms


def terms_all() -> dict[int, list[TermInfo]]:
    """Of every tenant that ever had one, also of those that are gone; in order. For the whole house."""
    found: dict[int, list[TermInfo]] = defaultdict(list)
    plans = {plan.code: _plan_info(plan) for plan in Plan.objects.select_related("contract")}
    rows = Term.objects.order_by("tenant_id", "starts_at").values_list(
        "tenant_id", "starts_at", "plan_id", "sold_under"
    )
    for tenant_id, starts_at, plan_code, sold_under in rows:
        found[tenant_id].append(TermInfo(starts_at, plans[plan_code], sold_under))
    return found


def spend_cap_checks(plan: PlanInfo, spend_cap_cents: int) -> int:
    """How many checks a period may have before overage costs more than that. Only for a plan that bills overage."""
    assert plan.overage_cents
    return plan.included_checks + spend_cap_cents * OVERAGE_UNIT // plan.overage_cents


def _cap(plan: PlanInfo, spend_cap_cents: int | None) -> int:
    if plan.is_capped:
        return plan.included_checks * 11 // 10
    return spend_cap_checks(plan, spend_cap_cents) if spend_cap_cents is not None and plan.overage_cents else 0


def entitlements_of(tenant_id: int) -> Entitlements:
    plan = plan_of(tenant_id)
    return Entitlements(
        tenant_id, plan.code, plan.name, plan.rule_types, plan.included_checks, plan.retention_days, plan.webhooks
    )


def rule_type_require(entitlements: Entitlements, rule_type: str) -> None:
    """Raises PlanForbids naming the cheapest plan with rules of that type."""
    if rule_type in entitlements.rule_types:
        return
    allowing = [plan.name for plan in plans_all() if rule_type in plan.rule_types]
    way = f"The {allowing[0]} plan has them" if allowing else "No plan has them"
    detail = f"Rules of type “{rule_type}” are not part of the {entitlements.plan_name} plan. {way}."
    raise PlanForbids(detail, fields={"type": detail})


def _plan_info(plan: Plan) -> PlanInfo:
    return PlanInfo(
        plan.code, plan.name, plan.price_cents, plan.price_is_from, plan.included_checks, plan.overage_cents,
        plan.overage_is_negotiated, tuple(plan.rule_types), plan.retention_days, plan.webhooks,
        plan.custom_integrations, plan.support, plan.sla_percent, plan.lasts_days,
        plan.contract.term_months if hasattr(plan, "contract") else 0,
    )  # fmt: skip
