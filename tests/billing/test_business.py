"""What staff read of the business: revenue and who stays, a forecast, and what it takes to run it."""

import re
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from apps.billing.business import measured
from apps.billing.business.capacity import Asked, Load, plan
from apps.billing.business.costs import TOTAL_DOLLARS
from apps.billing.business.forecast import Assumptions, forecast, signups_for
from apps.billing.business.measures import Span, cohorts, conversions, movements, recurring
from apps.billing.business.selectors import business
from apps.plans.services import plan_set
from apps.tenants.services import user_create
from ratelimiter.events.spool import PARTITIONS
from tests.factories import PASSWORD
from tests.people import Browser

NOW = datetime(2026, 4, 15, tzinfo=UTC)
STARTUP, PROFESSIONAL = 4_900, 19_900


def day(month, number):
    return datetime(2026, month, number, tzinfo=UTC)


SPANS = (
    Span(1, STARTUP, day(1, 10), day(3, 5)),  # grew
    Span(1, PROFESSIONAL, day(3, 5), None),
    Span(2, STARTUP, day(1, 20), day(2, 20)),  # left, and came back
    Span(2, STARTUP, day(4, 2), None),
    Span(3, PROFESSIONAL, day(2, 1), day(3, 9)),  # shrank
    Span(3, STARTUP, day(3, 9), None),
    Span(4, STARTUP, day(3, 3), day(3, 30)),  # came and went within a month
)
SIGNUPS = {1: day(1, 1), 2: day(1, 20), 3: day(1, 31), 4: day(2, 28), 5: day(1, 2), 6: day(4, 1)}


class TestMeasures:
    def test_who_pays_at_a_moment_pays_the_price_of_then(self):
        assert recurring(SPANS, day(3, 6)) == {1: PROFESSIONAL, 3: PROFESSIONAL, 4: STARTUP}
        assert recurring(SPANS, day(1, 11)) == {1: STARTUP}

    def test_movements_lead_from_each_month_to_the_next(self):
        moved = movements(SPANS, SIGNUPS, now=NOW, months=4)
        changes = [
            (one.new_cents, one.returned_cents, one.grew_cents, one.shrank_cents, one.left_cents) for one in moved
        ]
        assert changes == [
            (2 * STARTUP, 0, 0, 0, 0),
            (PROFESSIONAL, 0, 0, 0, STARTUP),
            (0, 0, PROFESSIONAL - STARTUP, PROFESSIONAL - STARTUP, 0),
            (0, STARTUP, 0, 0, 0),
        ]  # fmt: skip
        assert [one.after_cents for one in moved[:-1]] == [one.before_cents for one in moved[1:]]
        assert moved[-1].after_cents == sum(recurring(SPANS, NOW).values())
        assert [one.payers for one in moved] == [2, 2, 2, 3]
        assert [one.signups for one in moved] == [4, 1, 0, 1]

    def test_churn_is_of_those_who_paid_and_revenue_kept_is_net_of_growth(self):
        february, march = movements(SPANS, SIGNUPS, now=NOW, months=3)[:2]
        assert (february.churn, february.revenue_kept) == (Fraction(1, 2), Fraction(1, 2))
        assert (march.churn, march.revenue_kept) == (0, 1)

    def test_without_payers_there_is_no_churn(self):
        [only] = movements([], {}, now=NOW, months=1)
        assert (only.churn, only.revenue_kept) == (None, None)

    def test_cohorts_say_who_still_pays_month_by_month(self):
        assert [(one.starts_at.month, one.payers, one.kept) for one in cohorts(SPANS, now=NOW, months=4)] == [
            (1, 2, (1, Fraction(1, 2), Fraction(1, 2), 1)),
            (2, 1, (1, 1, 1)),
            (3, 1, (0, 0)),
        ]

    def test_conversion_is_by_the_month_of_signing_up(self):
        shares = [one.share for one in conversions(SPANS, SIGNUPS, now=NOW, months=4)]
        assert shares == [Fraction(3, 4), 1, None, 0]


class TestForecast:
    def test_the_documents_assumptions_do_not_bring_its_five_hundred_customers(self):
        last = list(forecast(Assumptions()))[-1]
        assert last.payers == 51
        assert last.cost_cents == 6_500_000

    def test_it_says_how_many_sign_ups_would(self):
        needed = signups_for(Assumptions(), 500)
        assert list(forecast(Assumptions(signups=needed)))[-1].payers >= 500
        assert list(forecast(Assumptions(signups=needed - 10)))[-1].payers < 500
        assert signups_for(Assumptions(conversion=Fraction(0)), 500) is None
        assert signups_for(Assumptions(payers=1_000), 500) == 0

    def test_where_all_who_sign_up_pay_it_is_a_sum_without_churn(self):
        assumed = Assumptions(signups=10, conversion=Fraction(1), churn=Fraction(0), growth=Fraction(1))
        assert [one.payers for one in forecast(assumed)][:4] == [10, 30, 70, 150]
        assert next(forecast(assumed)).revenue_cents == 10 * 12_500


