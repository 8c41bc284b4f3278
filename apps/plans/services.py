"""Changing what a tenant has bought."""

from django.utils import timezone

from apps.plans.models import TenantPlan
from apps.plans.selectors import PlanInfo, plan_get


def plan_set(*, tenant_id: int, code: str) -> PlanInfo:
    """Rules that the new plan would not allow go on counting; they can be switched off and deleted, not edited.

    Raises NotFound for an unknown plan.
    """
    plan = plan_get(code)
    held = TenantPlan.objects.filter(tenant_id=tenant_id).first()
    if held is None or held.plan_id != plan.code:
        TenantPlan.objects.update_or_create(
            tenant_id=tenant_id, defaults={"plan_id": plan.code, "since_at": timezone.now()}
        )
    return plan
