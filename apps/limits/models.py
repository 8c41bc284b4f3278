"""Rules of a cell's tenants, and what belongs to them. What one row alone can have wrong, the database refuses too."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now
from django.db.models.lookups import LessThanOrEqual

from apps.core.models import CellRow
from ratelimiter.engine.algorithms.token_bucket import DAY_MS
from ratelimiter.engine.rules import (
    MAX_BUCKET_TICKS,
    MAX_BURST_FACTOR,
    MAX_LOGGED,
    MAX_UNITS,
    MAX_WINDOW_MS,
    MIN_WINDOW_MS,
    Action,
    Algorithm,
    CalendarUnit,
    FailurePolicy,
    RuleMode,
    RuleType,
)

NAME_PATTERN = r"^[a-z0-9_-]{1,64}$"
MAX_KEY = 5
MAX_PRIORITY = 1_000
CALENDAR_WINDOW_MS = {CalendarUnit.DAY.value: 86_400_000, CalendarUnit.MONTH.value: 30 * 86_400_000}
MAX_BREACHES = 10_000
MAX_BLOCK_MS = 7 * 86_400_000  # the first block; those that follow closely double
LEASED = (Algorithm.SLIDING_WINDOW.value, Algorithm.FIXED_WINDOW.value, Algorithm.TOKEN_BUCKET.value)
LOGGED = (Algorithm.SLIDING_LOG.value, Algorithm.CONCURRENCY.value)
MIN_LEASED_LIMIT = 100
LEASE_SHARE = 10  # a lease is at most so many times smaller than the limit
MAX_VALUE = 260  # characters of an override's value: 256 bytes, a backslash and a star
MAX_SHARDS = 64


def _one_of(field: str, values: type[Action | Algorithm | FailurePolicy | RuleMode | RuleType]) -> Q:
    return Q(**{f"{field}__in": [value.value for value in values]})


# A type other than custom is a key.
_KEY_OF_TYPE = Q(type="custom", key__len__gte=1, key__len__lte=MAX_KEY)
for _type, _key in (("global", []), ("ip", ["ip"]), ("route", ["route"]), ("user", ["user"])):
    _KEY_OF_TYPE |= Q(type=_type, key=_key)

_NO_ESCALATION = Q(escalation_breaches=0, escalation_within_ms=0, escalation_block_ms=0)
# What allows or denies counts nothing, so it has nothing that says how.
_GATE = _NO_ESCALATION & ~Q(match={}) & Q(
    type="global", limit=0, window_ms=MIN_WINDOW_MS, algorithm=Algorithm.SLIDING_WINDOW.value, calendar_unit="",
    lease=0, mode=RuleMode.ENFORCE.value, on_failure=FailurePolicy.LOCAL.value,
)  # fmt: skip
_CALENDAR = Q(calendar_unit="", calendar_zone="UTC", calendar_anchor=1)
for _unit, _window_ms in CALENDAR_WINDOW_MS.items():
    _CALENDAR |= Q(
        calendar_unit=_unit, window_ms=_window_ms, algorithm=Algorithm.FIXED_WINDOW.value, calendar_anchor__gte=1,
        calendar_anchor__lte=1 if _unit == CalendarUnit.DAY else 31, calendar_zone__regex=r"^[A-Za-z0-9_+/-]{1,64}$",
    )  # fmt: skip


def _seconds(field: str, most_ms: int) -> Q:
    """Whole seconds from 1 up to a most."""
    return Q(**{f"{field}__gte": 1_000, f"{field}__lte": most_ms, field: F(field) / Value(1_000) * Value(1_000)})


_CAPACITY = Case(When(burst=0, then=F("limit")), default=F("burst"))
_TICKS = Case(When(window_ms__lte=DAY_MS, then=F("window_ms")), default=F("window_ms") / Value(1_000))


class Rule(CellRow):
    """See ratelimiter.engine.rules for what the fields mean; `match` is its Match, `burst` 0 is the limit.

    `calendar_unit` "" is no calendar, `escalation_breaches` 0 no escalation.
    """

    name = models.CharField(max_length=64)
    namespace = models.CharField(max_length=64, default="default")
    type = models.CharField(max_length=16)
    match = models.JSONField(default=dict)
    key = ArrayField(models.CharField(max_length=80), default=list)
    algorithm = models.CharField(max_length=16, default=Algorithm.SLIDING_WINDOW.value)
    limit = models.BigIntegerField()
    window_ms = models.BigIntegerField()
    burst = models.BigIntegerField(default=0)
    mode = models.CharField(max_length=8, default=RuleMode.ENFORCE.value)
    on_failure = models.CharField(max_length=8, default=FailurePolicy.LOCAL.value)
    priority = models.IntegerField(default=0)
    enabled = models.BooleanField(default=True)
    ipv6_prefix = models.SmallIntegerField(default=64)
    # Defaults of the database's own, so that code which does not know these columns yet can write rules beside them.
    action = models.CharField(max_length=8, default=Action.LIMIT.value, db_default=Action.LIMIT.value)
    calendar_unit = models.CharField(max_length=8, blank=True, default="", db_default="")
    calendar_zone = models.CharField(max_length=64, default="UTC", db_default="UTC")
    calendar_anchor = models.SmallIntegerField(default=1, db_default=1)
    escalation_breaches = models.IntegerField(default=0, db_default=0)
    escalation_within_ms = models.BigIntegerField(default=0, db_default=0)
    escalation_block_ms = models.BigIntegerField(default=0, db_default=0)
    lease = models.BigIntegerField(default=0, db_default=0)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "namespace", "name"], name="limits_rule_name_once"),
            models.CheckConstraint(name="limits_rule_name", condition=Q(name__regex=NAME_PATTERN)),
            models.CheckConstraint(name="limits_rule_namespace", condition=Q(namespace__regex=NAME_PATTERN)),
            models.CheckConstraint(name="limits_rule_type", condition=_one_of("type", RuleType)),
            models.CheckConstraint(name="limits_rule_algorithm", condition=_one_of("algorithm", Algorithm)),
            models.CheckConstraint(name="limits_rule_mode", condition=_one_of("mode", RuleMode)),
            models.CheckConstraint(name="limits_rule_on_failure", condition=_one_of("on_failure", FailurePolicy)),
            models.CheckConstraint(name="limits_rule_key", condition=_KEY_OF_TYPE),
            models.CheckConstraint(name="limits_rule_action", condition=_one_of("action", Action)),
            models.CheckConstraint(name="limits_rule_gate", condition=Q(action=Action.LIMIT.value) | _GATE),
            models.CheckConstraint(
                name="limits_rule_limit",
                condition=~Q(action=Action.LIMIT.value) | Q(limit__gte=1, limit__lte=MAX_UNITS),
            ),
            models.CheckConstraint(
                name="limits_rule_logged", condition=~Q(algorithm__in=LOGGED) | Q(limit__lte=MAX_LOGGED)
            ),
            models.CheckConstraint(name="limits_rule_window", condition=_seconds("window_ms", MAX_WINDOW_MS)),
            models.CheckConstraint(name="limits_rule_calendar", condition=_CALENDAR),
            models.CheckConstraint(
                name="limits_rule_escalation",
                condition=_NO_ESCALATION
                | Q(escalation_breaches__gte=1, escalation_breaches__lte=MAX_BREACHES)
                & _seconds("escalation_within_ms", MAX_BLOCK_MS)
                & _seconds("escalation_block_ms", MAX_BLOCK_MS)
                & ~Q(algorithm=Algorithm.CONCURRENCY.value),
            ),
            models.CheckConstraint(
                name="limits_rule_lease",
                condition=Q(lease=0)
                | Q(lease__gte=1, limit__gte=MIN_LEASED_LIMIT, algorithm__in=LEASED)
                & Q(lease__lte=F("limit") / Value(LEASE_SHARE)),
            ),
            models.CheckConstraint(
                name="limits_rule_burst",
                condition=Q(burst=0)
                | Q(
                    burst__gte=1,
                    burst__lte=MAX_UNITS,
                    algorithm=Algorithm.TOKEN_BUCKET.value,
                )
                & Q(burst__lte=F("limit") * Value(MAX_BURST_FACTOR)),
            ),
            models.CheckConstraint(
                name="limits_rule_bucket",
                condition=~Q(algorithm=Algorithm.TOKEN_BUCKET.value)
                | Q(LessThanOrEqual(_CAPACITY * _TICKS, MAX_BUCKET_TICKS)),
            ),
            models.CheckConstraint(
                name="limits_rule_priority", condition=Q(priority__gte=-MAX_PRIORITY, priority__lte=MAX_PRIORITY)
            ),
            models.CheckConstraint(
                name="limits_rule_ipv6_prefix", condition=Q(ipv6_prefix__gte=16, ipv6_prefix__lte=128)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Override(CellRow):
    """See ratelimiter.engine.rules.Override. `limit` 0 blocks, null is unlimited."""

    rule_id = models.BigIntegerField()
    values = ArrayField(models.CharField(max_length=MAX_VALUE))
    limit = models.BigIntegerField(null=True, blank=True)
    burst = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "rule_id", "values"], name="limits_override_values_once"),
            models.CheckConstraint(
                name="limits_override_values", condition=Q(values__len__gte=1, values__len__lte=MAX_KEY)
            ),
            models.CheckConstraint(
                name="limits_override_limit", condition=Q(limit__isnull=True) | Q(limit__gte=0, limit__lte=MAX_UNITS)
            ),
            models.CheckConstraint(
                name="limits_override_burst",
                condition=Q(burst=0)
                | Q(limit__isnull=False, limit__gte=1, burst__gte=1, burst__lte=MAX_UNITS)
                & Q(burst__lte=F("limit") * Value(MAX_BURST_FACTOR)),
            ),
        ]

    def __str__(self) -> str:
        return ", ".join(self.values)


class Sharding(CellRow):
    """A tenant that one slot cannot carry, spread over several; at most one row a tenant, set by staff."""

    shards = models.SmallIntegerField()
    dimension = models.CharField(max_length=80)

    class Meta:
        verbose_name_plural = "sharding"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id"], name="limits_sharding_once"),
            models.CheckConstraint(name="limits_sharding_shards", condition=Q(shards__gte=1, shards__lte=MAX_SHARDS)),
            models.CheckConstraint(name="limits_sharding_dimension", condition=~Q(dimension="")),
        ]

    def __str__(self) -> str:
        return f"{self.shards} by {self.dimension}"
