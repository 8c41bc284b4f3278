"""Tenants who live for a simulated year: the product, with Stripe's stand-in, and the oracle beside it.

Time goes in steps. A step lets the stand-in's clock advance, tells our side of every customer of whom there is news, as
webhooks would, does what tenants do, lets usage arrive, some of it late, and runs the jobs that the beat runs.
"""

import random
from datetime import UTC, datetime

from apps.billing import settling
from apps.billing.accounts import account_sync, priced
from apps.billing.changes import plan_change, plan_keep
from apps.billing.ledger import usage_post
from apps.billing.models import Account
from apps.billing.overage import overage_make
from apps.billing.tasks import period_end, periods_of
from apps.billing.telling import overage_tell
from apps.plans.selectors import plan_get
from tests.billing.sandbox.rig import wait
from tests.billing.year.oracle import DAY, HOUR, PLANS, RETRIES, Life, floor_hour

STEPS = ((2, 50), (9, 20), (9, 50), (14, 50), (21, 20), (21, 50))  # hour, minute
ACTIONS = ((9, 20), (21, 20))
GOOD, BAD = "pm_card_visa", "pm_card_chargeCustomerFail"


class Tenant:
    def __init__(self, tenant_id, customer, begun, chance):
        self.id, self.customer = tenant_id, customer
        self.life = Life(begun)
        self.chance = chance
        self.repaired_at = None
        self.busy = chance.choice((0.2, 1.0, 1.6))  # of what its plan includes, about


