"""The subscription of an organisation that is to be deleted: it does not renew, unless the deletion is taken back."""

import pytest
from django.utils import timezone

from apps.billing.accounts import account_sync
from apps.billing.changes import plan_change
from apps.billing.erasing import deletion_follow
from apps.billing.gateways.stripe import gateway
from apps.billing.models import Account
from apps.plans.selectors import plan_of
from apps.tenants.privacy.deletion import deletion_ask, deletion_take_back
from tests.billing.buying import checkout, pay
from tests.factories import PASSWORD


@pytest.fixture
def startup(selling, free, page):
    pay(checkout(page))
    page("bought")
    return free


def ask(member):
    return deletion_ask(
        tenant_id=member.tenant_id, name="Bob", user_id=member.user_id, password=PASSWORD, now=timezone.now()
    )


def at_stripe(selling, member):
    account = Account.objects.get(tenant_id=member.tenant_id)
    return account, selling.subscriptions.retrieve(account.subscription)


def test_it_does_not_renew_and_taken_back_it_does(selling, startup):
    ask(startup)
    account, held = at_stripe(selling, startup)
    assert (held.status, held.cancel_at_period_end) == ("active", True)
    assert (account.ends_at, account.ended_by_deletion) == (account.renews_at, True)
    assert plan_of(startup.tenant_id).code == "startup"
    assert not deletion_follow(gateway(), tenant_id=startup.tenant_id, now=timezone.now())
    deletion_take_back(tenant_id=startup.tenant_id, now=timezone.now())
    account, held = at_stripe(selling, startup)
    assert (held.cancel_at_period_end, account.ends_at, account.ended_by_deletion) == (False, None, False)


def test_a_smaller_plan_that_was_to_begin_is_to_begin_again(selling, startup):
    now = timezone.now
    plan_change(gateway(), tenant_id=startup.tenant_id, code="professional", now=now())
    plan_change(gateway(), tenant_id=startup.tenant_id, code="startup", now=now())
    ask(startup)
    account, held = at_stripe(selling, startup)
    assert (held.cancel_at_period_end, account.next_plan_code) == (True, "")
    deletion_take_back(tenant_id=startup.tenant_id, now=now())
    account, held = at_stripe(selling, startup)
    assert (held.cancel_at_period_end, account.ends_at, account.next_plan_code) == (False, None, "startup")
    assert (account.ended_by_deletion, account.plan_after_deletion) == (False, "")


def test_who_had_ended_it_before_has_it_ended_after(selling, startup):
    account, _ = at_stripe(selling, startup)
    selling.subscriptions.update(account.subscription, {"cancel_at_period_end": True})
    account_sync(gateway(), customer=account.customer, now=timezone.now())
    ask(startup)
    deletion_take_back(tenant_id=startup.tenant_id, now=timezone.now())
    account, held = at_stripe(selling, startup)
    assert held.cancel_at_period_end
    assert not account.ended_by_deletion


def test_the_customer_is_deleted_once_however_often_it_is_asked(selling, startup):
    customer = Account.objects.get(tenant_id=startup.tenant_id).customer
    for _ in range(2):
        gateway().customer_delete(customer)
    assert selling.customers.retrieve(customer).deleted
