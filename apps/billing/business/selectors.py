"""Spans of paid plans, from the terms that bills are made of. Read for the whole house, by staff."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.db.models import Sum

from apps.billing.business.measures import Span, month_of
from apps.billing.models import Settlement
from apps.plans.periods import months_after
from apps.plans.selectors import terms_all
from apps.tenants.selectors import signups_all


@dataclass(frozen=True, slots=True)
class Business:
    """`signups` by tenant; tenants that are gone keep their spans and lose their sign-up."""

    spans: tuple[Span, ...]
    signups: dict[int, datetime]


def business() -> Business:
    spans = []
    for tenant_id, terms in terms_all().items():
        ends = [after.starts_at for _, after in pairwise(terms)]
        spans += [
            Span(tenant_id, term.plan.price_cents, term.starts_at, ends_at)
            for term, ends_at in zip(terms, [*ends, None], strict=True)
            if term.sold_under and term.plan.price_cents
        ]
    return Business(tuple(spans), signups_all())


def billed_in(month: datetime) -> int:
    """Cents of all periods that began in the month and are settled: fees and checks beyond the included ones."""
    starts_at = month_of(month)
    began = Settlement.objects.filter(period_at__gte=starts_at, period_at__lt=months_after(starts_at, 1))
    return began.aggregate(sum=Sum("billed_cents"))["sum"] or 0