class TestCapacity:
    def test_what_was_measured_is_what_the_pages_of_docs_say(self):
        page = Path(settings.BASE_DIR, "docs/performance.md").read_text()
        for rules, cost in measured.SINGLE.items():
            name = f"door, {rules} rule{'s' if rules > 1 else ''}, 64 tenants"
            assert cells(page, name)[1::2][:2] == [f"{cost.door_us}", f"{cost.redis_us}"]
        assert cells(page, "door, batches, 64 tenants")[1::2][:2] == ["10.1", "3.6"]
        assert (measured.BATCHES.door_us, measured.BATCHES.redis_us) == (10.1, 3.6)
        assert cells(page, "door, leases, 64 tenants")[1::2][:2] == ["7.8", "0.3"]
        assert (measured.LEASES.door_us, measured.LEASES.redis_us) == (7.8, 0.3)
        assert f"{measured.EVENT_BYTES} bytes when 32 come together" in page
        assert f"takes {measured.COUNTER_BYTES} bytes" in page
        ingest = Path(settings.BASE_DIR, "docs/ingest-performance.md").read_text()
        assert "| yes | 1 | 1,000 | 50,000 | 20 | 12.83 | 10.68 |" in ingest
        assert "| no | 1 | 1,000 | 50,000 | 20 | 3.12 | 1.32 |" in ingest
        assert f"A raw row takes {measured.RAW_BYTES} bytes" in ingest
        assert pytest.approx(23.51) == measured.INGEST_US
        assert pytest.approx(4.44) == measured.INGEST_SUMS_US
        assert measured.PARTITIONS == PARTITIONS

    def test_the_documents_load_costs_what_its_table_says_beside_ours(self):
        planned = plan(Load())
        assert planned.document_cents == TOTAL_DOLLARS * 100
        counts = {part.name: part.count for part in planned.parts}
        assert (
            counts["Rate limiter"] == 4
        )  # 100,000 x 22.1 µs are 2.2 cores, half full 4.4, on 3 machines, and one more
        assert counts["Redis"] == 2 * 3
        assert planned.cents < planned.document_cents

    def test_ten_times_the_load_takes_more_of_what_grows_and_no_more_of_the_rest(self):
        small, large = plan(Load()), plan(Load(peak=1_000_000))
        grown = {a.name for a, b in zip(small.parts, large.parts, strict=True) if b.count > a.count}
        assert grown == {"Rate limiter", "Redis", "TimescaleDB", "Kafka"}
        assert large.cents > small.cents

    def test_batches_and_leases_take_less(self):
        cents = [plan(Load(peak=1_000_000, asked=asked)).cents for asked in (Asked.SINGLE, Asked.BATCHES, Asked.LEASES)]
        assert cents == sorted(cents, reverse=True)
        assert len(set(cents)) == 3

    def test_more_consumers_than_partitions_are_pointed_out(self):
        assert plan(Load()).fits_partitions
        assert not plan(Load(peak=5_000_000, raw=Fraction(1))).fits_partitions


def cells(page, name):
    [line] = re.findall(rf"^\| {re.escape(name)} \|.*$", page, re.MULTILINE)
    return [cell.strip() for cell in line.split("|")[2:-1]]


class TestPages:
    @pytest.fixture
    def staff(self, db):
        user_create(email="staff@example.com", password=PASSWORD, is_staff=True)
        return Browser().into("staff@example.com")

    def test_a_plan_that_was_sold_is_revenue_and_one_that_was_given_is_none(self, alice, bob):
        plan_set(tenant_id=alice.tenant_id, code="professional")
        plan_set(tenant_id=bob.tenant_id, code="startup", sold_under="sub_1")
        assert [(span.tenant_id, span.cents) for span in business().spans] == [(bob.tenant_id, STARTUP)]

    def test_the_business_page_shows_it(self, staff, bob):
        plan_set(tenant_id=bob.tenant_id, code="startup", sold_under="sub_1")
        page = staff.get(reverse("admin:billing_business")).content.decode()
        assert "$49.00" in page
        assert "$588.00" in page

    def test_assumptions_are_in_the_address_and_wrong_ones_are_said(self, staff):
        page = staff.get(reverse("admin:billing_business"), {"f_conversion": "100", "f_churn": "0"}).content.decode()
        assert "1,200" in page
        page = staff.get(reverse("admin:billing_business"), {"f_months": "0"}).content.decode()
        assert "The usual value was taken." in page

    def test_the_planner_shows_both_tables(self, staff):
        page = staff.get(reverse("admin:billing_capacity"), {"peak": "5000000", "raw": "100"}).content.decode()
        assert "$6,300" in page
        assert "more than the bus has partitions" in page

    @pytest.mark.parametrize("name", ["billing_business", "billing_capacity"])
    def test_nobody_else_sees_them(self, name, alices):
        assert alices.get(reverse(f"admin:{name}")).status_code == 302

    def test_every_section_of_the_staffs_menu_leads_somewhere(self, staff):
        page = staff.get(reverse("admin:index"))
        links = [item["link"] for group in page.context["sidebar_navigation"] for item in group["items"]]
        assert len(links) == 19
        answers = {str(link): staff.get(link).status_code for link in links}
        assert {link for link, status in answers.items() if status not in (200, 302)} == set()
