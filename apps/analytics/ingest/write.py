"""One batch into PostgreSQL, inside the caller's transaction.

Tables in a fixed order and rows in the order of their keys, so that two writers wait for each other and never lock each
other up. Rows go over by COPY into stages of the connection, and from there by one upsert a table.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from apps.analytics.ingest.database import Connection
from apps.analytics.ingest.identifiers import Identifiers
from apps.analytics.ingest.raw import COLUMNS, RawRows, copy_text
from apps.analytics.ingest.tally import Tally
from apps.analytics.tables import TABLE
from ratelimiter.events.totals import ALLOWED, DENIED, LATENCY, LATENCY_BUCKETS, MINUTE_MS, CheckKey, RuleKey, Totals

GRAINS = ("minute", "hour", "day")
GRAIN_MINUTES = {"minute": 1, "hour": 60, "day": 1_440}

CHECK_SUMS = ("allowed", "denied", "shadow_denied", "degraded", "billable", "cost")
RULE_SUMS = ("allowed", "denied", "shadow_denied", "cost")
_LATENCY = ", ".join(f"t.latency[{place}] + excluded.latency[{place}]" for place in range(1, LATENCY_BUCKETS + 1))


_Key = TypeVar("_Key", CheckKey, RuleKey)


def claims_win(connection: Connection, names: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """Of (tenant, check id) those that nobody has counted; they count as counted with the commit."""
    wanted = sorted(names)
    if not wanted:
        return []
    tenants, ids = zip(*wanted, strict=True)
    rows = connection.execute(
        "INSERT INTO analytics.event_once (tenant_id, id) SELECT * FROM unnest(%s::bigint[], %s::text[])"
        " ON CONFLICT DO NOTHING RETURNING tenant_id, id",
        [list(tenants), list(ids)],
    )
    return [(tenant, name) for tenant, name in rows]


def totals_write(connection: Connection, totals: Totals, *, now: datetime) -> None:
    oldest_minute = int((now - TABLE["check_minute"].keep).timestamp() * 1_000) // MINUTE_MS
    _copy(connection, "check_stage", _check_lines(totals, oldest_minute))
    _copy(connection, "rule_stage", _rule_lines(totals, oldest_minute))
    for grain in GRAINS:
        sums = ", ".join(f"{name} = t.{name} + excluded.{name}" for name in CHECK_SUMS)
        connection.execute(
            f"INSERT INTO analytics.check_{grain} AS t SELECT tenant_id, at, namespace, live,"  # noqa: S608
            f" {', '.join(CHECK_SUMS)}, latency FROM check_stage WHERE grain = %s"
            " ORDER BY tenant_id, at, namespace, live"
            f" ON CONFLICT (tenant_id, at, namespace, live) DO UPDATE SET {sums}, latency = ARRAY[{_LATENCY}]",
            [grain],
        )
    for grain in GRAINS:
        sums = ", ".join(f"{name} = t.{name} + excluded.{name}" for name in RULE_SUMS)
        connection.execute(
            f"INSERT INTO analytics.rule_{grain} AS t SELECT tenant_id, at, rule_id, {', '.join(RULE_SUMS)}"  # noqa: S608
            f" FROM rule_stage WHERE grain = %s ORDER BY tenant_id, at, rule_id"
            f" ON CONFLICT (tenant_id, at, rule_id) DO UPDATE SET {sums}",
            [grain],
        )


def late_write(connection: Connection, totals: Totals, *, settled: datetime) -> None:
    """Hours that had settled before these checks came."""
    settled_minute = int(settled.timestamp()) // 60
    late: dict[tuple[int, int], int] = {}
    for (tenant, minute, _namespace, _live), numbers in totals.checks.items():
        if minute < settled_minute:
            place = (tenant, minute // 60 * 60)
            late[place] = late.get(place, 0) + numbers[ALLOWED] + numbers[DENIED]
    for (tenant, minute), checks in sorted(late.items()):
        connection.execute(
            "INSERT INTO analytics.late_hour AS t (tenant_id, at, checks) VALUES (%s, %s, %s)"
            " ON CONFLICT (tenant_id, at) DO UPDATE SET checks = t.checks + excluded.checks, found_at = now()",
            [tenant, datetime.fromtimestamp(minute * 60, UTC), checks],
        )


def raw_write(connection: Connection, raw: RawRows, identifiers: Identifiers, *, pseudonymised: set[int]) -> None:
    if raw.lines:
        with connection.cursor() as cursor, cursor.copy(f"COPY analytics.event ({COLUMNS}) FROM STDIN") as copy:
            copy.write("".join(raw.lines))
    rows = [
        f"{tenant}\t{digest}\t{copy_text(kind)}\t{copy_text(value)}\n"
        for (tenant, kind, value), digest in identifiers.fresh.items()
        if kind == "route" or tenant not in pseudonymised
    ]
    if rows:
        _copy(connection, "identifier_stage", rows)
        connection.execute(
            "INSERT INTO analytics.identifier SELECT DISTINCT ON (tenant_id, digest) * FROM identifier_stage"
            " ORDER BY tenant_id, digest ON CONFLICT DO NOTHING"
        )


def progress_write(connection: Connection, tally: Tally) -> None:
    """Sources, gaps and dead letters."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO analytics.ingest_source AS t (boot, partition, last_seq, heard_at, is_over)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (boot, partition) DO UPDATE"
            " SET last_seq = excluded.last_seq, heard_at = greatest(t.heard_at, excluded.heard_at),"
            " is_over = excluded.is_over, left_out_at = NULL",
            [
                (boot, partition, source.last_seq, datetime.fromtimestamp(source.heard_ms / 1_000, UTC), source.is_over)
                for (boot, partition), source in sorted(tally.sources.items())
            ],
        )
        cursor.executemany(
            "INSERT INTO analytics.ingest_gap (boot, partition, first_seq, missing) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [(gap.boot, gap.partition, gap.first_seq, gap.missing) for gap in tally.gaps],
        )
        cursor.executemany(
            "INSERT INTO analytics.dead_letter (partition, position, number, reason) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [(letter.partition, letter.position, letter.number, copy_text(letter.reason)) for letter in tally.dead],
        )


