"""Fills the rollups of some tenants as if they had been at it for a while. With the ingest's role, straight into its
tables; the partitions of the past must be there.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.analytics.ingest.database import Connection
from apps.analytics.ingest.identifiers import identifier_digest
from apps.analytics.seeding import statements
from apps.analytics.seeding.world import Seeded
from apps.analytics.tables import TABLE, TABLES, spans_between
from apps.core.errors import Conflict
from apps.limits.selectors import RuleInfo

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BATCH = 50  # tenants a statement
EVENTS = 40_000  # raw rows of a tenant, at most about
PEOPLE = 14 * DAY  # routes, keys and people of tenants that are not full, or they would be most of the work
DENIED_SHARE, SHADOW_SHARE = 0.007, 0.004

Say = Callable[[str], object]


class AlreadySeeded(Conflict):
    code = "already_counted"


def seed(
    connection: Connection, tenants: Sequence[Seeded], *, days: int, now: datetime, replace: bool, say: Say
) -> int:
    """Returns how many checks there are now. What the tenants' rollups hold goes first, if `replace` says so.

    Raises AlreadySeeded.
    """
    until = now.astimezone(UTC).replace(second=0, microsecond=0)
    since = (until - days * DAY).replace(hour=0, minute=0)
    connection.execute("SET synchronous_commit = off")
    connection.execute("SELECT setseed(0.42)")
    connection.execute(statements.TABLES)
    _parameters_write(connection, tenants)
    ids = [tenant.tenant_id for tenant in tenants]
    full = {tenant.tenant_id for tenant in tenants if tenant.is_full}
    _make_room(connection, ids, replace=replace)
    for batch in (ids[at : at + BATCH] for at in range(0, len(ids), BATCH)):
        with connection.transaction():
            _rollups_write(connection, batch, full & set(batch), since, until)
        say(f"{batch[-1]}: {ids.index(batch[-1]) + 1} of {len(ids)} tenants")
    for tenant in tenants:
        if tenant.is_full:
            with connection.transaction():
                _events_write(connection, tenant.tenant_id, until)
    _folded_note(connection, until)
    row = connection.execute(
        "SELECT coalesce(sum(allowed + denied), 0)::bigint FROM analytics.check_day WHERE tenant_id = ANY(%s)", [ids]
    ).fetchone()
    assert row is not None
    return int(row[0])


def partitions_missing(connection: Connection, *, since: datetime, now: datetime) -> bool:
    """Whether a row of some moment from `since` on would find no partition. TimescaleDB makes its own."""
    names = [
        f"analytics.{table.name}_{span.suffix}"
        for table in TABLES
        for span in spans_between(table.width, max(since, now - table.keep), now)
    ]
    row = connection.execute(
        "SELECT bool_or(to_regclass(name) IS NULL) AND NOT EXISTS"
        " (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb') FROM unnest(%s::text[]) AS name",
        [names],
    ).fetchone()
    assert row is not None
    return bool(row[0])


def _parameters_write(connection: Connection, tenants: Sequence[Seeded]) -> None:
    salt_row = connection.execute("SELECT salt FROM analytics.secret").fetchone()
    assert salt_row is not None
    salt = bytes(salt_row[0])
    for slow, median_us in enumerate((300.0, 380.0, 520.0)):
        for is_attack in (False, True):
            c = statements.shape(median_us * (1.5 if is_attack else 1), 0.02 if is_attack else 0.006)
            connection.execute("INSERT INTO seed_shape VALUES (%s, %s, %s)", [slow, is_attack, c])
    for table, rows in (
        ("seed_tenant", (_tenant_row(tenant) for tenant in tenants)),
        ("seed_part", (row for tenant in tenants for row in _part_rows(tenant))),
        ("seed_rule", (row for tenant in tenants for row in _rule_rows(tenant, salt))),
        ("seed_value", (row for tenant in tenants for row in _value_rows(tenant, salt))),
        ("identifier_stage", (row for tenant in tenants for row in _identifier_rows(tenant, salt))),
    ):
        with connection.transaction():
            with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            if table == "identifier_stage":  # emptied with the commit
                connection.execute(
                    "INSERT INTO analytics.identifier SELECT * FROM identifier_stage ON CONFLICT DO NOTHING"
                )
    for table in ("seed_tenant", "seed_part", "seed_rule", "seed_value"):
        connection.execute(f"ANALYZE {table}")


def _tenant_row(tenant: Seeded) -> tuple[object, ...]:
    counting = [rule for rule in tenant.rules if not rule.is_gate]
    denied = DENIED_SHARE if any(not rule.is_shadow for rule in counting) else 0.0
    shadowed = SHADOW_SHARE if any(rule.is_shadow for rule in counting) else 0.0
    per_minute = tenant.per_day / 1_440
    return (tenant.tenant_id, per_minute, tenant.peak_h, tenant.weekend, denied, shadowed, tenant.slow)


def _part_rows(tenant: Seeded) -> Iterator[tuple[object, ...]]:
    for (namespace, live, _), (low, high) in _cumulated(tenant.namespaces, [part[2] for part in tenant.namespaces]):
        yield tenant.tenant_id, namespace, live, low, high


def _rule_rows(tenant: Seeded, salt: bytes) -> Iterator[tuple[object, ...]]:
    """The narrower a rule, the fewer checks it meets and the more of the denials are its own."""
    for is_shadow in (False, True):
        rules = [rule for rule in tenant.rules if not rule.is_gate and rule.is_shadow is is_shadow]
        weights = [1.0 / (place + 1) ** 1.3 for place in range(len(rules))]
        for rule, (low, high) in _cumulated(rules, [weight / sum(weights) for weight in weights]):
            hits = 0.95 if rule.type == "global" else 0.12 if rule.match else 0.8
            text = _route_of(rule)
            route = identifier_digest(salt, tenant.tenant_id, "route", text) if text else None
            yield tenant.tenant_id, rule.id, hits, low, high, is_shadow, route


def _route_of(rule: RuleInfo) -> str:
    """One that fits the rule, if it says which."""
    pattern = str((rule.match.get("routes") or [""])[0]).removesuffix("/**")
    if not pattern or "*" in pattern:
        return ""
    return pattern if " " in pattern else f"POST {pattern}"


def _value_rows(tenant: Seeded, salt: bytes) -> Iterator[tuple[object, ...]]:
    for dimension in ("route", "ip", "user"):
        values = [value for value in tenant.values if value.dimension == dimension]
        blamed = _cumulated(values, [value.denied for value in values])
        shared = _cumulated(values, [value.share for value in values])
        for (value, (low, high)), (_, denied) in zip(shared, blamed, strict=True):
            digest = identifier_digest(salt, tenant.tenant_id, dimension, value.text)
            yield tenant.tenant_id, dimension, digest, low, high, *denied, value.is_rest
    for (key_id, _), (low, high) in _cumulated(tenant.keys, [share for _, share in tenant.keys]):
        yield tenant.tenant_id, "key", key_id, low, high, low, high, False


def _identifier_rows(tenant: Seeded, salt: bytes) -> Iterator[tuple[object, ...]]:
    for value in tenant.values:
        digest = identifier_digest(salt, tenant.tenant_id, value.dimension, value.text)
        yield tenant.tenant_id, digest, value.dimension, value.text
    for text in {_route_of(rule) for rule in tenant.rules} - {""}:
        yield tenant.tenant_id, identifier_digest(salt, tenant.tenant_id, "route", text), "route", text


def _cumulated(things: Sequence[Any], shares: Sequence[float]) -> list[tuple[Any, tuple[float, float]]]:
    """Each with where its share begins and ends; the last ends at exactly 1, so that parts sum to the whole."""
    found, low = [], 0.0
    for place, (thing, part) in enumerate(zip(things, shares, strict=True)):
        high = 1.0 if place == len(things) - 1 else min(1.0, low + part)
        found.append((thing, (low, high)))
        low = high
    return found


def _make_room(connection: Connection, ids: Sequence[int], *, replace: bool) -> None:
    held = connection.execute(
        "SELECT DISTINCT tenant_id FROM analytics.check_day WHERE tenant_id = ANY(%s)", [list(ids)]
    ).fetchall()
    if not held:
        return
    if not replace:
        raise AlreadySeeded(f"{len(held)} of the tenants have analytics already; --replace deletes those first")
    for table in TABLES:
        connection.execute(f"DELETE FROM analytics.{table.name} WHERE tenant_id = ANY(%s)", [[row[0] for row in held]])  # noqa: S608


def _rollups_write(
    connection: Connection, ids: Sequence[int], full: set[int], since: datetime, until: datetime
) -> None:
    minutes = max(since, (until - TABLE["check_minute"].keep).replace(minute=0) + HOUR)
    attack = until - timedelta(hours=5, minutes=10)
    away = until - timedelta(hours=40)
    wanted = {
        "tenants": list(ids), "now": until, "attack_from": attack, "attack_until": attack + timedelta(minutes=25),
        "away_from": away, "away_until": away + timedelta(minutes=7), "away_share": 0.8,
    }  # fmt: skip
    recent = wanted | {"since": minutes, "until": until}
    outage = (until - 12 * DAY).replace(minute=0)
    past = wanted | {
        "since": since, "until": minutes, "away_from": outage, "away_until": outage + HOUR, "away_share": 0.25,
    }  # fmt: skip
    whole = wanted | {"since": since, "until": until}
    execute = connection.execute
    execute(statements.CHECK_MINUTES, recent)
    execute(statements.CHECK_HOURS, past)
    execute(statements.RULES.format(grain="minute"), recent)
    execute(statements.RULES.format(grain="hour"), past)
    for sums in (statements.CHECK_SUMS, statements.RULE_SUMS):
        execute(sums.format(grain="hour", finer="minute"), recent)
        execute(sums.format(grain="day", finer="hour"), whole)
    for held, people_since in (
        (sorted(full), since),
        ([one for one in ids if one not in full], max(since, until - PEOPLE)),
    ):
        if held:
            execute(statements.DIMENSIONS, whole | {"tenants": held, "since": people_since})
            execute(statements.OFFENDERS, whole | {"tenants": held, "since": people_since})


def _events_write(connection: Connection, tenant_id: int, until: datetime) -> None:
    """The last day's raw rows, sampled to EVENTS."""
    wanted = {"tenants": [tenant_id], "since": until - DAY, "until": until}
    row = connection.execute(
        "SELECT coalesce(sum(allowed + denied), 0)::bigint FROM analytics.check_minute"
        " WHERE tenant_id = ANY(%(tenants)s) AND at >= %(since)s AND at < %(until)s",
        wanted,
    ).fetchone()
    assert row is not None
    weight = 1
    while row[0] / weight > EVENTS:
        weight *= 2
    connection.execute(statements.PICKS, wanted)
    connection.execute(statements.EVENTS, wanted | {"weight": weight})


def _folded_note(connection: Connection, until: datetime) -> None:
    """Where ingest has never folded, what was seeded counts as folded: it would be made anew from a day's raw rows."""
    connection.execute("UPDATE analytics.folded SET until = %s WHERE until = 'epoch'", [until.replace(minute=0)])
