"""Invoices, the card, and what every page says while something is owed."""

import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from apps.billing.gateways.stripe import gateway
from apps.billing.mirroring import mirror_sync
from apps.billing.models import Account, Dunning
from tests.billing.sandbox.rig import DAY, HOUR, START
from tests.factories import colleague_make
from tests.people import Browser


@pytest.fixture
def at(free):
    client = Browser().into(free.email)
    return lambda path, **more: client.get(f"/t/{free.slug}/{path}", **more)


def text(answer):
    return " ".join(answer.content.decode().split())


def look(customer):
    assert mirror_sync(gateway(), customer=customer.id, now=timezone.now())


def owe(tenant_id, **facts):
    since = datetime(2026, 2, 1, 1, tzinfo=UTC)
    known = {
        "invoice": "in_1",
        "number": "RL-0002",
        "cents": 4_900,
        "since_at": since,
        "url": "https://pay.example/in_1",
    }
    Dunning.objects.create(tenant_id=tenant_id, **(known | {"retried_at": since + timedelta(days=3)} | facts))


class TestInvoices:
    def test_without_a_purchase_the_page_says_so(self, free, at):
        page = text(at("invoices"))
        assert "Nothing has been bought yet" in page
        assert "There is none yet" in page

    def test_each_has_number_date_period_total_state_page_and_file(self, shop, customer, at):
        shop.advance(START + 31 * DAY + HOUR)
        look(customer)
        page = text(at("invoices"))
        first, second = shop.invoices(customer)
        for invoice in (first, second):
            for words in (invoice.number, invoice.hosted_invoice_url, invoice.invoice_pdf):
                assert words in page
        assert page.index(second.number) < page.index(first.number)
        for words in ("1 Jan to 1 Feb 2026", "1 Feb to 1 Mar 2026", "$49.00", "Paid"):
            assert words in page

    def test_what_is_due_void_and_credited_reads_so(self, shop, customer, at):
        first = shop.invoices(customer)[0]
        shop.v1.credit_notes.create({"invoice": first.id, "amount": 900, "credit_amount": 900})
        shop.card(customer, "pm_card_chargeCustomerFail")
        shop.advance(START + 31 * DAY + HOUR)
        look(customer)
        page = text(at("invoices"))
        assert "$9.00 credited" in page
        assert "$40.00 due" in page
        shop.v1.invoices.void_invoice(shop.invoices(customer)[-1].id)
        look(customer)
        assert "Void" in text(at("invoices"))

    def test_a_period_takes_few_queries(self, shop, customer, at, django_assert_max_num_queries):
        shop.advance(START + 200 * DAY)
        look(customer)
        with django_assert_max_num_queries(15):
            assert at("invoices").status_code == 200


class TestCard:
    def test_it_is_shown_with_its_end(self, shop, customer, at):
        look(customer)
        page = text(at("invoices"))
        assert 'Visa ending in <span class="number">4242</span>' in page
        assert "Expires at the end of" in page

    @pytest.mark.parametrize(("year", "words"), [(2025, "Expired at the end of January 2025"), (2099, "Expires")])
    def test_one_that_is_over_says_so(self, shop, customer, at, year, words):
        card = {"number": "4242424242424242", "exp_month": 1, "exp_year": 2099, "cvc": "123"}
        method = shop.v1.payment_methods.create({"type": "card", "card": card})
        shop.v1.payment_methods.attach(method.id, {"customer": customer.id})
        shop.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
        look(customer)
        from djstripe.models import PaymentMethod

        row = PaymentMethod.objects.get(id=method.id)
        row.stripe_data["card"]["exp_year"] = year
        row.save()
        assert words in text(at("invoices"))

    def test_it_is_changed_on_stripes_page_and_shown_when_one_is_back(self, shop, customer, free, stand_in):
        client = Browser().into(free.email)
        answer = client.post(f"/t/{free.slug}/invoices/portal")
        assert answer["Location"].startswith(stand_in.url)
        shop.card(customer, "pm_card_mastercard")
        page = text(client.get(f"/t/{free.slug}/invoices/back", follow=True))
        assert "Mastercard ending in" in page

    def test_there_is_no_page_for_who_bought_nothing(self, selling, free):
        client = Browser().into(free.email)
        answer = client.post(f"/t/{free.slug}/invoices/portal", follow=True)
        assert "there is nothing to pay" in text(answer)