def _copy(connection: Connection, table: str, lines: Iterable[str]) -> None:
    connection.execute(f"DELETE FROM {table}")  # noqa: S608 - what an earlier part of the same transaction left
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        copy.write("".join(lines))


def _check_lines(totals: Totals, oldest_minute: int) -> Iterator[str]:
    for grain, at, (tenant, _, namespace, live), numbers in _by_grain(totals.checks, _check_at, oldest_minute):
        sums = "\t".join(map(str, numbers[:LATENCY]))
        latency = ",".join(map(str, numbers[LATENCY:]))
        yield f"{grain}\t{tenant}\t{at}\t{copy_text(namespace)}\t{'t' if live else 'f'}\t{sums}\t{{{latency}}}\n"


def _rule_lines(totals: Totals, oldest_minute: int) -> Iterator[str]:
    for grain, at, (tenant, _, rule), numbers in _by_grain(totals.rules, _rule_at, oldest_minute):
        yield f"{grain}\t{tenant}\t{at}\t{rule}\t{numbers[0]}\t{numbers[1]}\t{numbers[2]}\t{numbers[3]}\n"


def _check_at(key: CheckKey, minute: int) -> CheckKey:
    return (key[0], minute, key[2], key[3])


def _rule_at(key: RuleKey, minute: int) -> RuleKey:
    return (key[0], minute, key[2])


def _by_grain(
    held: dict[_Key, list[int]], place: Callable[[_Key, int], _Key], oldest_minute: int
) -> Iterator[tuple[str, str, _Key, list[int]]]:
    """(grain, its beginning as COPY has it, key, numbers). Minutes that are kept no more count in longer ones only."""
    rows = held
    for grain in GRAINS:
        minutes = GRAIN_MINUTES[grain]
        if minutes > 1:
            rows = _merged(rows, place, minutes)
        begins: dict[int, str] = {}
        for key, numbers in rows.items():
            minute = key[1]
            if minutes == 1 and minute < oldest_minute:
                continue
            at = begins.get(minute)
            if at is None:
                at = begins[minute] = f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M}+00"
            yield grain, at, key, numbers


def _merged(rows: dict[_Key, list[int]], place: Callable[[_Key, int], _Key], minutes: int) -> dict[_Key, list[int]]:
    merged: dict[_Key, list[int]] = {}
    for key, numbers in rows.items():
        longer = place(key, key[1] // minutes * minutes)
        held = merged.get(longer)
        merged[longer] = numbers if held is None else [a + b for a, b in zip(held, numbers, strict=True)]
    return merged
