"""What a tenant may read of the ledger: views on the schema `billing`. Inside a scope they hold the tenant's rows."""

from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

CHECKS = "checks"  # the meter of billable checks
PAYING = ("active", "trialing", "past_due")  # past due is being collected; the plan stays meanwhile


class Usage(models.Model):
    """A row of the ledger, never changed. `delta` may be negative; it is billed in `billing_hour`."""

    pk = models.CompositePrimaryKey("tenant_id", "meter", "usage_hour", "seq")
    tenant_id = models.BigIntegerField()
    meter = models.TextField()
    usage_hour = models.DateTimeField()
    seq = models.IntegerField()
    delta = models.BigIntegerField()
    billing_hour = models.DateTimeField()
    posted_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "billing_usage"


class Posted(models.Model):
    """How far the ledger is. One row, of the house."""

    one = models.BooleanField(primary_key=True)
    until = models.DateTimeField()
    late_until = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "billing_posted"


class Account(models.Model):
    """A tenant as Stripe's customer, and its subscription as it was seen last. Of the house, not of the tenant."""

    tenant_id = models.BigIntegerField(primary_key=True)
    customer = models.CharField(max_length=64, unique=True)
    subscription = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=32, blank=True, help_text="Stripe's word for the subscription's state.")
    ends_at = models.DateTimeField(null=True, blank=True, help_text="When it ends, if it is not to renew.")
    renews_at = models.DateTimeField(null=True, blank=True, help_text="When the period ends that it is in.")
    next_plan_code = models.CharField(max_length=32, blank=True, help_text="The plan that begins at the renewal.")
    settle_at = models.DateTimeField(null=True, blank=True, help_text="When a period may have ended that is unsettled.")
    changing_until = models.DateTimeField(null=True, blank=True, help_text="While Stripe is asked to change the plan.")
    ended_by_deletion = models.BooleanField(
        default=False, db_default=False, help_text="It does not renew because the organisation is to be deleted."
    )
    plan_after_deletion = models.CharField(
        max_length=32, blank=True, db_default="", help_text="The plan that was to begin, should it be taken back."
    )
    created_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(null=True, blank=True, help_text="When Stripe was asked last.")

    def __str__(self) -> str:
        return f"{self.tenant_id} as {self.customer}"


class Settlement(models.Model):
    """A period that is over: cents that it came to, and cents that Stripe had charged for it."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.BigIntegerField()
    period_at = models.DateTimeField()
    billed_cents = models.BigIntegerField()
    charged_cents = models.BigIntegerField()
    made_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(
        null=True, blank=True, help_text="When Stripe had the correction, if one was needed."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "period_at"], name="billing_settlement_one_a_period")
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} from {self.period_at:%Y-%m-%d %H:%M}"

    @property
    def correction_cents(self) -> int:
        return self.billed_cents - self.charged_cents


class Mirrored(models.Model):
    """Until when what dj-stripe's tables say of a customer holds; also the lock under which it is written."""

    customer = models.CharField(max_length=64, primary_key=True)
    asked_at = models.DateTimeField(null=True, db_index=True)

    def __str__(self) -> str:
        return self.customer


class Dunning(models.Model):
    """A tenant that owes what could not be collected: the oldest such invoice. Of the house; every page looks here."""

    tenant_id = models.BigIntegerField(primary_key=True)
    invoice = models.CharField(max_length=64)
    number = models.CharField(max_length=64)
    cents = models.BigIntegerField()
    since_at = models.DateTimeField()
    retried_at = models.DateTimeField(null=True, help_text="Empty: it is not tried again by itself.")
    url = models.URLField(max_length=2_000, help_text="Where it can be paid.")

    def __str__(self) -> str:
        return f"{self.tenant_id} owes {self.number}"


