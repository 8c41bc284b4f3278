"""What staff may assume. Every field has the value of the architecture document, so an empty address is its model."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from apps.billing.business.capacity import Asked, Load
from apps.billing.business.costs import TOTAL_DOLLARS
from apps.billing.business.forecast import Assumptions


def _whole(label: str, least: int, most: int, help_text: str = "") -> forms.IntegerField:
    return forms.IntegerField(
        label=label, min_value=least, max_value=most, help_text=help_text, widget=UnfoldAdminIntegerFieldWidget
    )


def _percent(label: str, least: str = "0", most: str = "100", help_text: str = "") -> forms.DecimalField:
    return forms.DecimalField(
        label=label, min_value=Decimal(least), max_value=Decimal(most), max_digits=6, decimal_places=2,
        help_text=help_text, widget=UnfoldAdminDecimalFieldWidget,
    )  # fmt: skip


class _AskedForm(forms.Form):
    """Of a GET: what is not in the address has its usual value, what is wrong is said and the usual one taken."""

    usual: dict[str, Any] = {}

    def __init__(self, data: Any) -> None:
        super().__init__({**self.usual, **{name: value for name, value in data.items() if name in self.base_fields}})

    def value(self, name: str) -> Any:
        return self.cleaned_data.get(name, self.usual[name]) if self.is_bound else self.usual[name]

    def share(self, name: str) -> Fraction:
        return Fraction(self.value(name)) / 100


class MarginForm(_AskedForm):
    usual = {"infrastructure": TOTAL_DOLLARS}

    infrastructure = _whole("Infrastructure a month, $", 0, 10_000_000)


class ForecastForm(_AskedForm):
    """Names begin with f_, because the page has two forms."""

    usual = {
        "f_payers": 0, "f_signups": 100, "f_growth": 0, "f_conversion": 5, "f_churn": 3, "f_price": 125,
        "f_infrastructure": 15_000, "f_personnel": 40_000, "f_marketing": 10_000, "f_months": 12,
    }  # fmt: skip

    f_payers = _whole("Paying now", 0, 1_000_000)
    f_signups = _whole("Sign-ups a month", 0, 1_000_000)
    f_growth = _percent("Growth of sign-ups a month, %", "-50")
    f_conversion = _percent("Of them pay, %")
    f_churn = _percent("Of those who pay leave a month, %")
    f_price = _whole("Each pays a month, $", 0, 100_000)
    f_infrastructure = _whole("Infrastructure in the last month, $", 0, 10_000_000)
    f_personnel = _whole("Personnel, $", 0, 10_000_000)
    f_marketing = _whole("Marketing, $", 0, 10_000_000)
    f_months = _whole("Months", 1, 60)

    def assumed(self) -> Assumptions:
        return Assumptions(
            payers=self.value("f_payers"), signups=self.value("f_signups"), growth=self.share("f_growth"),
            conversion=self.share("f_conversion"), churn=self.share("f_churn"), price_cents=100 * self.value("f_price"),
            infrastructure_cents=100 * self.value("f_infrastructure"),
            personnel_cents=100 * self.value("f_personnel"), marketing_cents=100 * self.value("f_marketing"),
            months=self.value("f_months"),
        )  # fmt: skip


class LoadForm(_AskedForm):
    usual = {
        "peak": 100_000, "mean": 30, "asked": Asked.SINGLE.value, "rules": 2, "full": 50, "counters": 10_000_000,
        "raw": 10, "raw_days": 7,
    }  # fmt: skip

    peak = _whole("Checks a second at the peak", 1, 10_000_000)
    mean = _percent("The mean, % of the peak", "1")
    asked = forms.ChoiceField(
        label="How they are asked",
        choices=[
            (Asked.SINGLE.value, "one by one"), (Asked.BATCHES.value, "in batches of 100"),
            (Asked.LEASES.value, "in batches, rules with leases"),
        ],
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    rules = _whole("Rules that a check meets", 1, 10)
    full = _percent("A core's load at the peak, %", "5", "95")
    counters = _whole("Live counters", 1, 10_000_000_000)
    raw = _percent("Events kept one by one, %")
    raw_days = _whole("for days", 0, 400)

    def load(self) -> Load:
        return Load(
            peak=self.value("peak"), mean=self.share("mean"), asked=Asked(self.value("asked")),
            rules=self.value("rules"), full=self.share("full"), counters=self.value("counters"),
            raw=self.share("raw"), raw_days=self.value("raw_days"),
        )  # fmt: skip
