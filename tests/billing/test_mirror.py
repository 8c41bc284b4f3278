"""dj-stripe's tables hold what Stripe has, however the news came."""

import json
import os
import pkgutil
import subprocess
import sys
from datetime import timedelta

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from djstripe import models

from apps.billing.gateways import mirror
from apps.billing.gateways.stripe import gateway
from apps.billing.mirroring import mirror_sync, mirrors_unseen
from apps.billing.models import Account, Card, Dunning, Invoice, Mirrored
from apps.billing.tasks import mirror_sync as mirror_task
from apps.core.scope import tenant_scope
from apps.tenants.services import user_create
from tests.billing.sandbox.rig import DAY, HOUR, ROOT, START
from tests.factories import PASSWORD
from tests.people import Browser


def look(customer, now=None):
    return mirror_sync(gateway(), customer=customer.id, now=now or timezone.now())


def seen(member, model):
    with tenant_scope(member.tenant_id):
        return list(model.objects.order_by("id"))


def test_everything_of_a_customer_is_there(shop, free, customer):
    shop.v1.invoice_items.create({"customer": customer.id, "amount": 100, "currency": "usd"})
    shop.advance(START + 32 * DAY)
    assert look(customer)
    counts = {
        kind: getattr(models, kind).objects.count()
        for kind in (
            "Customer", "PaymentMethod", "TaxId", "Product", "Price",
            "Subscription", "SubscriptionItem", "Invoice", "LineItem", "Account", "APIKey",
        )
    }  # fmt: skip
    assert counts == {
        "Customer": 1, "PaymentMethod": 1, "TaxId": 1, "Product": 1, "Price": 2, "Subscription": 1,
        "SubscriptionItem": 2, "Invoice": 2, "LineItem": 4, "Account": 0, "APIKey": 0,
    }  # fmt: skip
    assert sorted((one.status, one.total_cents) for one in seen(free, Invoice)) == [("paid", 4_900), ("paid", 5_000)]
    assert [(card.brand, card.last4, card.is_default) for card in seen(free, Card)] == [("visa", "4242", True)]


def test_looking_again_writes_nothing_anew(shop, customer):
    look(customer)
    updated = models.Invoice.objects.get().djstripe_updated, models.Customer.objects.get().djstripe_updated
    look(customer)
    assert updated == (models.Invoice.objects.get().djstripe_updated, models.Customer.objects.get().djstripe_updated)


def test_what_stripe_has_no_more_is_gone(shop, free, customer):
    look(customer)
    shop.v1.payment_methods.detach(seen(free, Card)[0].id)
    look(customer)
    assert seen(free, Card) == []


def test_an_older_answer_does_not_come_over_a_newer_one(shop, free, customer, monkeypatch):
    early = timezone.now()
    old = mirror.customer_ask(gateway(), customer.id)
    shop.card(customer, "pm_card_mastercard")
    look(customer)
    monkeypatch.setattr(mirror, "customer_ask", lambda *_: old)
    look(customer, early)
    assert {card.brand for card in seen(free, Card)} == {"visa", "mastercard"}
    look(customer, timezone.now())
    assert {card.brand for card in seen(free, Card)} == {"visa"}


def test_stripe_is_asked_outside_of_transactions(shop, customer, monkeypatch):
    asked = []
    original = type(gateway()).answer

    def answer(self, path):
        asked.append((path, connection.in_atomic_block))
        return original(self, path)

    monkeypatch.setattr(type(gateway()), "answer", answer)
    look(customer)
    assert any(path.startswith("/v1/products/") for path, _ in asked), "dj-stripe asked for what it did not know"
    assert {inside for _, inside in asked} == {False}


def test_dj_stripe_does_not_reach_the_network_by_itself(shop, customer):
    with pytest.raises(LookupError):
        models.Customer(id=customer.id).api_retrieve(api_key="sk_test_" + "1" * 24)


def test_a_failed_renewal_is_known_until_it_is_paid(shop, free, customer):
    shop.card(customer, "pm_card_chargeCustomerFail")
    shop.advance(START + 31 * DAY + HOUR)
    look(customer)
    owed = Dunning.objects.get(tenant_id=free.tenant_id)
    assert (owed.cents, owed.since_at.timestamp()) == (4_900, START + 31 * DAY + HOUR)
    assert owed.retried_at - owed.since_at == timedelta(days=3)
    assert owed.url.startswith("http")
    shop.card(customer, "pm_card_visa")
    shop.v1.invoices.pay(owed.invoice)
    look(customer)
    assert not Dunning.objects.exists()


