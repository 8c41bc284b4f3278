"""The staff's two pages about the business, as views of the admin site."""

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from typing import Any

from django.utils import timezone
from django.views.generic import TemplateView
from unfold.views import UnfoldModelAdminViewMixin

from apps.billing.business.capacity import plan
from apps.billing.business.costs import CUSTOMERS, TABLE, TOTAL_DOLLARS
from apps.billing.business.forecast import Assumptions, forecast, signups_for
from apps.billing.business.forms import ForecastForm, LoadForm, MarginForm
from apps.billing.business.measures import (
    Cohort,
    Movement,
    cohorts,
    conversions,
    month_of,
    movements,
    recurring,
)
from apps.billing.business.selectors import billed_in, business
from apps.billing.money import in_dollars as money
from apps.plans.periods import months_after

MONTHS = 12


class BusinessPage(UnfoldModelAdminViewMixin, TemplateView):  # type: ignore[misc]
    title = "Business"
    permission_required = ()
    template_name = "staff/business.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        now, seen = timezone.now(), business()
        margin_form, forecast_form = MarginForm(self.request.GET), ForecastForm(self.request.GET)
        margin_form.is_valid(), forecast_form.is_valid()
        paying = recurring(seen.spans, now)
        revenue = sum(paying.values())
        months = _months_since(min(seen.signups.values(), default=now), now)
        moved = movements(seen.spans, seen.signups, now=now, months=months)
        before = months_after(month_of(now), -1)
        assumed = forecast_form.assumed()
        return super().get_context_data(**kwargs) | {
            "figures": [
                ("MRR", money(revenue), f"of {len(paying):,} who pay, at list price"),
                ("ARR", money(12 * revenue), "twelve times that"),
                ("ARPU", money(round(Fraction(revenue, len(paying)))) if paying else "none", "a paying organisation"),
                ("Churn", _percent(moved[-2].churn), f"of those who paid, in {before:%B}"),
                ("Revenue kept", _percent(moved[-2].revenue_kept), f"of who paid at the start of {before:%B}"),
                ("Gross margin", _margin(revenue, margin_form.value("infrastructure")), "MRR less infrastructure"),
                ("Billed", money(billed_in(before)), f"for periods that began in {before:%B}, as far as settled"),
            ],
            "margin_form": margin_form,
            "movements": _movements(moved),
            "conversions": {
                "headers": ["Signed up in", "Sign-ups", "Have paid since", "Share"],
                "rows": [
                    [f"{one.starts_at:%b %Y}", f"{one.signups:,}", f"{one.payers:,}", _percent(one.share)]
                    for one in reversed(conversions(seen.spans, seen.signups, now=now, months=months))
                ],
            },
            "cohorts": _cohorts(cohorts(seen.spans, now=now, months=MONTHS)),
            "forecast_form": forecast_form,
            "forecast": _forecast(assumed),
            "needed": signups_for(assumed, CUSTOMERS),
            "document_payers": CUSTOMERS,
        }  # fmt: skip


class CapacityPage(UnfoldModelAdminViewMixin, TemplateView):  # type: ignore[misc]
    title = "Capacity"
    permission_required = ()
    template_name = "staff/capacity.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = LoadForm(self.request.GET)
        form.is_valid()
        planned = plan(form.load())
        rows = [
            [
                part.name, part.machine, f"{part.count:,}", money(part.cents), part.why,
                f"{part.document.count:,} for {money(part.document_cents)}" if part.document else "not in it",
            ]
            for part in planned.parts
        ]  # fmt: skip
        rows.append(["Together", "", "", money(planned.cents), "a month", money(planned.document_cents)])
        return super().get_context_data(**kwargs) | {
            "form": form, "plan": planned,
            "table": {"headers": ["Part", "Machine", "How many", "A month", "Why", "The document, for this peak"],
                      "rows": rows},
            "document": {
                "headers": ["Component", "Machine", "How many", "A month"],
                "rows": [
                    *([one.component, one.specification, f"{one.count}", f"${one.dollars:,}"] for one in TABLE),
                    ["Together", "", "", f"${TOTAL_DOLLARS:,}"],
                ],
            },
        }  # fmt: skip


def _months_since(first: datetime, now: datetime) -> int:
    """At most a year's; the one before the present always."""
    begun = 12 * (now.year - first.year) + now.month - first.month + 1
    return min(max(2, begun), MONTHS)


def _movements(moved: Iterable[Movement]) -> dict[str, Any]:
    return {
        "headers": [
            "Month", "At its start", "New", "Came back", "Grew", "Shrank", "Left", "At its end", "Paying", "Churn",
            "Revenue kept",
        ],
        "rows": [
            [
                f"{one.starts_at:%b %Y}", money(one.before_cents), money(one.new_cents), money(one.returned_cents),
                money(one.grew_cents), money(-one.shrank_cents), money(-one.left_cents), money(one.after_cents),
                f"{one.payers:,}", _percent(one.churn), _percent(one.revenue_kept),
            ]
            for one in reversed(list(moved))
        ],
    }  # fmt: skip


def _cohorts(found: Iterable[Cohort]) -> dict[str, Any]:
    return {
        "headers": ["Paid first in", "How many", *(f"+{number}" for number in range(MONTHS))],
        "rows": [
            [f"{one.starts_at:%b %Y}", f"{one.payers:,}", *(_percent(share) for share in one.kept),
             *([""] * (MONTHS - len(one.kept)))]
            for one in found
        ],
    }  # fmt: skip


def _forecast(assumed: Assumptions) -> dict[str, Any]:
    return {
        "headers": ["Month", "Sign-ups", "Paying", "MRR", "ARR", "Cost", "Profit", "Gross margin"],
        "rows": [
            [f"{one.number}", f"{one.signups:,}", f"{one.payers:,}", money(one.revenue_cents),
             money(one.yearly_cents), money(one.cost_cents), money(one.profit_cents), _percent(one.gross_margin)]
            for one in forecast(assumed)
        ],
    }  # fmt: skip


def _percent(share: Fraction | None) -> str:
    return "none" if share is None else f"{float(share):.1%}"


def _margin(revenue_cents: int, infrastructure_dollars: int) -> str:
    if not revenue_cents:
        return "none"
    return _percent(Fraction(revenue_cents - 100 * infrastructure_dollars, revenue_cents))
