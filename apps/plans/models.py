"""What can be bought, as data: seeded by a migration, edited by staff. Shared schema."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

RULE_TYPES = ["global", "ip", "route", "user", "custom"]


class Plan(models.Model):
    """Money in cents of US dollars, checks per month."""

    code = models.SlugField(max_length=32, primary_key=True)
    name = models.CharField(max_length=40, unique=True)
    price_cents = models.PositiveIntegerField()
    price_is_from = models.BooleanField(default=False, help_text="The contract says the price; this is the least.")
    included_checks = models.PositiveBigIntegerField()
    overage_cents = models.PositiveIntegerField(
        null=True, blank=True, help_text="Per 100,000 checks above those included. Empty: a hard cap, or negotiated."
    )
    overage_is_negotiated = models.BooleanField(default=False)
    rule_types = ArrayField(models.CharField(max_length=16))
    retention_days = models.PositiveIntegerField(help_text="How far back analytics may look.")
    webhooks = models.BooleanField(default=False)
    custom_integrations = models.BooleanField(default=False)
    support = models.CharField(max_length=80)
    sla_percent = models.DecimalField(max_digits=5, decimal_places=3, null=True, blank=True)
    is_listed = models.BooleanField(default=True, help_text="Everybody sees it and may buy it.")
    lasts_days = models.PositiveIntegerField(null=True, blank=True, help_text="A trial ends after so long.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="plans_plan_rule_types", condition=models.Q(rule_types__contained_by=RULE_TYPES)
            ),
            models.CheckConstraint(
                name="plans_plan_one_overage",
                condition=models.Q(overage_cents__isnull=True) | models.Q(overage_is_negotiated=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Contract(models.Model):
    """A plan that is not listed, for one tenant: only it sees the plan and may buy it."""

    plan = models.OneToOneField(Plan, on_delete=models.CASCADE, primary_key=True, related_name="contract")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    term_months = models.PositiveIntegerField(help_text="It cannot be left before so many months are over.")

    def __str__(self) -> str:
        return f"{self.plan_id} for {self.tenant_id}"


class TenantPlan(models.Model):
    """A tenant without a row is on the default plan. Billing periods begin at the hour of `since_at`."""

    tenant = models.OneToOneField("tenants.Tenant", on_delete=models.CASCADE, primary_key=True, related_name="+")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    since_at = models.DateTimeField(db_default=Now())
    spend_cap_cents = models.PositiveIntegerField(
        null=True, blank=True, help_text="The most that checks beyond the included ones may cost a period."
    )

    def __str__(self) -> str:
        return f"{self.tenant_id} on {self.plan_id}"


class Term(models.Model):
    """From `starts_at`, a whole hour, until the tenant's next term it is on this plan. Kept when the tenant goes: bills
    are made of terms. A tenant's time before its first one is on the default plan.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.BigIntegerField()
    starts_at = models.DateTimeField()
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    sold_under = models.CharField(max_length=64, blank=True, help_text="The subscription. Empty: it was given.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant_id", "starts_at"], name="plans_term_one_an_hour")]

    def __str__(self) -> str:
        return f"{self.tenant_id} on {self.plan_id} from {self.starts_at:%Y-%m-%d %H:%M}"


class Renewal(models.Model):
    """Until when what doors know of a tenant's billing period is the latest there is to know."""

    tenant = models.OneToOneField("tenants.Tenant", on_delete=models.CASCADE, primary_key=True, related_name="+")
    due_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.tenant_id} at {self.due_at:%Y-%m-%d %H:%M}"
