"""Spend alerts: what a period's checks beyond the included ones may cost before it is said. Said once a period and
threshold, by whoever evaluates first.
"""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from apps.billing.models import SpendAlert
from apps.billing.money import in_dollars
from apps.billing.rating import LineKind
from apps.billing.selectors import StatedBill, bill_of
from apps.core.errors import Invalid, NotFound
from apps.core.scope import tenant_scope
from apps.notifications.kinds import SPEND_ALERT
from apps.notifications.services import notify
from apps.tenants.audit.writing import Target, audit_write

MOST = 5
MAX_CENTS = 100_000_000


def alerts_of(tenant_id: int) -> list[int]:
    """Cents, the least first."""
    return list(SpendAlert.objects.filter(tenant_id=tenant_id).order_by("cents").values_list("cents", flat=True))


@transaction.atomic
def alerts_set(*, tenant_id: int, cents: Collection[int]) -> None:
    """Instead of those that were. Raises Invalid."""
    wanted = set(cents)
    problem = ""
    if len(wanted) > MOST:
        problem = f"At most {MOST} amounts."
    elif not all(1 <= one <= MAX_CENTS for one in wanted):
        problem = f"Each between $0.01 and ${MAX_CENTS // 100:,}."
    if problem:
        raise Invalid(problem, fields={"alerts": problem})
    before = alerts_of(tenant_id)
    SpendAlert.objects.filter(tenant_id=tenant_id).exclude(cents__in=wanted).delete()
    made = [SpendAlert(tenant_id=tenant_id, cents=one) for one in sorted(wanted)]
    SpendAlert.objects.bulk_create(made, ignore_conflicts=True)
    audit_write(
        tenant_id=tenant_id,
        action="billing.alerts_changed",
        target=Target(tenant_id, "spend alerts"),
        before={"cents": before},
        after={"cents": sorted(wanted)},
    )


def alerts_evaluate(*, now: datetime) -> int:
    """Of every tenant that has some. Returns how many notices were new."""
    wanted: dict[int, list[int]] = {}
    for tenant_id, cents in SpendAlert.objects.order_by("tenant_id", "cents").values_list("tenant_id", "cents"):
        wanted.setdefault(tenant_id, []).append(cents)
    said = 0
    for tenant_id, thresholds in wanted.items():
        try:
            with tenant_scope(tenant_id):
                stated = bill_of(tenant_id, now, now=now)
        except NotFound:  # the tenant is gone
            continue
        said += sum(_say(tenant_id, stated, cents) for cents in thresholds)
    return said


def _say(tenant_id: int, stated: StatedBill, cents: int) -> bool:
    spent = sum(line.amount_cents for line in stated.bill.lines if line.kind is LineKind.OVERAGE)
    if spent < cents:
        return False
    period = stated.bill.period
    context = {
        "threshold": in_dollars(cents),
        "amount": in_dollars(spent),
        "checks": stated.bill.overage,
        "plan": period.terms.plan_name,
        "ends_on": f"{period.ends_at:%-d %B %Y}",
    }
    key = f"{period.starts_at:%Y-%m-%dT%H}:{cents}"
    return notify(tenant_id=tenant_id, kind=SPEND_ALERT, dedupe_key=key, context=context) is not None
