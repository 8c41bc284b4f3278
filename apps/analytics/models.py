"""What a tenant may read of its traffic: views on the tables of the schema `analytics`; see apps.analytics.tables.

Inside a scope they hold the tenant's rows, outside they raise. They write nothing but `Preference` and `Marker`.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.core.models import NextRowId


class _CheckTotals(models.Model):
    """Checks of one stretch of time, which begins at `at`. `cost` is of the allowed; see ratelimiter.events.totals."""

    pk = models.CompositePrimaryKey("tenant_id", "at", "namespace", "live")
    tenant_id = models.BigIntegerField()
    at = models.DateTimeField()
    namespace = models.TextField()
    live = models.BooleanField()
    allowed = models.BigIntegerField()
    denied = models.BigIntegerField()
    shadow_denied = models.BigIntegerField()
    degraded = models.BigIntegerField()
    billable = models.BigIntegerField()
    cost = models.BigIntegerField()
    latency = ArrayField(models.BigIntegerField())

    class Meta:
        abstract = True


class CheckMinute(_CheckTotals):
    class Meta:
        managed = False
        db_table = "analytics_check_minute"


class CheckHour(_CheckTotals):
    class Meta:
        managed = False
        db_table = "analytics_check_hour"


class CheckDay(_CheckTotals):
    class Meta:
        managed = False
        db_table = "analytics_check_day"


class _RuleTotals(models.Model):
    """What one rule said in one stretch of time. Inline limits are rule 0."""

    pk = models.CompositePrimaryKey("tenant_id", "at", "rule_id")
    tenant_id = models.BigIntegerField()
    at = models.DateTimeField()
    rule_id = models.BigIntegerField()
    allowed = models.BigIntegerField()
    denied = models.BigIntegerField()
    shadow_denied = models.BigIntegerField()
    cost = models.BigIntegerField()

    class Meta:
        abstract = True


class RuleMinute(_RuleTotals):
    class Meta:
        managed = False
        db_table = "analytics_rule_minute"


class RuleHour(_RuleTotals):
    class Meta:
        managed = False
        db_table = "analytics_rule_hour"


class RuleDay(_RuleTotals):
    class Meta:
        managed = False
        db_table = "analytics_rule_day"


class DimHour(models.Model):
    """An hour of one value of a dimension: `route`, `ip`, `user` (by digest) or `key` (by id); digest 0 is the rest."""

    pk = models.CompositePrimaryKey("tenant_id", "at", "dimension", "digest")
    tenant_id = models.BigIntegerField()
    at = models.DateTimeField()
    dimension = models.TextField()
    digest = models.BigIntegerField()
    allowed = models.BigIntegerField()
    denied = models.BigIntegerField()
    cost = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "analytics_dim_hour"


class OffenderHour(models.Model):
    """Whom a rule denied most in an hour, by `ip` or `user`."""

    pk = models.CompositePrimaryKey("tenant_id", "at", "rule_id", "dimension", "digest")
    tenant_id = models.BigIntegerField()
    at = models.DateTimeField()
    rule_id = models.BigIntegerField()
    dimension = models.TextField()
    digest = models.BigIntegerField()
    denied = models.BigIntegerField()
    shadow_denied = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "analytics_offender_hour"


class Event(models.Model):
    """One check. Identifiers are digests of Identifier; `weight` is how many checks the row stands for."""

    id = models.TextField(primary_key=True)
    tenant_id = models.BigIntegerField()
    at = models.DateTimeField()
    key_id = models.BigIntegerField()
    live = models.BooleanField()
    mode = models.TextField()
    allowed = models.BooleanField()
    degraded = models.BooleanField()
    reason = models.TextField()
    cost = models.BigIntegerField()
    latency_us = models.BigIntegerField()
    namespace = models.TextField()
    weight = models.IntegerField()
    ip = models.BigIntegerField(null=True)
    route = models.BigIntegerField(null=True)
    user = models.BigIntegerField(null=True)
    attributes = models.JSONField(null=True)  # name → digest
    results = ArrayField(models.BigIntegerField())

    class Meta:
        managed = False
        db_table = "analytics_event"


class Identifier(models.Model):
    """The text behind a digest. `kind` is ip, route, user or attribute:<name>. Pseudonymised ones have no row."""

    pk = models.CompositePrimaryKey("tenant_id", "digest")
    tenant_id = models.BigIntegerField()
    digest = models.BigIntegerField()
    kind = models.TextField()
    value = models.TextField()

    class Meta:
        managed = False
        db_table = "analytics_identifier"


class Settled(models.Model):
    """Every check before `until` has been counted, of every door that lives. One row, of the house."""

    one = models.BooleanField(primary_key=True)
    until = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "analytics_settled"


class Salt(models.Model):
    """The key of all digests. One row, of the house."""

    one = models.BooleanField(primary_key=True)
    salt = models.BinaryField()

    class Meta:
        managed = False
        db_table = "analytics_salt"


class LateHour(models.Model):
    """An hour that got `checks` more after it had settled."""

    pk = models.CompositePrimaryKey("tenant_id", "at")
    tenant_id = models.BigIntegerField()
    at = models.DateTimeField()
    checks = models.BigIntegerField()
    found_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "analytics_late_hour"


class Preference(models.Model):
    tenant_id = models.BigIntegerField(primary_key=True)
    pseudonymise = models.BooleanField(default=False)

    class Meta:
        managed = False
        db_table = "analytics_preference"


class Marker(models.Model):
    """Something that happened, for the time axis of charts."""

    id = models.BigIntegerField(primary_key=True, db_default=NextRowId(), editable=False)
    tenant_id = models.BigIntegerField()
    at = models.DateTimeField()
    kind = models.TextField(choices=[("deploy", "Deploy"), ("rule", "Rule")])
    text = models.TextField()

    class Meta:
        managed = False
        db_table = "analytics_marker"
