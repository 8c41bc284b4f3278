"""What a tenant may read of the ledger: views on the schema `billing`. Inside a scope they hold the tenant's rows."""

from django.db import models
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
