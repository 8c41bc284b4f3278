"""What would this rule have done? Checks of the past, run through the engine's own matching and arithmetic.

The rule stands alone: what other rules would have denied is charged too. Checks come in groups that share everything
the rule looks at, because then conditions, keys and overrides are worked out once a group and only the counting is done
check by check. Pure: no database, no store.

A check is one integer, so that a million of them are quick to carry and to sort by time, from the highest bits on:
ms since the replay's beginning (27), cost (30), the power of two that it stands for (5), whether it only reports (1).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import accumulate, chain
from typing import Any

from apps.limits.publishing import override_compile, rule_compile
from apps.limits.selectors import OverrideInfo, RuleInfo
from apps.limits.shares import ShardingInfo
from apps.limits.specs import RuleSpec
from ratelimiter.engine.algorithms.base import NEVER
from ratelimiter.engine.algorithms.table import ALGORITHMS, BY_CODE, CALENDAR_WINDOW
from ratelimiter.engine.applied import Applied, Standing
from ratelimiter.engine.conditions import ATTRIBUTE_PREFIX
from ratelimiter.engine.decision import Check
from ratelimiter.engine.matching import CompiledRule, Sharding
from ratelimiter.engine.rules import Action, Algorithm
from ratelimiter.engine.verdict import Verdict

AT_SHIFT, COST_SHIFT, WEIGHT_SHIFT = 36, 6, 1
COST_MASK, WEIGHT_MASK, KIND_MASK = (1 << 30) - 1, 31, (1 << 36) - 1
WEIGHTED = WEIGHT_MASK << WEIGHT_SHIFT
WINDOWS = {
    *(ALGORITHMS[name].code for name in (Algorithm.SLIDING_WINDOW, Algorithm.FIXED_WINDOW)),
    CALENDAR_WINDOW.code,
}
FIRST = 10


@dataclass(frozen=True, slots=True)
class Group:
    """Checks that are alike in everything the rule looks at; `checks` in any order."""

    live: bool
    ip: str | None
    route: str | None
    user: str | None
    attributes: Mapping[str, str]
    checks: Sequence[int]


@dataclass(frozen=True, slots=True)
class Offended:
    """The values of the rule's key, what of their checks it met, and what it would have denied."""

    values: tuple[str, ...]
    checks: int
    denied: int


@dataclass(slots=True)
class Replayed:
    """`checks` of the namespace, those that the rule `met` and those that it would have `denied`."""

    checks: int = 0
    met: int = 0
    denied: int = 0
    offended: list[Offended] = field(default_factory=list)


@dataclass(slots=True)
class _Counter:
    applied: Applied
    values: tuple[str, ...]
    parts: list[Sequence[int]]
    weight: int = 0


def dimensions_of(spec: RuleSpec) -> list[str]:
    """What of a check the rule looks at: ip, route, user, attributes.<name>."""
    found = {*(spec.key or ())}
    for part, dimension in (("routes", "route"), ("ips", "ip"), ("users", "user")):
        if spec.match.get(part):
            found.add(dimension)
    found |= {f"{ATTRIBUTE_PREFIX}{name}" for name in spec.match.get("attributes", {})}
    return sorted(found)


def obstacle(spec: RuleSpec) -> str:
    """Why a rule cannot be replayed; empty when it can."""
    if spec.algorithm == Algorithm.CONCURRENCY.value and spec.action == Action.LIMIT.value:
        return "Slots cannot be replayed: it is not known how long each request took."
    return ""


def replay(
    spec: RuleSpec,
    groups: Iterable[Group],
    *,
    rule_id: int,
    overrides: Iterable[OverrideInfo],
    sharding: ShardingInfo | None,
    since: datetime,
    until: datetime,
) -> Replayed:
    """`spec` is verified and `obstacle` says nothing of it; escalation is left out. Pure, some µs a check."""
    held = list(overrides)
    rule = rule_compile(_info(spec, rule_id, until))
    compiled = CompiledRule(
        0,
        rule,
        overrides=(lambda: [override_compile(one) for one in held]) if held else None,
        sharding=None if sharding is None else Sharding(sharding.dimension, sharding.shards),
    )
    now_ms, since_ms = (round(moment.timestamp() * 1_000) for moment in (until, since))
    found = Replayed()
    counters: dict[bytes, _Counter] = {}
    gate_denied = rule.action is Action.DENY
    for group in groups:
        weight = _weight(group.checks)
        found.checks += weight
        check = Check(
            ip=group.ip, route=group.route, user=group.user, attributes=dict(group.attributes), namespace=rule.namespace
        )
        if rule.action is not Action.LIMIT:
            if compiled.matches(check):
                found.met += weight
                found.denied += weight * gate_denied
            continue
        applied = compiled.meet(check, live=group.live, shard=-1, now_ms=now_ms)
        if applied is None:
            continue
        found.met += weight
        counter = counters.setdefault(applied.key, _Counter(applied, compiled.values(check), []))
        counter.parts.append(group.checks)
        counter.weight += weight
    offended = list(_counted(counters.values(), since_ms))
    found.denied += sum(one.denied for one in offended)
    offended.sort(key=lambda one: (-one.denied, -one.checks, one.values))
    found.offended = [one for one in offended[:FIRST] if one.denied]
    return found


