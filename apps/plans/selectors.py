"""What a plan allows. What leaves this room is frozen."""

from dataclasses import dataclass
from decimal import Decimal

from apps.core.errors import Forbidden, NotFound
from apps.plans.models import Plan, TenantPlan

DEFAULT_PLAN = "free"


class PlanForbids(Forbidden):
    """The tenant's plan does not include what was asked; the text names the cheapest plan that does."""

    code = "plan_forbids"


@dataclass(frozen=True, slots=True)
class PlanInfo:
    """Money in cents, checks a month, overage per 100,000 checks (None: a hard cap, or negotiated)."""

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


def plans_all() -> list[PlanInfo]:
    """Cheapest first."""
    return [_plan_info(plan) for plan in Plan.objects.order_by("price_cents", "code")]


def plan_get(code: str) -> PlanInfo:
    """Raises NotFound."""
    plan = Plan.objects.filter(code=code).first()
    if plan is None:
        known = ", ".join(Plan.objects.order_by("price_cents", "code").values_list("code", flat=True))
        raise NotFound(f"there is no plan “{code}”; there are: {known}")
    return _plan_info(plan)


def plan_of(tenant_id: int) -> PlanInfo:
    held = TenantPlan.objects.select_related("plan").filter(tenant_id=tenant_id).first()
    return plan_get(DEFAULT_PLAN) if held is None else _plan_info(held.plan)


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
        plan.custom_integrations, plan.support, plan.sla_percent,
    )  # fmt: skip