def test_a_purchase_that_failed_is_no_debt(shop, free):
    made = shop.customer("pm_card_chargeCustomerFail")
    Account.objects.create(tenant_id=free.tenant_id, customer=made.id)
    shop.subscribe(made)
    look(made)
    assert seen(free, Invoice)[0].status == "open"
    assert not Dunning.objects.exists()


def test_a_tenant_reads_its_own_and_nobody_reads_without_a_scope(shop, free, alice, customer):
    look(customer)
    assert len(seen(free, Invoice)) == 1
    assert seen(alice, Invoice) == seen(alice, Card) == []
    with pytest.raises(Exception, match="scope"), transaction.atomic():
        list(Invoice.objects.all())


def test_who_was_not_looked_at_for_an_hour_is_looked_at(shop, customer):
    now = timezone.now()
    assert mirrors_unseen(now=now) == [customer.id]
    look(customer, now)
    assert mirrors_unseen(now=now) == []
    assert mirrors_unseen(now=now + timedelta(minutes=61)) == [customer.id]


def test_of_news_that_come_together_the_first_looks_for_all(shop, free, customer):
    heard_at = timezone.now()
    mirror_task(customer=customer.id, heard_at=heard_at.isoformat())
    asked_at = Mirrored.objects.get().asked_at
    mirror_task(customer=customer.id, heard_at=heard_at.isoformat())
    assert Mirrored.objects.get().asked_at == asked_at
    mirror_task(customer=customer.id, heard_at=timezone.now().isoformat())
    assert Mirrored.objects.get().asked_at > asked_at


def test_strangers_are_not_kept(shop, free):
    assert not look(shop.customer())
    assert not models.Customer.objects.exists()
    assert not Mirrored.objects.exists()


def test_what_stripe_said_is_kept_word_for_word(shop, customer):
    look(customer)
    said = json.loads(gateway().answer(f"/v1/invoices?customer={customer.id}&limit=100").body)["data"][0]
    held = models.Invoice.objects.get().stripe_data
    assert {name: held[name] for name in said} == said


class TestTables:
    def test_every_migration_of_dj_stripes_is_in_ours(self):
        import djstripe.migrations

        theirs = {module.name for module in pkgutil.iter_modules(djstripe.migrations.__path__)}
        loaded = MigrationLoader(None).disk_migrations
        ours = {
            name
            for (label, _), migration in loaded.items()
            if label == "djstripe"
            for operation in migration.operations
            for name in getattr(operation, "names", ())
        }
        assert ours == theirs

    def test_they_are_what_its_models_say(self, transactional_db):
        call_command("makemigrations", "djstripe", "billing", check=True, dry_run=True, verbosity=0)
        with connection.cursor() as cursor:
            there = set(connection.introspection.table_names(cursor))
        wanted = {
            model._meta.db_table for model in apps.get_app_config("djstripe").get_models(include_auto_created=True)
        }
        assert wanted <= there

    def test_processes_that_ask_nothing_of_them_start_without_stripe(self):
        ask = "import django, sys; django.setup(); import apps.billing.tasks; print('stripe' in sys.modules)"
        environ = os.environ | {"STRIPE_MIRROR": "false"}
        done = subprocess.run(
            [sys.executable, "-c", ask], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "False"


class TestStaff:
    @pytest.fixture
    def staff(self, free):
        user_create(email="staff@example.com", password=PASSWORD, is_staff=True)
        return Browser().into("staff@example.com")

    @pytest.mark.parametrize("kind", ["customer", "subscription", "invoice", "paymentmethod"])
    def test_they_read_what_stripe_says_and_change_nothing_of_it(self, staff, customer, kind):
        look(customer)
        url = reverse(f"admin:djstripe_{kind}_changelist")
        assert customer.id in staff.get(url, {"q": customer.id}).content.decode()
        row = models.__dict__[{"paymentmethod": "PaymentMethod"}.get(kind, kind.title())].objects.get()
        change = reverse(f"admin:djstripe_{kind}_change", args=[row.pk])
        assert row.id in staff.get(change).content.decode()
        assert staff.post(change, {"id": "other"}).status_code == 403

    def test_they_find_a_tenant_as_a_customer(self, staff, free, customer):
        page = staff.get(reverse("admin:billing_account_changelist"), {"q": customer.id}).content.decode()
        assert customer.id in page

    def test_dj_stripes_own_pages_are_not_there(self, staff):
        with pytest.raises(NoReverseMatch):
            reverse("admin:djstripe_apikey_changelist")
