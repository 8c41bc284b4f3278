"""A plan's numbers as rating wants them."""

from apps.billing.rating import Terms, overage_micro_cents
from apps.plans.selectors import PlanInfo


def terms_from(plan: PlanInfo) -> Terms:
    micro_cents = None if plan.overage_cents is None else overage_micro_cents(plan.overage_cents)
    return Terms(plan.code, plan.name, plan.price_cents, plan.included_checks, micro_cents)