class Simulation:
    """`clock` is what our side takes for the time."""

    def __init__(self, *, gateway, stripe, metering, clock, seed, since):
        self.gateway, self.stripe, self.metering, self.clock = gateway, stripe, metering, clock
        self.chance = random.Random(seed)
        self.now = since
        self.frozen = stripe.test_helpers.test_clocks.create({"frozen_time": int(since.timestamp())}).id
        self.tenants = {}
        self.news_after = None
        self.late = []  # (when it is found, tenant, hour, units)
        self.counted_until = floor_hour(since)
        self.did = dict.fromkeys(("buy", "upgrade", "downgrade", "cancel", "keep", "break", "repair", "late"), 0)

    def join(self, tenant_id):
        customer = self.stripe.customers.create({"name": str(tenant_id), "test_clock": self.frozen}).id
        self._card(customer, GOOD)
        Account.objects.create(tenant_id=tenant_id, customer=customer)
        self.tenants[customer] = Tenant(tenant_id, customer, self.now, random.Random(self.chance.random()))

    def live(self, until):
        day = self.now.date()
        while True:
            for hour, minute in STEPS:
                at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                if at > until:
                    return
                if at > self.now:
                    self._step(at, acts=(hour, minute) in ACTIONS)
            day += DAY

    def _step(self, at, *, acts):
        self.now = at
        self.clock.now = at
        self.stripe.test_helpers.test_clocks.advance(self.frozen, {"frozen_time": int(at.timestamp())})
        wait(lambda: self.stripe.test_helpers.test_clocks.retrieve(self.frozen).status == "ready")
        for customer in self._news():
            account_sync(self.gateway, customer=customer, now=at)
            self.gateway.charges.drafts_hold(customer, grace=settling.DRAFTS_WAIT)
        for tenant in self.tenants.values():
            tenant.life.roll(at)
            if acts:
                self._act(tenant)
        self._count()
        usage_post(self.metering, now=at, period_end=period_end)
        overage_make(self.metering, now=at, periods_of=periods_of)
        customers = {tenant.id: tenant.customer for tenant in self.tenants.values()}
        overage_tell(self.metering, self.gateway, customers=customers, now=at)
        settling.periods_settle(self.metering, self.gateway, now=at)

    def _news(self):
        """Customers of whom something was said since the last time."""
        concerned = set()
        while True:
            after = {"ending_before": self.news_after} if self.news_after else {}
            page = self.stripe.events.list({"limit": 100, **after})
            if page.data:
                self.news_after = page.data[0].id
            for event in page.data:
                customer = getattr(event.data.object, "customer", None)
                if customer in self.tenants:
                    concerned.add(customer)
            if not page.has_more or not after:
                return sorted(concerned)

    def _act(self, tenant):
        life, chance = tenant.life, tenant.chance
        if tenant.repaired_at is not None and self.now >= tenant.repaired_at:
            self._repair(tenant)
        elif life.card_fails or life.failing_since:
            return
        elif not life.is_sold:
            if chance.random() < 0.05:
                self._buy(tenant, chance.choice(("startup", "professional")))
        elif life.pending:
            if chance.random() < 0.02:
                plan_keep(self.gateway, tenant_id=tenant.id, now=self.now)
                life.pending = ""
                self.did["keep"] += 1
        elif chance.random() < 0.02:
            self._change(tenant)

    def _change(self, tenant):
        life, chance = tenant.life, tenant.chance
        what = chance.choice(("up", "up", "down", "cancel", "break"))
        if what == "break":
            self._card(tenant.customer, BAD)
            life.card_fails = True
            tenant.repaired_at = self.now + chance.randrange(2, 60) * DAY
            self.did["break"] += 1
        elif what == "up" and life.plan == "startup":
            plan_change(self.gateway, tenant_id=tenant.id, code="professional", now=self.now)
            life.change("professional", self.now)
            self.did["upgrade"] += 1
        elif what == "down" and life.plan == "professional":
            plan_change(self.gateway, tenant_id=tenant.id, code="startup", now=self.now)
            life.pending = "startup"
            self.did["downgrade"] += 1
        elif what == "cancel":
            plan_change(self.gateway, tenant_id=tenant.id, code="free", now=self.now)
            life.pending = "free"
            self.did["cancel"] += 1

    def _buy(self, tenant, code):
        """As checkout does it."""
        base, *metered = self.gateway.prices_ensure(priced(plan_get(code)))
        items = [{"price": base, "quantity": 1}, *({"price": price} for price in metered)]
        self.stripe.subscriptions.create({"customer": tenant.customer, "items": items})
        account_sync(self.gateway, customer=tenant.customer, now=self.now)
        tenant.life.change(code, self.now)
        self.did["buy"] += 1

    def _repair(self, tenant):
        """Another card, and what is owed is paid, unless all tries are over."""
        self._card(tenant.customer, GOOD)
        tenant.life.card_fails = False
        tenant.repaired_at = None
        if tenant.life.failing_since and self.now < tenant.life.failing_since + RETRIES[-1]:
            for invoice in self.stripe.invoices.list({"customer": tenant.customer, "status": "open"}).data:
                self.stripe.invoices.pay(invoice.id)
            tenant.life.failing_since = None
        self.did["repair"] += 1

    def _card(self, customer, card):
        method = self.stripe.payment_methods.attach(card, {"customer": customer})
        self.stripe.customers.update(customer, {"invoice_settings": {"default_payment_method": method.id}})

    def _count(self):
        """Usage of the hours since the last step, and what is found late of hours before."""
        until = floor_hour(self.now)
        hours = [self.counted_until + n * HOUR for n in range((until - self.counted_until) // HOUR)]
        rows = []
        for tenant in self.tenants.values():
            for hour in hours:
                if tenant.chance.random() < (0.25 if hour.hour in (8, 20) else 0.015):
                    self._use(tenant, hour, rows)
        due = [one for one in self.late if one[0] <= self.now]
        self.late = [one for one in self.late if one[0] > self.now]
        for _, tenant, hour, units in due:
            rows.append((tenant.id, hour, units))
            tenant.life.use(hour, units, self.now)
            self.did["late"] += 1
        self._insert(rows, [(tenant.id, hour, units) for _, tenant, hour, units in due])
        self.counted_until = until

    def _use(self, tenant, hour, rows):
        most = PLANS[tenant.life.plan].included * tenant.busy / 13  # about 26 times a month, half of it each
        units = tenant.chance.randrange(1, int(most))
        if tenant.chance.random() < 0.06:
            found_at = self.now + tenant.chance.randrange(1, 70) * HOUR
            self.late.append((found_at, tenant, hour, units))
            return
        rows.append((tenant.id, hour, units))
        tenant.life.use(hour, units, hour)

    def _insert(self, rows, late):
        with self.metering.cursor() as cursor, self.metering.transaction():
            cursor.executemany(
                "INSERT INTO analytics.check_hour AS t (tenant_id, at, namespace, live, allowed, denied, shadow_denied,"
                " degraded, billable, cost, latency)"
                " VALUES (%s, %s, 'default', true, 0, 0, 0, 0, %s, 0, array_fill(0::bigint, ARRAY[32]))"
                " ON CONFLICT (tenant_id, at, namespace, live) DO UPDATE SET billable = t.billable + excluded.billable",
                rows,
            )
            cursor.executemany(
                "INSERT INTO analytics.late_hour (tenant_id, at, checks, found_at) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (tenant_id, at) DO UPDATE SET found_at = excluded.found_at",
                [(*row, self.now) for row in late],
            )
            cursor.execute("UPDATE analytics.settled SET until = %s", [floor_hour(self.now)])