def _counted(counters: Iterable[_Counter], since_ms: int) -> Iterator[Offended]:
    for counter in counters:
        checks = sorted(chain.from_iterable(counter.parts))
        weight = counter.weight
        standing = counter.applied.standing
        if standing is Standing.COUNTS:
            denied = _denied(counter.applied, checks, since_ms)
        else:
            denied = weight if standing is Standing.BLOCKED else 0
        yield Offended(counter.values, weight, denied)


def denied_one_by_one(applied: Applied, checks: Sequence[int], since_ms: int) -> int:
    """How many of one counter's checks, in order of time, would have been denied."""
    denied, state = 0, None
    decide, charge = _arithmetic(applied, since_ms)
    for check in checks:
        now_ms = since_ms + (check >> AT_SHIFT)
        cost = check >> COST_SHIFT & COST_MASK
        _, _, limit, p1, p2 = applied.numbers_for(now_ms, "")
        for _ in range(1 << (check >> WEIGHT_SHIFT & WEIGHT_MASK)):
            answer = decide(state, now_ms=now_ms, cost=cost, limit=limit, p1=p1, p2=p2)
            if answer.verdict is Verdict.ALLOWED or check & 1:
                state = charge(state, now_ms=now_ms, cost=cost, limit=limit, p1=p1, p2=p2).state
            else:
                denied += 1
    return denied


def denied_in_runs(applied: Applied, times: Sequence[int], costs: Sequence[int], since_ms: int) -> int:
    """The same for checks that only consume, at `times` in ms since the beginning, in far fewer questions than checks.

    What remains is enough for as many that follow, because time only ever gives back. A denial stays one until its wait
    is over, for those that cost as much or more. Within one cell of a window charges add up, so a run is charged once.
    """
    denied, at, count, state = 0, 0, len(times), None
    decide, charge = _arithmetic(applied, since_ms)
    sums = list(accumulate(costs, initial=0))  # what all before a place cost
    is_window = applied.code in WINDOWS
    _, _, limit, p1, p2 = applied.numbers_for(since_ms, "")
    while at < count:
        now_ms = since_ms + times[at]
        if not applied.numbers:  # a calendar's depend on the time
            _, _, limit, p1, p2 = applied.numbers_for(now_ms, "")
        verdict, remaining, reset_ms, retry_ms = decide(state, now_ms=now_ms, cost=costs[at], limit=limit, p1=p1, p2=p2)
        if verdict is not Verdict.ALLOWED:
            waits = count if retry_ms == NEVER else bisect_left(times, times[at] + retry_ms, at + 1)
            end = next((place for place in range(at + 1, waits) if costs[place] < costs[at]), waits)
            denied += end - at
        else:
            end = bisect_right(sums, sums[at] + remaining, at + 1) - 1
            if is_window:
                end = bisect_left(times, times[at] + reset_ms, at + 1, end)
                last_ms, taken = since_ms + times[end - 1], sums[end] - sums[at]
                state = charge(state, now_ms=last_ms, cost=taken, limit=limit, p1=p1, p2=p2).state
            else:
                for place in range(at, end):
                    now_ms = since_ms + times[place]
                    state = charge(state, now_ms=now_ms, cost=costs[place], limit=limit, p1=p1, p2=p2).state
        at = end
    return denied


def _denied(applied: Applied, checks: Sequence[int], since_ms: int) -> int:
    kinds = {check & KIND_MASK for check in checks}
    if any(kind & 1 for kind in kinds):
        return denied_one_by_one(applied, checks, since_ms)
    if any(kind & WEIGHTED for kind in kinds):
        checks = [check for check in checks for _ in range(1 << (check >> WEIGHT_SHIFT & WEIGHT_MASK))]
    times = [check >> AT_SHIFT for check in checks]
    costs = [check >> COST_SHIFT & COST_MASK for check in checks]
    return denied_in_runs(applied, times, costs, since_ms)


def _arithmetic(applied: Applied, since_ms: int) -> tuple[Any, Any]:
    definition = BY_CODE[applied.numbers_for(since_ms, "")[0]]
    return definition.decide, definition.charge


def _weight(checks: Sequence[int]) -> int:
    if not any(check & WEIGHTED for check in checks):
        return len(checks)
    return sum(1 << (check >> WEIGHT_SHIFT & WEIGHT_MASK) for check in checks)


def _info(spec: RuleSpec, rule_id: int, at: datetime) -> RuleInfo:
    values: dict[str, Any] = {name: value for name, value in asdict(spec).items() if name != "key"}
    return RuleInfo(id=rule_id, key=tuple(spec.key or ()), created_at=at, updated_at=at, **values)
