"""Bills as they stand: the ledger's sums of a period, rated. What the page shows is what is collected."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, Sum

from apps.analytics.burn import burn, usage
from apps.billing.ledger import GRACE
from apps.billing.models import CHECKS, PAYING, Account, Posted, Usage
from apps.billing.periods import period_of, periods_until
from apps.billing.rating import Bill, BilledPeriod, Terms, bill, cheaper_with
from apps.billing.terms import terms_from
from apps.plans.selectors import DEFAULT_PLAN, PlanInfo, plan_get, plans_all, quota_of, terms_of


@dataclass(frozen=True, slots=True)
class StatedBill:
    """`posted_until` is how far usage is known, None before the period's first hour; `is_final` once nothing can be
    added any more.
    """

    bill: Bill
    posted_until: datetime | None
    is_final: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """The plan that would have cost less for the same usage of a whole period, and how much less."""

    terms: Terms
    saves_cents: int


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """The tenant at Stripe. `status` is Stripe's word, empty without a subscription; `next_plan` is what begins at
    `renews_at`, if anything does.
    """

    customer: str
    subscription: str
    status: str
    renews_at: datetime | None
    ends_at: datetime | None
    next_plan: PlanInfo | None
    is_paying: bool


def account_of(tenant_id: int) -> AccountInfo | None:
    account = Account.objects.filter(tenant_id=tenant_id).first()
    if account is None:
        return None
    following = DEFAULT_PLAN if account.ends_at else account.next_plan_code
    return AccountInfo(
        account.customer, account.subscription, account.status, account.renews_at, account.ends_at,
        plan_get(following) if following else None, account.status in PAYING,
    )  # fmt: skip


def bill_of(tenant_id: int, moment: datetime, *, now: datetime) -> StatedBill:
    """Of the period that holds `moment`. Inside the tenant's scope."""
    [stated] = _stated([period_of(terms_of(tenant_id), moment)], now)
    return stated


def bills_of(tenant_id: int, *, now: datetime, at_most: int = 24) -> list[StatedBill]:
    """The latest first. Inside the tenant's scope."""
    periods = periods_until(terms_of(tenant_id), now)
    return _stated(periods[-at_most:][::-1], now)


def forecast_of(tenant_id: int, stated: StatedBill, *, now: datetime) -> Bill | None:
    """The current period's bill at its end, at the pace of the last seven days; None before there is a pace. Inside
    the tenant's scope.
    """
    quota = quota_of(tenant_id, now)
    used = usage(quota=quota, now=now)
    if not used.a_second:
        return None
    pace = burn(quota=quota, counted=stated.bill.used, usage=used, now=now)
    checks = min(pace.forecast, quota.cap) if quota.cap else pace.forecast
    return bill(stated.bill.period, max(checks, stated.bill.used))


def advice_for(stated: StatedBill) -> Advice | None:
    """A larger plan, where overage has made it the cheaper one; None until then."""
    price = stated.bill.period.terms.price_cents
    larger = [terms_from(plan) for plan in plans_all() if not plan.price_is_from and plan.price_cents > price]
    found = cheaper_with(stated.bill, larger)
    return Advice(*found) if found else None


def usage_of(period: BilledPeriod) -> int:
    """Units that are billed in the period, as far as they are posted. Inside the tenant's scope."""
    return int(Usage.objects.filter(_in(period)).aggregate(units=Sum("delta"))["units"] or 0)


def usage_by_day(period: BilledPeriod) -> dict[datetime, int]:
    """Midnight UTC → units billed on that day. Inside the tenant's scope."""
    days: dict[datetime, int] = {}
    for hour, delta in usage_by_hour(period).items():
        day = hour.replace(hour=0)
        days[day] = days.get(day, 0) + delta
    return days


def usage_by_hour(period: BilledPeriod) -> dict[datetime, int]:
    """Billing hour → units. Inside the tenant's scope."""
    rows = (
        Usage.objects.filter(_in(period))
        .values_list("billing_hour")
        .annotate(units=Sum("delta"))
        .order_by("billing_hour")
    )
    return {hour: int(units) for hour, units in rows}


def _stated(periods: Sequence[BilledPeriod], now: datetime) -> list[StatedBill]:
    """In their order, by two queries."""
    until = Posted.objects.get().until
    used = Usage.objects.aggregate(
        **{str(place): Sum("delta", filter=_in(period)) for place, period in enumerate(periods)}
    )
    return [
        StatedBill(
            bill(period, int(used[str(place)] or 0)),
            until if until > period.starts_at else None,
            is_final(period, until, now),
        )
        for place, period in enumerate(periods)
    ]


def _in(period: BilledPeriod) -> Q:
    return Q(meter=CHECKS, billing_hour__gte=period.starts_at, billing_hour__lt=period.ends_at)


def is_final(period: BilledPeriod, until: datetime, now: datetime) -> bool:
    """After the grace, and not before its last hour was posted, which is what `until` says."""
    return now >= period.ends_at + GRACE and until >= period.ends_at