class TestDunning:
    def test_every_page_says_what_happened_since_when_and_what_follows(self, free, at, counters):
        owe(free.tenant_id)
        for path in ("", "rules", "keys", "plan", "bill", "invoices", "team", "settings"):
            page = text(at(path))
            for words in ("A payment of $49.00 failed", "1 Feb 2026, 01:00", "tried again on", "4 Feb 2026", "RL-0002"):
                assert words in page, (path, words)
            assert page.count('href="https://pay.example/in_1"') == 1

    def test_when_it_is_not_tried_again_the_page_says_what_that_means(self, free, at):
        owe(free.tenant_id, retried_at=None)
        assert "the plan that it was for has ended; you are on Free" in text(at("keys"))
        Account.objects.create(tenant_id=free.tenant_id, customer="cus_1", status="past_due")
        assert "It is not tried again by itself. " in text(at("keys"))

    def test_who_may_not_pay_is_told_who_may(self, free):
        owe(free.tenant_id)
        with transaction.atomic():
            colleague_make(free.tenant_id, "developer", email="dev@bob.example")
        page = text(Browser().into("dev@bob.example").get(f"/t/{free.slug}/keys"))
        assert "An owner or a billing member can pay it" in page
        assert "pay.example" not in page

    def test_others_see_nothing_of_it(self, free, alices, alice):
        owe(free.tenant_id)
        assert "failed" not in text(alices.get(f"/t/{alice.slug}/keys"))

    def test_it_comes_with_a_failed_renewal_and_goes_with_the_payment(self, shop, customer, at):
        shop.card(customer, "pm_card_chargeCustomerFail")
        shop.advance(START + 31 * DAY + HOUR)
        look(customer)
        invoice = shop.invoices(customer)[-1]
        assert invoice.hosted_invoice_url in text(at("keys"))
        shop.card(customer, "pm_card_visa")
        shop.v1.invoices.pay(invoice.id)
        look(customer)
        assert "failed" not in text(at("keys"))


class TestContact:
    def test_who_gets_invoices_is_changed_at_stripe_and_shown(self, shop, customer, free):
        look(customer)
        client = Browser().into(free.email)
        page = text(client.get(f"/t/{free.slug}/invoices"))
        assert 'value="ada@example.com"' in page
        assert "Tax id DE123456789" in page
        answer = client.post(f"/t/{free.slug}/invoices/contact", {"email": "books@bob.example"}, follow=True)
        assert "Invoices go to books@bob.example." in text(answer)
        assert 'value="books@bob.example"' in text(answer)
        assert shop.v1.customers.retrieve(customer.id).email == "books@bob.example"

    def test_nonsense_is_refused_beside_the_field(self, shop, customer, free):
        look(customer)
        answer = Browser().into(free.email).post(f"/t/{free.slug}/invoices/contact", {"email": "nobody"})
        assert answer.status_code == 422
        assert "Enter a valid email address" in text(answer)
        assert shop.v1.customers.retrieve(customer.id).email == "ada@example.com"

    def test_who_bought_nothing_has_nobody_to_tell(self, selling, free):
        answer = (
            Browser().into(free.email).post(f"/t/{free.slug}/invoices/contact", {"email": "a@b.example"}, follow=True)
        )
        assert "there are no invoices" in text(answer)

    def test_a_tax_id_is_typed_on_stripes_page_and_shown_here(self, shop, customer, free):
        client = Browser().into(free.email)
        portal = client.post(f"/t/{free.slug}/invoices/portal")["Location"]
        for value, words in (("ATU12345678", "Tax id ATU12345678"), ("", None)):
            form = urllib.parse.urlencode({"name": "Ada", "email": "ada@example.com", "tax_id": value}).encode()
            urllib.request.urlopen(f"{portal}/details", form).close()
            page = text(client.get(f"/t/{free.slug}/invoices/back", follow=True))
            assert (words in page) if words else ("Tax id" not in page)
