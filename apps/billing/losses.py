"""What a tenant has now and another plan has not."""

from dataclasses import dataclass

from apps.core.scope import tenant_scope
from apps.limits.selectors import rules_of
from apps.plans.selectors import PlanInfo


@dataclass(frozen=True, slots=True)
class Losses:
    """`rules` are names of rules of types that the plan does not include; `retention_days` before and after."""

    rules: tuple[str, ...]
    retention_days: tuple[int, int] | None
    webhooks: bool

    def __bool__(self) -> bool:
        return bool(self.rules or self.retention_days or self.webhooks)


def losses_of(*, tenant_id: int, current: PlanInfo, plan: PlanInfo) -> Losses:
    with tenant_scope(tenant_id):
        rules = tuple(rule.name for rule in rules_of(tenant_id) if rule.type not in plan.rule_types)
    less = plan.retention_days < current.retention_days
    return Losses(
        rules,
        (current.retention_days, plan.retention_days) if less else None,
        current.webhooks and not plan.webhooks,
    )
