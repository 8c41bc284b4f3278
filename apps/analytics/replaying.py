"""The tenant's own traffic for apps.limits.replay, inside its scope.

At most MOST checks: where the last 24 hours had more, it is the latest stretch that had as many, and the answer says
so. Rows go over grouped by what the rule looks at, each check as one integer, so that a million cost a second or two.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Sum

from apps.analytics.identifiers import identifier_texts, pseudonym
from apps.analytics.models import CheckMinute
from apps.analytics.ranges import DAY, MINUTE
from apps.limits.replay import (
    AT_SHIFT,
    COST_MASK,
    COST_SHIFT,
    WEIGHT_MASK,
    WEIGHT_SHIFT,
    Group,
    Replayed,
    dimensions_of,
)
from apps.limits.replay import replay as replay_pure
from apps.limits.selectors import overrides_of, sharding_of
from apps.limits.specs import RuleSpec

MOST = 1_000_000
TEXTS_AT_ONCE = 20_000
LONGEST_MS = 15_000
_PREFIX = "attributes."


@dataclass(frozen=True, slots=True)
class Replay:
    """`is_whole`: all of the last 24 hours, not only the latest part of it."""

    found: Replayed
    since: datetime
    until: datetime
    is_whole: bool
    took_ms: int


def replay(*, tenant_id: int, spec: RuleSpec, rule_id: int | None, now: datetime) -> Replay:
    """`rule_id` None is a rule that is not saved yet. Raises django.db.OperationalError past LONGEST_MS."""
    started = time.monotonic()
    since, is_whole = _since(now)
    found = replay_pure(
        spec,
        _groups(dimensions_of(spec), namespace=spec.namespace, since=since, until=now),
        rule_id=rule_id or 0,
        overrides=overrides_of(tenant_id=tenant_id, rule_id=rule_id) if rule_id else [],
        sharding=sharding_of(tenant_id),
        since=since,
        until=now,
    )
    return Replay(found, since, now, is_whole, round((time.monotonic() - started) * 1_000))


def _since(now: datetime) -> tuple[datetime, bool]:
    """From when on there are at most MOST checks, and whether that is all of the last 24 hours."""
    begin = (now - DAY).replace(second=0, microsecond=0) + MINUTE
    counted = CheckMinute.objects.filter(at__gte=begin).values("at").annotate(n=Sum("allowed") + Sum("denied"))
    total = 0
    for row in counted.order_by("-at"):
        total += row["n"]
        if total > MOST:
            return min(row["at"] + MINUTE, now - MINUTE), False
    return begin, True


def _groups(dimensions: list[str], *, namespace: str, since: datetime, until: datetime) -> Iterator[Group]:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {LONGEST_MS}")
        cursor.execute(*_question(dimensions, namespace, since, until))
        rows = cursor.fetchall()
    texts = _texts({digest for row in rows for digest in row[2:] if digest is not None})
    for live, checks, *digests in rows:
        values: dict[str, Any] = {"ip": None, "route": None, "user": None}
        attributes: dict[str, str] = {}
        for dimension, digest in zip(dimensions, digests, strict=True):
            if digest is None:
                continue
            if dimension.startswith(_PREFIX):
                attributes[dimension.removeprefix(_PREFIX)] = texts.get(digest) or pseudonym(digest)
            else:
                values[dimension] = texts.get(digest) or _stand_in(dimension, digest)
        yield Group(live=live, attributes=attributes, checks=checks, **values)


def _question(dimensions: list[str], namespace: str, since: datetime, until: datetime) -> tuple[str, list[Any]]:
    columns, names = [], []
    for dimension in dimensions:
        if dimension.startswith(_PREFIX):
            columns.append("(attributes ->> %s)::bigint")
            names.append(dimension.removeprefix(_PREFIX))
        else:
            columns.append(f'"{dimension}"')
    selected = "".join(f", {column}" for column in columns)
    places = "".join(f", {place}" for place in range(3, 3 + len(columns)))
    doublings = f"CASE weight WHEN 1 THEN 0 ELSE round(ln(weight::float8) / ln(2::float8))::bigint & {WEIGHT_MASK} END"
    packed = (  # in brackets, because << and | bind alike
        f"(floor(date_part('epoch', at - %s::timestamptz) * 1000)::bigint << {AT_SHIFT})"
        f" | (least(cost, {COST_MASK}) << {COST_SHIFT}) | (({doublings}) << {WEIGHT_SHIFT}) | (mode = 'report')::int"
    )
    question = (
        f"SELECT live, array_agg({packed}){selected} FROM analytics_event"  # noqa: S608 - columns are ours
        f" WHERE at >= %s AND at < %s AND namespace = %s GROUP BY 1{places}"
    )
    return question, [since, *names, since, until, namespace]


def _texts(digests: set[int]) -> dict[int, str]:
    ordered = sorted(digests)
    found: dict[int, str] = {}
    for at in range(0, len(ordered), TEXTS_AT_ONCE):
        found |= identifier_texts(ordered[at : at + TEXTS_AT_ONCE])
    return found


def _stand_in(dimension: str, digest: int) -> str:
    """For an identifier whose text is not kept. An address has to be one: of a block that nobody has."""
    if dimension != "ip":
        return pseudonym(digest)
    number = digest & (1 << 28) - 1
    return ".".join(str((0xF000_0000 | number) >> shift & 255) for shift in (24, 16, 8, 0))
