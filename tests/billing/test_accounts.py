"""Terms are as Stripe's subscriptions were, however late and however seldom we hear of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from apps.billing.accounts import account_sync, accounts_unseen
from apps.billing.gateways.subscriptions import Subscribed
from apps.billing.models import Account
from apps.plans.models import TenantPlan, Term
from apps.plans.periods import hour_of
from apps.plans.selectors import plan_of, quota_of
from apps.plans.services import plan_set

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
BEGUN = NOW - 20 * DAY
STARTUP = Subscribed("sub_1", "active", "startup", BEGUN, BEGUN + 30 * DAY, None, None, "")


@pytest.fixture
def tenant_id(transactional_db, bob):
    """On Free for 90 days, and known to Stripe."""
    TenantPlan.objects.filter(tenant_id=bob.tenant_id).delete()
    Term.objects.filter(tenant_id=bob.tenant_id).delete()
    TenantPlan.objects.create(tenant_id=bob.tenant_id, plan_id="free", since_at=NOW - 90 * DAY)
    Account.objects.create(tenant_id=bob.tenant_id, customer="cus_1")
    return bob.tenant_id


def hear(*subscriptions, at=NOW):
    stripe = SimpleNamespace(subscriptions=SimpleNamespace(of=lambda customer: list(subscriptions)))
    return account_sync(stripe, customer="cus_1", now=at)


def terms(tenant_id):
    return list(Term.objects.filter(tenant_id=tenant_id).order_by("starts_at").values_list("plan_id", "starts_at"))


def test_a_plan_begins_when_stripe_says_not_when_we_hear(tenant_id):
    hear(STARTUP)
    assert terms(tenant_id) == [("startup", hour_of(BEGUN))]
    assert quota_of(tenant_id, NOW).period.starts_at == hour_of(BEGUN)


def test_a_renewal_begins_no_term(tenant_id):
    hear(STARTUP)
    hear(replace(STARTUP, since=NOW - DAY), at=NOW + DAY)
    assert terms(tenant_id) == [("startup", hour_of(BEGUN))]


def test_what_began_and_ended_unheard_of_has_its_terms(tenant_id):
    ended = replace(STARTUP, status="canceled", ended_at=BEGUN + 5 * DAY)
    again = replace(STARTUP, id="sub_2", plan_code="professional", since=BEGUN + 9 * DAY)
    expected = [
        ("startup", hour_of(BEGUN)),
        ("free", hour_of(BEGUN + 5 * DAY)),
        ("professional", hour_of(BEGUN + 9 * DAY)),
    ]
    for _ in range(3):
        assert hear(ended, again).subscription == "sub_2"
        assert terms(tenant_id) == expected


@pytest.mark.parametrize("is_over", [False, True])
def test_a_plan_that_was_left_before_we_heard_of_it_has_its_term(tenant_id, is_over):
    upgraded = replace(STARTUP, plan_code="professional", since=BEGUN + 2 * DAY, before=(("startup", BEGUN),))
    expected = [("startup", hour_of(BEGUN)), ("professional", hour_of(BEGUN + 2 * DAY))]
    if is_over:
        upgraded = replace(upgraded, status="canceled", ended_at=BEGUN + 5 * DAY)
        expected.append(("free", hour_of(BEGUN + 5 * DAY)))
    for _ in range(2):
        hear(upgraded)
        assert terms(tenant_id) == expected


def test_a_smaller_plan_that_began_and_ended_unheard_of_has_its_term(tenant_id):
    hear(replace(STARTUP, plan_code="professional", next_plan_code="startup"), at=NOW - 15 * DAY)
    ended = replace(STARTUP, status="canceled", since=BEGUN + 12 * DAY, ended_at=BEGUN + 14 * DAY)
    for _ in range(2):
        hear(ended)
        assert terms(tenant_id) == [
            ("professional", hour_of(BEGUN)),
            ("startup", hour_of(BEGUN + 12 * DAY)),
            ("free", hour_of(BEGUN + 14 * DAY)),
        ]


def test_an_end_that_we_knew_nothing_of_is_when_it_was(tenant_id):
    hear(STARTUP, at=NOW - 10 * DAY)
    for late in range(2):
        hear(replace(STARTUP, status="canceled", ended_at=NOW - 3 * DAY), at=NOW + late * DAY)
    assert terms(tenant_id) == [("startup", hour_of(BEGUN)), ("free", hour_of(NOW - 3 * DAY))]


def test_what_ends_and_is_bought_again_in_the_same_moment_stays_bought(tenant_id):
    hear(STARTUP, at=NOW - 10 * DAY)
    end = NOW - 3 * DAY
    ended = replace(STARTUP, status="canceled", ended_at=end)
    again = replace(STARTUP, id="sub_2", since=end, renews_at=end + 30 * DAY)
    hear(ended, again, at=NOW - 2 * DAY)
    hear(ended, replace(again, since=NOW - DAY), at=NOW)  # renewed since
    assert terms(tenant_id) == [("startup", hour_of(BEGUN)), ("startup", hour_of(end))]


def test_an_old_subscription_says_nothing_about_a_plan_that_staff_gave(tenant_id):
    ended = replace(STARTUP, status="canceled", ended_at=BEGUN + DAY)
    hear(ended)
    plan_set(tenant_id=tenant_id, code="enterprise")
    hear(ended, at=NOW + DAY)
    assert plan_of(tenant_id).code == "enterprise"


def test_a_subscription_that_nobody_paid_for_ends(tenant_id):
    hear(STARTUP, at=NOW - 10 * DAY)
    held = {"sub_1": replace(STARTUP, status="unpaid")}

    class Subscriptions:
        def of(self, customer):
            return list(held.values())

        def cancel(self, ident):
            held[ident] = replace(held[ident], status="canceled", ended_at=NOW)

    account = account_sync(SimpleNamespace(subscriptions=Subscriptions()), customer="cus_1", now=NOW)
    assert (account.status, account.subscription) == ("", "")
    assert terms(tenant_id) == [("startup", hour_of(BEGUN)), ("free", hour_of(NOW))]


def test_what_comes_next_is_remembered(tenant_id):
    account = hear(replace(STARTUP, next_plan_code="free", ends_at=BEGUN + 30 * DAY))
    assert (account.next_plan_code, account.ends_at) == ("free", BEGUN + 30 * DAY)
    assert hear(STARTUP, at=NOW + DAY).next_plan_code == ""


def test_whoever_renews_is_looked_at_until_it_is_done(tenant_id):
    hear(STARTUP)

    def is_looked_at(*, after, seen_after, renews_at=NOW):
        Account.objects.update(seen_at=NOW + timedelta(minutes=seen_after), renews_at=renews_at)
        return accounts_unseen(now=NOW + timedelta(minutes=after)) == ["cus_1"]

    assert not is_looked_at(after=-1, seen_after=-6)
    assert is_looked_at(after=1, seen_after=-4)
    assert is_looked_at(after=6, seen_after=1)  # Stripe was not done
    assert not is_looked_at(after=6, seen_after=1, renews_at=NOW + 30 * DAY)
    assert not is_looked_at(after=16, seen_after=11)
