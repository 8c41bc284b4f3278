"""Which rules a check meets. A RuleSet is compiled once per snapshot revision and never changes.

What a rule needs and the check lacks makes the rule not match: a rule per user says nothing about anonymous checks.
Rules that deny or allow are gates: they stand before all others, whatever the check names, and deny goes before allow.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from ratelimiter.engine import keys
from ratelimiter.engine.applied import LOGGED, Applied, Standing
from ratelimiter.engine.conditions import predicates, reader
from ratelimiter.engine.decision import Check, InlineLimit
from ratelimiter.engine.errors import InvalidRequest, NotFound, Unavailable
from ratelimiter.engine.overrides import Overrides
from ratelimiter.engine.quota import Quota, QuotaKey
from ratelimiter.engine.rules import (
    MAX_RULES_PER_CHECK,
    MAX_UNITS,
    UNLIMITED,
    Action,
    Algorithm,
    Override,
    Rule,
    RuleMode,
    RuleType,
)

MIN_SHARE = 100  # a shard's least share of a limit, when a limit is shared at all
SHARDED_IPV6_PREFIX = 64
OverridesSource = Callable[[], Iterable[Override]]
_Value = str | tuple[str, ...] | None
_Table = dict[_Value, Applied]

_MAX_CACHED = 8_192
_MAX_INLINE = 1_024
_TYPE_OF_KEY = {(): RuleType.GLOBAL, ("ip",): RuleType.IP, ("route",): RuleType.ROUTE, ("user",): RuleType.USER}


class Sharding(msgspec.Struct, frozen=True):
    """A tenant on several slots: a check belongs to the shard that the hash of its `dimension` says.

    Rules keyed by the dimension stay exact; others have floor(limit / shards) on each shard.
    """

    dimension: str
    shards: int


class Selection(NamedTuple):
    """In the order of evaluation; `truncated` when more rules would have matched than are evaluated."""

    rules: list[Applied]
    truncated: bool
    shard: int


class CompiledRule:
    """A rule with everything that does not depend on the check worked out."""

    __slots__ = (
        "_applied",
        "_only_reader",
        "_overrides",
        "_overrides_source",
        "_predicates",
        "_readers",
        "_tenant",
        "rule",
        "shares",
    )

    def __init__(
        self, tenant: int, rule: Rule, *, overrides: OverridesSource | None = None, sharding: Sharding | None = None
    ) -> None:
        """Raises ValueError for conditions that cannot be understood."""
        self.rule = rule
        self.shares = _shares(rule, sharding)
        self._tenant = tenant
        self._predicates = tuple(predicates(rule.match))
        self._readers = tuple(reader(name, rule.ipv6_prefix) for name in rule.key)
        self._only_reader = self._readers[0] if len(self._readers) == 1 else None
        self._overrides_source = overrides
        self._overrides: Overrides | None = None
        # By what the counter is keyed by: nothing, one value, or several. One table for live keys, one for test keys.
        self._applied: tuple[_Table, _Table] = ({}, {})

    def meet(self, check: Check, *, live: bool, shard: int, now_ms: int) -> Applied | None:
        """The rule applied to the check, None when it does not match. `now_ms` in Unix ms.

        Raises Unavailable when the rule's overrides cannot be understood.
        """
        value: _Value
        if self._only_reader is not None:
            value = self._only_reader(check)
            if value is None:
                return None
        elif self._readers:
            several = tuple([read(check) for read in self._readers])
            if None in several:
                return None
            value = several  # type: ignore[assignment]  # there is no None in it
        else:
            value = None
        for _, holds in self._predicates:
            if not holds(check):
                return None
        table = self._applied[live]
        applied = table.get(value) if shard < 0 else None
        if applied is not None and (not applied.expires_at_ms or applied.expires_at_ms > now_ms):
            return applied
        applied = self._apply(_values(value), live=live, shard=shard, now_ms=now_ms)
        if shard < 0:
            if len(table) >= _MAX_CACHED:
                table.clear()
            table[value] = applied
        return applied

    def matches(self, check: Check) -> bool:
        for read in self._readers:
            if read(check) is None:
                return False
        for _, holds in self._predicates:
            if not holds(check):
                return False
        return True

    def obstacle(self, check: Check) -> str | None:
        """Why it does not match, as a sentence; None when it does."""
        for name, read in zip(self.rule.key, self._readers, strict=True):
            if read(check) is None:
                return f"It counts by {name}, which the check lacks."
        for part, holds in self._predicates:
            if not holds(check):
                return f"Its condition on {part} does not hold."
        return None

    def values(self, check: Check) -> tuple[str, ...]:
        """What it counts by, in the order of `rule.key`. Only for a check that matches."""
        return tuple([read(check) or "" for read in self._readers])

    def override_for(self, values: tuple[str, ...], now_ms: int) -> Override | None:
        """Raises Unavailable when the overrides cannot be understood."""
        if self._overrides_source is None:
            return None
        if self._overrides is None:  # a thousand of them take a millisecond: only for rules that are met
            try:
                self._overrides = Overrides(self.rule.key, self._overrides_source())
            except ValueError as error:  # msgspec's are ValueErrors too
                raise Unavailable(f"the overrides of rule {self.rule.name!r} cannot be read: {error}") from None
        found = self._overrides.find(values)
        return found if found is None or not found.expires_at_ms or found.expires_at_ms > now_ms else None

    def _apply(self, values: tuple[str, ...], *, live: bool, shard: int, now_ms: int) -> Applied:
        rule = self.rule
        prefix = keys.counter_prefix(keys.tenant_tag(self._tenant, shard), rule)
        key = (prefix + keys.counter_digest(rule, values, live=live)).encode()
        penalty_key = b""
        if rule.escalation is not None and rule.mode is RuleMode.ENFORCE:
            penalty_key = (prefix + keys.counter_digest(rule, values, live=live, what="penalty")).encode()
        override = self.override_for(values, now_ms)
        if override is None:
            return self._counting(key, penalty_key, rule.limit, rule.burst, 0)
        if override.limit in (0, UNLIMITED):
            blocked = override.limit == 0
            return Applied(
                rule, key, limit=0 if blocked else MAX_UNITS, burst=0, expires_at_ms=override.expires_at_ms,
                standing=Standing.BLOCKED if blocked else Standing.UNLIMITED,
            )  # fmt: skip
        return self._counting(key, penalty_key, override.limit, override.burst, override.expires_at_ms)

    def _counting(self, key: bytes, penalty_key: bytes, limit: int, burst: int, expires_at_ms: int) -> Applied:
        return Applied(
            self.rule, key, limit=limit // self.shares, burst=burst // self.shares, penalty_key=penalty_key,
            expires_at_ms=expires_at_ms,
        )  # fmt: skip


class RuleSet:
    """Every enabled rule of a tenant, by namespace; `namespaces` adds those that have none at present."""

    def __init__(
        self,
        tenant: int,
        rules: Iterable[Rule],
        *,
        overrides: Mapping[int, OverridesSource] | None = None,
        namespaces: Iterable[str] = (),
        sharding: Sharding | None = None,
        quota: Quota | None = None,
        inline_types: Sequence[str] = (),
    ) -> None:
        """Raises ValueError for what cannot be understood."""
        self.tenant = tenant
        self._sharding = sharding
        self._shard_by = None if sharding is None else reader(sharding.dimension, SHARDED_IPV6_PREFIX)
        self.quota = quota
        self._inline_types = frozenset(inline_types)
        self._inline: dict[tuple[str, InlineLimit], CompiledRule] = {}
        self._by_namespace: dict[str, list[CompiledRule]] = {"default": [], **{name: [] for name in namespaces}}
        self._gates: dict[str, list[CompiledRule]] = {}
        self._quotas: dict[tuple[int, bool], QuotaKey] = {}
        self.has_exceptions = False  # overrides or gates: some rules may ask no counter
        self.holds_slots = False
        self.has_penalties = False
        self.is_light = True
        self.leases = False  # some rule does
        held = overrides or {}
        for rule in sorted(rules, key=lambda rule: (rule.mode is RuleMode.SHADOW, -rule.priority, rule.id)):
            place = self._by_namespace if rule.action is Action.LIMIT else self._gates
            compiled = CompiledRule(tenant, rule, overrides=held.get(rule.id), sharding=sharding)
            place.setdefault(rule.namespace, []).append(compiled)
            self._by_namespace.setdefault(rule.namespace, [])
            self._characterise(rule, is_overridden=rule.id in held)
        for gates in self._gates.values():
            gates.sort(key=lambda gate: gate.rule.action is Action.ALLOW)

    def select(self, check: Check, *, live: bool, now_ms: int) -> Selection:
        """Raises NotFound for an unknown namespace, InvalidRequest for an unknown rule name or a limit not allowed."""
        shard = -1 if self._sharding is None else self._shard(check, self._sharding.shards)
        candidates = self._by_namespace.get(check.namespace)
        if candidates is None or check.rules is not None:
            candidates = self.candidates(check)
        gate = self._gate(check) if self._gates else None
        if gate is not None:
            standing = Standing.BLOCKED if gate.rule.action is Action.DENY else Standing.UNLIMITED
            limit = 0 if standing is Standing.BLOCKED else MAX_UNITS
            return Selection([Applied(gate.rule, b"", limit=limit, burst=0, standing=standing)], False, shard)  # noqa: FBT003
        if check.limits:
            candidates = [*self._inline_rules(check), *candidates]
        rules: list[Applied] = []
        for compiled in candidates:
            applied = compiled.meet(check, live=live, shard=shard, now_ms=now_ms)
            if applied is not None:
                if len(rules) == MAX_RULES_PER_CHECK:
                    return Selection(rules, True, shard)  # noqa: FBT003
                rules.append(applied)
        return Selection(rules, False, shard)  # noqa: FBT003

    def candidates(self, check: Check) -> list[CompiledRule]:
        """Every rule that could match: of the check's namespace, and by the names it gives. Raises as `select` does."""
        candidates = self._by_namespace.get(check.namespace)
        if candidates is None:
            raise NotFound(f"there is no namespace {check.namespace!r}")
        return candidates if check.rules is None else _named(candidates, check.rules)

    def gates(self, check: Check) -> Sequence[CompiledRule]:
        """Deny before allow."""
        return self._gates.get(check.namespace, ())

    def quota_key(self, shard: int, now_ms: int) -> QuotaKey:
        """Of the period at `now_ms` (Unix ms); a shard has its share of the cap. Only with a quota."""
        quota = self.quota
        assert quota is not None
        is_over = 0 < quota.ends_at_ms <= now_ms
        held = self._quotas.get((shard, is_over))
        if held is None:
            period = quota.next_period if is_over else quota.period
            key = keys.quota(keys.tenant_tag(self.tenant, shard), period).encode()
            shares = 1 if self._sharding is None else self._sharding.shards
            held = self._quotas[shard, is_over] = QuotaKey(key, quota.cap and max(1, quota.cap // shares))
        return held

    def _characterise(self, rule: Rule, *, is_overridden: bool) -> None:
        self.has_exceptions |= is_overridden or rule.action is not Action.LIMIT
        self.holds_slots |= rule.algorithm is Algorithm.CONCURRENCY
        self.leases |= rule.lease > 0
        self.has_penalties |= rule.escalation is not None
        self.is_light = self.is_light and rule.escalation is None and rule.algorithm not in LOGGED

    def _gate(self, check: Check) -> CompiledRule | None:
        for gate in self.gates(check):
            if gate.rule.mode is RuleMode.ENFORCE and gate.matches(check):
                return gate
        return None

    def _shard(self, check: Check, shards: int) -> int:
        """A check without the dimension belongs to the first shard."""
        value = None if self._shard_by is None else self._shard_by(check)
        return 0 if value is None else int.from_bytes(blake2b(value.encode(), digest_size=8).digest()) % shards

    def _inline_rules(self, check: Check) -> list[CompiledRule]:
        return [self._inline_rule(check, limit, position) for position, limit in enumerate(check.limits)]

    def _inline_rule(self, check: Check, limit: InlineLimit, position: int) -> CompiledRule:
        compiled = self._inline.get((check.namespace, limit))
        if compiled is None:
            compiled = self._inline_compile(check.namespace, limit, position)
            if len(self._inline) >= _MAX_INLINE:
                self._inline.clear()
            self._inline[check.namespace, limit] = compiled
        obstacle = compiled.obstacle(check)
        if obstacle is not None:
            raise InvalidRequest(f"/limits/{position}: {obstacle}", (f"/limits/{position}/key", obstacle))
        return compiled

    def _inline_compile(self, namespace: str, limit: InlineLimit, position: int) -> CompiledRule:
        kind = _TYPE_OF_KEY.get(limit.key, RuleType.CUSTOM)
        if kind not in self._inline_types:
            message = f"limits of type “{kind}” are not part of this plan"
            raise InvalidRequest(f"/limits/{position}: {message}", (f"/limits/{position}/key", message))
        rule = Rule(
            id=0, name=limit.name, type=kind, limit=limit.limit, window_ms=limit.window_ms, key=limit.key,
            namespace=namespace, algorithm=Algorithm(limit.algorithm), burst=limit.burst,
        )  # fmt: skip
        compiled = CompiledRule(self.tenant, rule, sharding=self._sharding)
        if compiled.shares > 1 and limit.limit < MIN_SHARE * compiled.shares:
            message = f"must be at least {MIN_SHARE * compiled.shares} in a sharded tenant"
            raise InvalidRequest(f"/limits/{position}: {message}", (f"/limits/{position}/limit", message))
        return compiled


def _values(value: _Value) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _shares(rule: Rule, sharding: Sharding | None) -> int:
    """Over how many shards the rule's counters are spread."""
    if sharding is None:
        return 1
    is_whole = sharding.dimension in rule.key and (
        sharding.dimension != "ip" or rule.ipv6_prefix >= SHARDED_IPV6_PREFIX
    )
    return 1 if is_whole else sharding.shards


def _named(candidates: list[CompiledRule], names: tuple[str, ...]) -> list[CompiledRule]:
    wanted = set(names)
    found = [compiled for compiled in candidates if compiled.rule.name in wanted]
    missing = sorted(wanted - {compiled.rule.name for compiled in found})
    if missing:
        position = names.index(missing[0])
        raise InvalidRequest(
            f"no enabled rule is named {missing[0]!r}",
            (f"/rules/{position}", f"no enabled rule of this namespace is named {missing[0]!r}"),
        )
    return found
