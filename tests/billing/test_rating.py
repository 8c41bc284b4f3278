"""Bills, against sums written another way."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.billing.money import cents_from_micro, dollars, share_cents
from apps.billing.rating import BilledPeriod, LineKind, Terms, bill, cheaper_with, overage_micro_cents

START = datetime(2026, 1, 31, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
FREE = Terms("free", "Free", 0, 100_000, None)
STARTUP = Terms("startup", "Startup", 4_900, 1_000_000, overage_micro_cents(500))
PROFESSIONAL = Terms("professional", "Professional", 19_900, 10_000_000, overage_micro_cents(300))

prices = st.integers(0, 10**7)
hours = st.integers(1, 744)


def period(terms=STARTUP, *, lasted=672, full=672):
    return BilledPeriod(START, START + lasted * HOUR, START + full * HOUR, terms)


def rounded(cents: Fraction) -> int:
    exact = Decimal(cents.numerator) / Decimal(cents.denominator)
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


@given(st.integers(-(10**15), 10**15))
def test_micro_cents_round_half_away_from_zero(micro_cents):
    assert cents_from_micro(micro_cents) == rounded(Fraction(micro_cents, 1_000_000))


@given(prices, st.integers(0, 744), hours)
def test_a_share_rounds_half_away_from_zero_and_parts_make_the_whole_within_a_cent(cents, part, whole):
    part = min(part, whole)
    assert share_cents(cents, part=part, whole=whole) == rounded(Fraction(cents * part, whole))
    both = share_cents(cents, part=part, whole=whole) + share_cents(cents, part=whole - part, whole=whole)
    assert abs(both - cents) <= 1
    assert share_cents(-cents, part=part, whole=whole) == -share_cents(cents, part=part, whole=whole)


@pytest.mark.parametrize(
    ("micro_cents", "text"),
    [
        (0, "$0.00"),
        (5_000, "$0.00005"),
        (4_900_000_000, "$49.00"),
        (-123_450_000, "-$1.2345"),
        (10**14, "$1,000,000.00"),
    ],
)
def test_money_is_written_exactly(micro_cents, text):
    assert dollars(micro_cents) == text


def test_a_whole_month_within_the_included_checks_costs_its_price():
    made = bill(period(), 1_000_000)
    assert [(line.kind, line.amount_cents) for line in made.lines] == [(LineKind.BASE, 4_900)]


def test_checks_beyond_cost_the_same_each():
    made = bill(period(), 1_234_567)
    assert made.lines[1].quantity == made.overage == 234_567
    assert made.lines[1].amount_cents == rounded(Fraction(234_567 * 500, 100_000)) == 1_173
    assert made.total_cents == 6_073


def test_a_plan_that_ends_at_its_included_checks_never_bills_more():
    assert bill(period(FREE), 109_999).total_cents == 0


def test_a_month_that_was_cut_short_owes_its_hours_and_includes_their_share():
    made = bill(period(lasted=168), 260_000)
    assert made.period.included == 250_000
    assert {line.kind: line.amount_cents for line in made.lines} == {
        LineKind.BASE: 4_900, LineKind.UNUSED: -3_675, LineKind.OVERAGE: 50,
    }  # fmt: skip


def test_where_overage_makes_the_next_plan_cheaper():
    assert cheaper_with(bill(period(), 3_900_000), [FREE, PROFESSIONAL]) is None
    assert cheaper_with(bill(period(), 4_100_000), [FREE, PROFESSIONAL]) == (PROFESSIONAL, 500)
    assert cheaper_with(bill(period(), 90_000), [FREE, PROFESSIONAL]) == (FREE, 4_900)
