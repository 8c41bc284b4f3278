"""What a tenant may read of the ledger: views on the schema `billing`. Inside a scope they hold the tenant's rows."""

from django.db import models

CHECKS = "checks"  # the meter of billable checks


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
