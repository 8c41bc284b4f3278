"""Which billing periods a tenant has had: months from the beginning of each term, the last one cut where the next term
begins.
"""

from collections.abc import Sequence
from datetime import datetime

from apps.billing.rating import BilledPeriod
from apps.billing.terms import terms_from
from apps.plans.periods import period_at
from apps.plans.selectors import TermInfo


def periods_until(terms: Sequence[TermInfo], until: datetime) -> list[BilledPeriod]:
    """In order, the one that holds `until` last."""
    periods = []
    for place, term in enumerate(terms):
        ends_at = terms[place + 1].starts_at if place + 1 < len(terms) else None
        begins_at = term.starts_at
        while (ends_at is None or begins_at < ends_at) and begins_at <= until:
            whole = period_at(term.starts_at, begins_at)
            end = whole.ends_at if ends_at is None else min(ends_at, whole.ends_at)
            periods.append(BilledPeriod(whole.starts_at, end, whole.ends_at, terms_from(term.plan)))
            begins_at = end
    return periods


def period_of(terms: Sequence[TermInfo], moment: datetime) -> BilledPeriod:
    """The one that holds `moment`; of a moment before the first term, the first one."""
    periods = periods_until(terms, max(moment, terms[0].starts_at))
    return next(period for period in reversed(periods) if period.starts_at <= moment or period is periods[0])
