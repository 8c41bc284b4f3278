"""Rules of a cell's tenants. Whatever can be said about one row alone, the database refuses too."""

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
    MAX_UNITS,
    MAX_WINDOW_MS,
    MIN_WINDOW_MS,
    Algorithm,
    FailurePolicy,
    RuleMode,
    RuleType,
)

NAME_PATTERN = r"^[a-z0-9_-]{1,64}$"
MAX_KEY = 5
MAX_PRIORITY = 1_000


def _one_of(field: str, values: type[Algorithm | FailurePolicy | RuleMode | RuleType]) -> Q:
    return Q(**{f"{field}__in": [value.value for value in values]})


# A type other than custom is a key.
_KEY_OF_TYPE = Q(type="custom", key__len__gte=1, key__len__lte=MAX_KEY)
for _type, _key in (("global", []), ("ip", ["ip"]), ("route", ["route"]), ("user", ["user"])):
    _KEY_OF_TYPE |= Q(type=_type, key=_key)

_CAPACITY = Case(When(burst=0, then=F("limit")), default=F("burst"))
_TICKS = Case(When(window_ms__lte=DAY_MS, then=F("window_ms")), default=F("window_ms") / Value(1_000))


class Rule(CellRow):
    """See ratelimiter.engine.rules for what the fields mean; `match` is its Match, `burst` 0 is the limit."""

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
            models.CheckConstraint(name="limits_rule_limit", condition=Q(limit__gte=1, limit__lte=MAX_UNITS)),
            models.CheckConstraint(
                name="limits_rule_window",
                condition=Q(window_ms__gte=MIN_WINDOW_MS, window_ms__lte=MAX_WINDOW_MS)
                & Q(window_ms=F("window_ms") / Value(1_000) * Value(1_000)),
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
