"""Customers whose lives are told by webhooks, each twice: once in order and at once, once as the network likes.

Both twins live by one test clock and do the same at the same moments. News of the second come one to three times, in
any order, up to three days late, and requests to Stripe fail now and then. What fails is tried again, as Celery does.
"""

import json
import random
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import stripe
from django.db import transaction
from django.test import Client
from djstripe import models

from apps.billing.accounts import account_sync, priced
from apps.billing.gateways.errors import StripeRefused, StripeUnknown
from apps.billing.models import Account, Dunning
from apps.billing.settling import DRAFTS_WAIT
from apps.plans.models import TenantPlan, Term
from apps.plans.periods import hour_of
from apps.plans.selectors import plan_get
from apps.tenants.models import Tenant
from apps.tenants.services import tenant_create
from config.celery import app
from tests.billing.sandbox.rig import SECRET, wait

SINCE = datetime(2026, 1, 5, 9, 20, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATEST = 3 * DAY
GOOD = ("pm_card_visa", "pm_card_mastercard")
BAD = "pm_card_chargeCustomerFail"
WANTED = ("customer", "invoice.", "payment_method", "subscription_schedule", "credit_note")  # see docs/billing.md
TASKS = ("billing.account_sync", "billing.mirror_sync")


class Ticking:
    """The clock's time, and no two moments the same."""

    def __init__(self):
        self.at, self.ticks = SINCE, 0

    def __call__(self):
        self.ticks += 1
        return self.at + timedelta(microseconds=self.ticks)


@dataclass
class Twin:
    tenant_id: int
    customer: str
    news: list = field(default_factory=list)  # (when it comes, a number to break ties, event)
    work: deque = field(default_factory=deque)  # (task, arguments) that were handed over


@dataclass
class Life:
    """What happens to both twins. `plan` is what they pay for, as far as their own doing goes."""

    dice: random.Random
    told: Twin
    late: Twin

    def twins(self):
        return self.told, self.late


class Histories:
    def __init__(self, *, stand_in, gateway, clock, seeds):
        self.stripe, self.gateway, self.clock = stand_in.client, gateway, clock
        self.frozen = self.stripe.test_helpers.test_clocks.create({"frozen_time": int(SINCE.timestamp())}).id
        self.browser = Client()
        self.sent = []
        self.did = Counter()
        self.prices = {
            code: self._surely(lambda code=code: gateway.prices_ensure(priced(plan_get(code))))
            for code in ("startup", "professional")
        }
        self.heard_until = self._surely(lambda: self.stripe.events.list({"limit": 1})).data[0].id
        self.lives = [
            Life(random.Random(seed), self._born(f"told-{seed}"), self._born(f"late-{seed}")) for seed in seeds
        ]
        self.of = {twin.customer: (life, twin) for life in self.lives for twin in life.twins()}

    def live(self, steps):
        for _ in range(steps):
            for life in self.lives:
                if life.dice.random() < 0.6:
                    self._act(life)
            self._pass(
                random.Random(self.clock.at.timestamp()).choice((2 * HOUR, 11 * HOUR, 2 * DAY, 5 * DAY, 16 * DAY))
            )
        for _ in range(4):  # nothing happens any more, but some news are on their way
            self.clock.at += DAY
            self._hear()
        assert not any(twin.news or twin.work for _, twin in self.of.values())

    def _pass(self, span):
        """Time does, in steps of a day at most, so that news come in between."""
        until = self.clock.at + span
        self._hear()
        while self.clock.at < until:
            self.clock.at = min(until, self.clock.at + DAY)
            seconds = int(self.clock.at.timestamp())
            self.stripe.test_helpers.test_clocks.advance(self.frozen, {"frozen_time": seconds})
            wait(lambda: self.stripe.test_helpers.test_clocks.retrieve(self.frozen).status == "ready")
            self._hear()

    def _hear(self):
        self._news_take()
        for life in self.lives:
            for _, _, event in life.told.news:
                self._deliver(life.told, event)
            life.told.news = []
            life.told.work = deque({task: (task, arguments) for task, arguments in life.told.work}.values())
            self._work(life.told, until_done=True)
            due = [one for one in life.late.news if one[0] <= self.clock.at]
            life.late.news = [one for one in life.late.news if one[0] > self.clock.at]
            life.dice.shuffle(due)
            for _, _, event in due:
                self._deliver(life.late, event)
                if life.dice.random() < 0.3:
                    self._work(life.late)
            for _ in range(3):
                self._work(life.late)
            for twin in life.twins():  # what a sweep does by the clock, whatever the news do
                self._surely(lambda twin=twin: self.gateway.charges.drafts_hold(twin.customer, grace=DRAFTS_WAIT))

    def _news_take(self):
        """In the order in which they happened, each to its twin."""
        fresh = []
        while True:
            asked = {"limit": 100, "ending_before": self.heard_until}
            page = self._surely(lambda asked=asked: self.stripe.events.list(asked))
            if not page.data:
                break
            self.heard_until = page.data[0].id
            fresh += page.data[::-1]
        for number, event in enumerate(event for event in fresh if event.type.startswith(WANTED)):
            concerned = event.data.object
            customer = concerned.id if concerned.object == "customer" else getattr(concerned, "customer", None)
            before = getattr(event.data, "previous_attributes", None)
            life, twin = self.of.get(customer or getattr(before, "customer", None), (None, None))
            if twin is None:
                continue
            if twin is life.told:
                twin.news.append((self.clock.at, number, event))
                continue
            for _ in range(life.dice.choice((1, 1, 2, 3))):
                twin.news.append((self.clock.at + life.dice.random() * LATEST, number, event))

    def _deliver(self, twin, event):
        body = json.dumps(event.to_dict(), default=str)
        moment = int(time.time())
        signature = stripe.WebhookSignature._compute_signature(f"{moment}.{body}", SECRET)
        answer = self.browser.post(
            "/stripe/webhook", body, content_type="application/json",
            headers={"Stripe-Signature": f"t={moment},v1={signature}"},
        )  # fmt: skip
        assert answer.status_code == 200
        twin.work.extend(one for one in self.sent if one[0] in TASKS)
        self.sent.clear()
        self.did["deliveries"] += 1

    def _work(self, twin, *, until_done=False):
        """What fails waits for the next time."""
        for _ in range(len(twin.work)):
            task, arguments = twin.work.popleft()
            while True:
                try:
                    app.tasks[task](**arguments)
                except StripeUnknown:
                    self.did["failed"] += 1
                    if until_done:
                        continue
                    twin.work.append((task, arguments))
                break
            self.did["tasks"] += 1
        self.sent.clear()

    def _surely(self, ask):
        """What a person does is done once, whatever goes wrong on the way."""
        while True:
            try:
                return ask()
            except (StripeUnknown, stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError):
                continue

    def _born(self, slug):
        with transaction.atomic():
            tenant = tenant_create(name=slug, owner_id=None, slug=slug)
        Tenant.objects.filter(pk=tenant.id).update(created_at=SINCE - DAY)
        made = self._surely(lambda: self.stripe.customers.create({"name": "Ada", "test_clock": self.frozen}))
        twin = Twin(tenant.id, made.id)
        self._card(twin, GOOD[0])
        Account.objects.create(tenant_id=tenant.id, customer=made.id)
        return twin

    # What people do

    def _act(self, life):
        held = self._held(life.told)
        if held is None:
            what, argument = life.dice.choice((("buy", "startup"), ("buy", "professional"), ("details", None)))
        else:
            code = held["items"].data[0].price.metadata["plan"]
            changes = [("upgrade", "professional")] if code == "startup" else [("downgrade", "startup")]
            if held.schedule or held.cancel_at_period_end:
                changes = [("keep", None)]
            if held.status == "past_due":
                changes = [("pay", None)]
            what, argument = life.dice.choice(
                (*changes, *changes, ("end", None), ("cancel", None), ("card", life.dice.choice((*GOOD, BAD))),
                 ("detach", None), ("details", None), ("note", None))
            )  # fmt: skip
            if what == "end" and (held.schedule or held.status == "past_due"):
                what = "details"
        self.did[what] += 1
        number = life.dice.randrange(1_000_000)
        for twin in life.twins():
            getattr(self, f"_{what}")(twin, argument, number)

    def _held(self, twin):
        found = self._surely(lambda: self.stripe.subscriptions.list({"customer": twin.customer}))
        return found.data[0] if found.data else None

    def _buy(self, twin, code, number):
        base, *metered = self.prices[code]
        items = [{"price": base, "quantity": 1}, *({"price": price} for price in metered)]
        wanted = {"customer": twin.customer, "items": items}
        key = {"idempotency_key": f"buy-{twin.customer}-{number}"}
        self._surely(lambda: self.stripe.subscriptions.create(wanted, key))

    def _upgrade(self, twin, code, number):
        """As the portal does: Stripe is asked at once, whatever its news do."""
        held = self._held(twin)
        with suppress(StripeRefused):  # a declined card changes nothing
            self._surely(
                lambda: self.gateway.subscriptions.upgrade(held.id, code=code, prices=self.prices[code], lines=())
            )
        with suppress(StripeUnknown):
            account_sync(self.gateway, customer=twin.customer, now=self.clock())

    def _downgrade(self, twin, code, number):
        held = self._held(twin)
        if not held.schedule:
            self._surely(lambda: self._downgraded(held.id, code))

    def _downgraded(self, subscription, code):
        if self.stripe.subscriptions.retrieve(subscription).schedule is None:
            self.gateway.subscriptions.change_at_renewal(subscription, code=code, prices=self.prices[code])
        schedule = self.stripe.subscriptions.retrieve(subscription, {"expand": ["schedule"]}).schedule
        if "plan" not in schedule.metadata.to_dict():  # it broke in between
            self.gateway.subscriptions.change_at_renewal(subscription, code=code, prices=self.prices[code])

    def _keep(self, twin, _, number):
        self._surely(lambda: self.gateway.subscriptions.keep(self._held(twin).id))

    def _end(self, twin, _, number):
        self._surely(lambda: self.gateway.subscriptions.end_at_renewal(self._held(twin).id))

    def _cancel(self, twin, _, number):
        held = self._held(twin).id
        self._surely(lambda: self._canceled(held))

    def _canceled(self, subscription):
        if self.stripe.subscriptions.retrieve(subscription).status != "canceled":
            self.stripe.subscriptions.cancel(subscription)

    def _card(self, twin, card, number=0):
        method = self._surely(
            lambda: self.stripe.payment_methods.attach(
                card, {"customer": twin.customer}, {"idempotency_key": f"card-{twin.customer}-{number}"}
            )
        )
        said = {"invoice_settings": {"default_payment_method": method.id}}
        self._surely(lambda: self.stripe.customers.update(twin.customer, said))

    def _detach(self, twin, _, number):
        """All but the one that is charged."""
        customer = self._surely(lambda: self.stripe.customers.retrieve(twin.customer))
        methods = self._surely(lambda: self.stripe.payment_methods.list({"customer": twin.customer})).data
        for method in methods:
            if method.id != customer.invoice_settings.default_payment_method:
                self._surely(lambda method=method: self._detached(method.id))

    def _detached(self, method):
        if self.stripe.payment_methods.retrieve(method).customer:
            self.stripe.payment_methods.detach(method)

    def _details(self, twin, _, number):
        self._surely(lambda: self.stripe.customers.update(twin.customer, {"email": f"{number}@example.com"}))

    def _pay(self, twin, _, number):
        self._card(twin, GOOD[1], number)
        opened = self._surely(lambda: self.stripe.invoices.list({"customer": twin.customer, "status": "open"})).data
        for invoice in opened:
            self._surely(lambda invoice=invoice: self._paid(invoice.id))

    def _paid(self, invoice):
        if self.stripe.invoices.retrieve(invoice).status == "open":
            self.stripe.invoices.pay(invoice)

    def _note(self, twin, _, number):
        paid = self._surely(lambda: self.stripe.invoices.list({"customer": twin.customer, "status": "paid"})).data
        first = min(paid, key=lambda one: (one.created, one.number), default=None)
        if first and first.total - first.post_payment_credit_notes_amount > 100:
            said = {"invoice": first.id, "amount": 100, "credit_amount": 100}
            key = {"idempotency_key": f"note-{first.id}-{number}"}
            self._surely(lambda: self.stripe.credit_notes.create(said, key))


def state_of(twin):
    """Ours and the mirror's, without the names that Stripe gives to things."""
    account = Account.objects.get(tenant_id=twin.tenant_id)
    subscriptions = [one.stripe_data for one in models.Subscription.objects.filter(customer_id=twin.customer)]
    subscriptions.sort(key=lambda one: (one["created"], one["ended_at"] or 0, one["id"] == account.subscription))
    places = {one["id"]: place for place, one in enumerate(subscriptions)}
    invoices = [one.stripe_data for one in models.Invoice.objects.filter(customer_id=twin.customer)]
    names = "status", "total", "amount_remaining", "attempt_count", "next_payment_attempt", "billing_reason", "created"
    owed = Dunning.objects.filter(tenant_id=twin.tenant_id).first()
    customer = models.Customer.objects.get(id=twin.customer)
    return {
        "account": (
            places.get(account.subscription), account.status, account.ends_at, account.renews_at,
            account.next_plan_code,
        ),
        "terms": list(
            Term.objects.filter(tenant_id=twin.tenant_id).order_by("starts_at").values_list("plan_id", "starts_at")
        ),
        "plan": [
            (held.plan_id, hour_of(held.since_at)) for held in TenantPlan.objects.filter(tenant_id=twin.tenant_id)
        ],
        "subscriptions": [
            (one["status"], one["created"], one["ended_at"], one["cancel_at_period_end"], bool(one["schedule"]))
            for one in subscriptions
        ],
        "invoices": sorted(
            (tuple(invoice[name] for name in names) for invoice in invoices), key=str
        ),
        "cards": sorted(
            (one.stripe_data["card"]["last4"], one.id == customer.default_payment_method_id)
            for one in models.PaymentMethod.objects.filter(customer_id=twin.customer)
        ),
        "email": customer.email,
        "owed": owed and (owed.cents, owed.since_at, owed.retried_at),
    }  # fmt: skip