class Giving(models.Model):
    """Money that staff give back, and why. Kept for ever; Stripe knows it by its reference."""

    class Kind(models.TextChoices):
        CREDIT = "credit", "credit for invoices to come"
        REFUND = "refund", "refund of an invoice"

    id = models.BigAutoField(primary_key=True)
    reference = models.UUIDField(default=uuid4, unique=True, editable=False)
    tenant_id = models.BigIntegerField(db_index=True)
    kind = models.CharField(max_length=8, choices=Kind)
    invoice = models.CharField(max_length=64, blank=True)
    cents = models.PositiveIntegerField()
    reason = models.CharField(max_length=200)
    given_by = models.EmailField(help_text="Of the staff.")
    made_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True, help_text="When Stripe had it.")
    stripe_id = models.CharField(max_length=64, blank=True)
    refused = models.CharField(max_length=200, blank=True, help_text="What Stripe said against it.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="billing_giving_has_its_invoice",
                condition=Q(kind="credit", invoice="") | Q(kind="refund") & ~Q(invoice=""),
            ),
            models.CheckConstraint(name="billing_giving_reason", condition=~Q(reason="") & Q(cents__gt=0)),
        ]
        indexes = [
            models.Index(fields=["made_at"], name="billing_giving_open", condition=Q(done_at__isnull=True, refused=""))
        ]

    def __str__(self) -> str:
        return f"{self.kind} of ${self.cents / 100:,.2f}"


class Invoice(models.Model):
    """A tenant's at Stripe, but for drafts. Money in cents; the period is the one that its newest line is for."""

    id = models.TextField(primary_key=True)
    tenant_id = models.BigIntegerField()
    number = models.TextField()
    status = models.TextField()
    made_at = models.DateTimeField()
    period_starts_at = models.DateTimeField(null=True)
    period_ends_at = models.DateTimeField(null=True)
    total_cents = models.BigIntegerField()
    remaining_cents = models.BigIntegerField()
    credited_cents = models.BigIntegerField()
    page_url = models.TextField()
    pdf_url = models.TextField()
    paid_cents = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "billing_invoice"


class KeptInvoice(models.Model):
    """What the law has us keep of an invoice when its tenant is gone; the document is at Stripe. Money in cents."""

    id = models.CharField(max_length=64, primary_key=True)
    tenant_id = models.BigIntegerField()
    number = models.CharField(max_length=64)
    status = models.CharField(max_length=32)
    made_at = models.DateTimeField()
    period_starts_at = models.DateTimeField(null=True)
    period_ends_at = models.DateTimeField(null=True)
    total_cents = models.BigIntegerField()
    paid_cents = models.BigIntegerField()
    credited_cents = models.BigIntegerField()

    def __str__(self) -> str:
        return self.number


class Card(models.Model):
    """A tenant's way to pay, as Stripe keeps it. `last4` is all that is known of its number."""

    id = models.TextField(primary_key=True)
    tenant_id = models.BigIntegerField()
    brand = models.TextField()
    last4 = models.TextField()
    exp_month = models.IntegerField()
    exp_year = models.IntegerField()
    is_default = models.BooleanField()

    class Meta:
        managed = False
        db_table = "billing_card"


class Happening(models.Model):
    """What others may want to hear of a tenant's money, once per (kind, key), on its way to `billing-events`."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.BigIntegerField()
    kind = models.CharField(max_length=32)
    key = models.CharField(max_length=120)
    facts = models.JSONField()
    at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant_id", "kind", "key"], name="billing_happening_once")]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(sent_at__isnull=True), name="billing_happening_unsent")
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.tenant_id}"


class Contact(models.Model):
    """Whom Stripe writes to about a tenant, and what it writes on invoices."""

    id = models.TextField(primary_key=True)
    tenant_id = models.BigIntegerField()
    email = models.TextField()
    tax_ids = ArrayField(models.TextField())

    class Meta:
        managed = False
        db_table = "billing_contact"


class SpendAlert(models.Model):
    """Said when a period's checks beyond the included ones cost that many cents."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.BigIntegerField()
    cents = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "cents"], name="billing_spendalert_once"),
            models.CheckConstraint(name="billing_spendalert_cents", condition=Q(cents__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} at {self.cents} cents"
