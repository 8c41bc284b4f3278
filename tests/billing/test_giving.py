"""Staff give money back: once, with a reason and a row, whatever breaks on the way."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.billing.gateways.errors import StripeUnknown
from apps.billing.gateways.stripe import gateway
from apps.billing.giving import give, giving_carry, givings_open
from apps.billing.mirroring import mirror_sync
from apps.billing.models import Giving
from apps.core.errors import Invalid, NotFound
from apps.tenants.services import user_create
from tests.billing.sandbox.rig import DAY, HOUR, START
from tests.factories import PASSWORD
from tests.people import Browser

STAFF = "staff@example.com"
CREDIT = {"kind": "credit", "cents": 1_250, "reason": "an hour of 503s on 3 March", "given_by": STAFF}


@pytest.fixture
def seen(customer):
    mirror_sync(gateway(), customer=customer.id, now=timezone.now())
    return customer


@pytest.fixture
def invoice(shop, seen):
    """Its first one, of $49, paid."""
    return shop.invoices(seen)[0]


def refund(invoice, **other):
    return {
        "kind": "refund",
        "cents": 900,
        "reason": "agreed",
        "given_by": STAFF,
        "invoice_number": invoice.number,
    } | other


def balance(shop, customer):
    return shop.v1.customers.retrieve(customer.id).balance


class TestCredit:
    def test_the_next_invoice_costs_less(self, shop, free, customer):
        row = Giving.objects.get(id=give(tenant_id=free.tenant_id, **CREDIT))
        assert row.done_at is not None
        assert row.stripe_id.startswith("cbtxn_")
        assert balance(shop, customer) == -1_250
        shop.advance(START + 31 * DAY + HOUR)
        assert shop.invoices(customer)[-1].amount_paid == 4_900 - 1_250

    def test_it_is_given_once_however_often_it_is_carried(self, shop, free, customer):
        row = give(tenant_id=free.tenant_id, **CREDIT)
        Giving.objects.update(done_at=None)  # as if the worker had been killed before it wrote that down
        giving_carry(gateway(), giving_id=row, now=timezone.now())
        assert Giving.objects.get().done_at is not None
        assert balance(shop, customer) == -1_250

    def test_without_an_answer_it_is_carried_again_later(self, shop, free, customer, monkeypatch, sent):
        give(tenant_id=free.tenant_id, **CREDIT)
        [arguments] = [arguments for task, arguments in sent if task == "billing.giving_carry"]

        def lost(*_, **__):
            raise StripeUnknown("no answer")

        with monkeypatch.context() as broken:
            broken.setattr(type(gateway().credits), "credit", lost)
            with pytest.raises(StripeUnknown):
                giving_carry(gateway(), now=timezone.now(), **arguments)
        assert givings_open(now=timezone.now()) == []
        assert givings_open(now=timezone.now() + timedelta(minutes=6)) == [arguments["giving_id"]]
        giving_carry(gateway(), now=timezone.now(), **arguments)
        assert balance(shop, customer) == -1_250


class TestRefund:
    def test_what_was_paid_goes_back_to_the_card(self, shop, free, customer, invoice):
        row = Giving.objects.get(id=give(tenant_id=free.tenant_id, **refund(invoice)))
        note = shop.v1.credit_notes.retrieve(row.stripe_id)
        assert (note.total, note.memo) == (900, "agreed")
        assert shop.v1.charges.list({"customer": customer.id}).data[0].amount_refunded == 900
        assert balance(shop, customer) == 0

    def test_once_however_often_it_is_carried(self, shop, free, customer, invoice):
        row = give(tenant_id=free.tenant_id, **refund(invoice))
        Giving.objects.update(done_at=None)
        giving_carry(gateway(), giving_id=row, now=timezone.now())
        assert shop.v1.charges.list({"customer": customer.id}).data[0].amount_refunded == 900

    def test_what_is_still_owed_becomes_less(self, shop, free, customer):
        shop.card(customer, "pm_card_chargeCustomerFail")
        shop.advance(START + 31 * DAY + HOUR)
        mirror_sync(gateway(), customer=customer.id, now=timezone.now())
        owed = shop.invoices(customer)[-1]
        give(tenant_id=free.tenant_id, **refund(owed))
        assert shop.v1.invoices.retrieve(owed.id).amount_remaining == 4_000

    def test_no_more_than_there_is(self, free, invoice):
        with pytest.raises(Invalid, match="amount"):
            give(tenant_id=free.tenant_id, **refund(invoice, cents=4_901))

    def test_what_stripe_refuses_stays_as_that(self, shop, free, invoice):
        shop.v1.credit_notes.create({"invoice": invoice.id, "amount": 4_500, "refund_amount": 4_500})  # unheard of
        row = Giving.objects.get(id=give(tenant_id=free.tenant_id, **refund(invoice)))
        assert row.done_at is None
        assert "greater than" in row.refused or "exceed" in row.refused or "amount" in row.refused
        assert givings_open(now=timezone.now() + timedelta(days=1)) == []

    def test_of_an_invoice_of_ones_own(self, free, alice, invoice):
        with pytest.raises(NotFound):
            give(tenant_id=alice.tenant_id, **refund(invoice))
        with pytest.raises(Invalid):
            give(tenant_id=free.tenant_id, **refund(invoice, invoice_number="RL-9999"))


@pytest.mark.parametrize("wrong", [{"cents": 0}, {"cents": 10_000_001}, {"reason": "  "}, {"reason": "x" * 201}])
def test_nonsense_is_refused(free, seen, wrong):
    with pytest.raises(Invalid):
        give(tenant_id=free.tenant_id, **(CREDIT | wrong))
    assert not Giving.objects.exists()


class TestStaff:
    ADD = {"kind": "credit", "invoice_number": "", "dollars": "12.50", "reason": "an hour of 503s"}

    @pytest.fixture
    def staff(self, free):
        user_create(email=STAFF, password=PASSWORD, is_staff=True)
        return Browser().into(STAFF)

    def test_give_on_a_page_of_theirs(self, shop, free, staff, seen):
        answer = staff.post(reverse("admin:billing_giving_add"), self.ADD | {"tenant": free.slug})
        assert answer.status_code == 302, answer.content.decode()[-2000:]
        row = Giving.objects.get()
        assert (row.cents, row.given_by, row.done_at is not None) == (1_250, STAFF, True)
        page = staff.get(reverse("admin:billing_giving_changelist")).content.decode()
        for words in ("$12.50", "an hour of 503s", STAFF, "given"):
            assert words in page
        assert "an hour of 503s" in staff.get(reverse("admin:billing_giving_change", args=[row.id])).content.decode()

    def test_are_told_what_is_wrong(self, staff, free, seen):
        for wrong in ({"tenant": "nobody"}, {"tenant": free.slug, "kind": "refund", "invoice_number": "RL-9999"}):
            answer = staff.post(reverse("admin:billing_giving_add"), self.ADD | wrong)
            assert answer.status_code == 200
            assert "There is no" in answer.content.decode() or "there is no" in answer.content.decode()
        assert not Giving.objects.exists()

    def test_change_nothing_afterwards(self, staff, free, seen):
        row = give(tenant_id=free.tenant_id, **CREDIT)
        assert staff.post(reverse("admin:billing_giving_change", args=[row]), {"reason": "other"}).status_code == 403
        assert staff.post(reverse("admin:billing_giving_delete", args=[row])).status_code == 403

    def test_are_staff(self, free, seen):
        answer = Browser().into(free.email).post(reverse("admin:billing_giving_add"), self.ADD | {"tenant": free.slug})
        assert "/staff/login/" in answer["Location"]
        assert not Giving.objects.exists()
