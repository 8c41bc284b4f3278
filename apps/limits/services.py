"""Changing rules and their overrides, inside their tenant's scope.

Every change raises the tenant's revision in the same transaction, first of all: the row stays locked until the commit,
so two changes of one tenant happen one after the other and the count of rules holds. Doors learn of it after that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.db.models.functions import Now

from apps.core.errors import Conflict, Invalid
from apps.limits.auditing import override_said, overrides_audit, rule_audit, rule_said
from apps.limits.models import MAX_SHARDS, Override, Rule, Sharding
from apps.limits.override_services import (
    ListInvalid,
    overrides_keep,
    overrides_room_require,
    overrides_verify,
    overrides_write,
    specs_of,
)
from apps.limits.overrides import OverrideSpec
from apps.limits.selectors import (
    RuleInfo,
    override_info,
    overrides_of,
    rule_get,
    rule_info,
    rules_of,
    sharding_of,
)
from apps.limits.shares import ShardingInfo, least_limit
from apps.limits.specs import RuleSpec, is_dimension, spec_verify
from apps.plans.selectors import PlanForbids, entitlements_of, rule_type_require
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.services import revision_bump


class TooManyRules(Conflict):
    code = "too_many_rules"


@dataclass(frozen=True, slots=True)
class Applied:
    """What `rules_apply` did; names, prefixed with their namespace where it is not the default."""

    created: tuple[str, ...]
    updated: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: tuple[str, ...]


class RulesInvalid(ListInvalid):
    """A field of an override is `overrides.<position>.<field>`."""


def rule_create(*, tenant_id: int, spec: RuleSpec) -> RuleInfo:
    """Raises Invalid (also a name that is taken), PlanForbids, TooManyRules."""
    verified = _verify(tenant_id, spec)
    revision_bump(tenant_id=tenant_id)
    _name_require_free(tenant_id, verified)
    _share_require(verified, sharding_of(tenant_id))
    _room_require(tenant_id, adding=1)
    made = rule_info(Rule.objects.create(tenant_id=tenant_id, **asdict(verified)))
    rule_audit("rule.created", tenant_id, made, after=rule_said(made))
    return made


def rule_update(*, tenant_id: int, rule_id: int, spec: RuleSpec) -> RuleInfo:
    """Changing algorithm, window or key starts new counters; changing the limit keeps them.

    Raises NotFound, Invalid (also where the rule's overrides would mean nothing any more), PlanForbids.
    """
    verified = _verify(tenant_id, spec)
    revision_bump(tenant_id=tenant_id)
    held = rule_get(tenant_id=tenant_id, rule_id=rule_id)
    _name_require_free(tenant_id, verified, except_id=rule_id)
    _share_require(verified, sharding_of(tenant_id))
    overrides_keep(held, verified, overrides_of(tenant_id=tenant_id, rule_id=rule_id))
    return _change(tenant_id, held, asdict(verified))


def rule_mode_set(*, tenant_id: int, rule_id: int, mode: str) -> RuleInfo:
    """Raises NotFound, Invalid."""
    if mode not in ("enforce", "shadow"):
        raise Invalid("The mode is not valid.", fields={"mode": "Must be enforce or shadow."})
    if mode == "shadow" and rule_get(tenant_id=tenant_id, rule_id=rule_id).is_gate:
        text = "A rule that allows or denies cannot be in shadow; switch it off instead."
        raise Invalid(text, fields={"mode": text})
    return _set(tenant_id, rule_id, mode=mode)


def rule_enabled_set(*, tenant_id: int, rule_id: int, enabled: bool) -> RuleInfo:
    """Raises NotFound; PlanForbids when the plan does not include what would be switched on."""
    if enabled:
        rule_type_require(entitlements_of(tenant_id), rule_get(tenant_id=tenant_id, rule_id=rule_id).type)
    return _set(tenant_id, rule_id, enabled=enabled)


def rule_delete(*, tenant_id: int, rule_id: int) -> None:
    """Raises NotFound."""
    revision_bump(tenant_id=tenant_id)
    held = rule_get(tenant_id=tenant_id, rule_id=rule_id)
    overrides = overrides_of(tenant_id=tenant_id, rule_id=rule_id)
    Rule.objects.filter(tenant_id=tenant_id, id=rule_id).delete()
    rule_audit("rule.deleted", tenant_id, held, before=rule_said(held, map(override_said, overrides)))


def rules_apply(
    *,
    tenant_id: int,
    specs: Sequence[RuleSpec],
    prune: bool,
    overrides: Mapping[int, Sequence[OverrideSpec]] | None = None,
) -> Applied:
    """Makes the tenant's rules as the list says, by namespace and name; `prune` deletes the ones it does not name.

    `overrides`, by position in the list, are all that a rule shall have; the other rules keep theirs.
    All or nothing, and without a new revision when there is nothing to do.
    Raises RulesInvalid, TooManyRules, TooManyOverrides.
    """
    wanted = _verify_all(tenant_id, specs, overrides or {})
    if not _differs(_held(tenant_id), wanted, prune=prune):
        return Applied((), (), (), tuple(_label(want.spec) for want in wanted.values()))
    revision_bump(tenant_id=tenant_id)
    wanted, held = _verify_all(tenant_id, specs, overrides or {}), _held(tenant_id)  # again, with the tenant locked
    surplus = [one.row for identity, one in held.items() if identity not in wanted] if prune else []
    for row in surplus:
        own = held[(row.namespace, row.name)].overrides.values()
        gone = rule_info(row)
        row.delete()
        rule_audit("rule.deleted", tenant_id, gone, before=rule_said(gone, map(override_said, own)))
    done: dict[str, list[str]] = {"created": [], "updated": [], "unchanged": []}
    for identity, want in wanted.items():
        done[_put(tenant_id, held.get(identity), want)].append(_label(want.spec))
    _room_require(tenant_id, adding=0)
    overrides_room_require(tenant_id, _overridden(tenant_id, wanted))
    return Applied(
        created=tuple(done["created"]),
        updated=tuple(done["updated"]),
        deleted=tuple(_label(row) for row in surplus),
        unchanged=tuple(done["unchanged"]),
    )


def sharding_set(*, tenant_id: int, shards: int, dimension: str) -> None:
    """Spreads the tenant over so many slots; 1 takes it back to one. Starts new counters for all rules.

    Raises Invalid, naming the rules whose limit is too small to be shared.
    """
    if not 1 <= shards <= MAX_SHARDS:
        raise Invalid("The number is not valid.", fields={"shards": f"Must be between 1 and {MAX_SHARDS}."})
    if not is_dimension(dimension):
        text = f"“{dimension}” is not a dimension; use ip, route, user or attributes.<name>."
        raise Invalid(text, fields={"dimension": text})
    sharding = ShardingInfo(shards, dimension)
    revision_bump(tenant_id=tenant_id)
    small = [
        _label(rule) for rule in rules_of(tenant_id) if 0 < _least_of(tenant_id, rule) < least_limit(rule, sharding)
    ]
    if small:
        least = least_limit(RuleSpec(name=""), sharding)
        text = f"With {shards} shards a limit that is shared must be at least {least:,}: {', '.join(small)}."
        raise Invalid(text, fields={"shards": text})
    before = Sharding.objects.filter(tenant_id=tenant_id).values("shards", "dimension").first()
    Sharding.objects.update_or_create(tenant_id=tenant_id, defaults={"shards": shards, "dimension": dimension})
    audit_write(
        tenant_id=tenant_id,
        action="sharding.changed",
        target=Target(tenant_id, "shards"),
        before=before or {"shards": 1, "dimension": None},
        after={"shards": shards, "dimension": dimension},
    )


def _least_of(tenant_id: int, rule: RuleInfo) -> int:
    """The least limit of the rule and its overrides that counts; those that block or do not count are no limits."""
    own = [held.limit for held in overrides_of(tenant_id=tenant_id, rule_id=rule.id) if held.limit]
    return min([rule.limit, *own])


@dataclass(frozen=True, slots=True)
class _Wanted:
    """`overrides` None leaves the rule's as they are."""

    spec: RuleSpec
    overrides: dict[tuple[str, ...], OverrideSpec] | None


@dataclass(frozen=True, slots=True)
class _Held:
    row: Rule
    overrides: dict[tuple[str, ...], OverrideSpec]


def _put(tenant_id: int, held: _Held | None, want: _Wanted) -> str:
    values = asdict(want.spec)
    if held is None:
        row = Rule.objects.create(tenant_id=tenant_id, **values)
        own = list((want.overrides or {}).values())
        overrides_write(tenant_id, row.id, own)
        rule_audit("rule.created", tenant_id, rule_info(row), after=rule_said(rule_info(row), map(override_said, own)))
        return "created"
    if _same(held, want):
        return "unchanged"
    if want.overrides is not None:
        changed = [spec for pattern, spec in want.overrides.items() if held.overrides.get(pattern) != spec]
        surplus = [pattern for pattern in held.overrides if pattern not in want.overrides]
        overrides_write(tenant_id, held.row.id, changed, surplus)
        overrides_audit(tenant_id, rule_info(held.row), held.overrides, changed, surplus)
    _change(tenant_id, rule_info(held.row), values)
    return "updated"


def _verify(tenant_id: int, spec: RuleSpec) -> RuleSpec:
    verified = spec_verify(spec)
    rule_type_require(entitlements_of(tenant_id), verified.type)
    return verified


def _verify_all(
    tenant_id: int, specs: Sequence[RuleSpec], overrides: Mapping[int, Sequence[OverrideSpec]]
) -> dict[tuple[str, str], _Wanted]:
    entitlements, sharding, held = entitlements_of(tenant_id), sharding_of(tenant_id), _held(tenant_id)
    wanted: dict[tuple[str, str], _Wanted] = {}
    problems = []
    for position, spec in enumerate(specs):
        own = None
        try:
            verified = spec_verify(spec)
            rule_type_require(entitlements, verified.type)
            _share_require(verified, sharding)
            identity = (verified.namespace, verified.name)
            if position in overrides:
                own, wrong = overrides_verify(overrides[position], verified, sharding)
                problems += [(position, f"overrides.{at}.{name}", sentence) for at, name, sentence in wrong]
            elif identity in held:
                overrides_keep(held[identity].row, verified, held[identity].overrides.values())
        except (Invalid, PlanForbids) as error:
            problems += [(position, name, sentence) for name, sentence in error.fields.items()]
            continue
        if identity in wanted:
            problems.append((position, "name", f"The rule “{_label(verified)}” stands here twice."))
        wanted[identity] = _Wanted(verified, own)
    if problems:
        raise RulesInvalid("The rules are not valid.", problems)
    return wanted


def _held(tenant_id: int) -> dict[tuple[str, str], _Held]:
    overrides: dict[int, list[Override]] = {}
    for override in Override.objects.filter(tenant_id=tenant_id):
        overrides.setdefault(override.rule_id, []).append(override)
    return {
        (row.namespace, row.name): _Held(row, specs_of(map(override_info, overrides.get(row.id, ()))))
        for row in Rule.objects.filter(tenant_id=tenant_id).order_by("id")
    }


def _differs(held: Mapping[tuple[str, str], _Held], wanted: Mapping[tuple[str, str], _Wanted], *, prune: bool) -> bool:
    if prune and held.keys() - wanted.keys():
        return True
    return any(identity not in held or not _same(held[identity], want) for identity, want in wanted.items())


def _overridden(tenant_id: int, wanted: Mapping[tuple[str, str], _Wanted]) -> list[RuleInfo]:
    named = {identity for identity, want in wanted.items() if want.overrides is not None}
    return [rule for rule in rules_of(tenant_id) if (rule.namespace, rule.name) in named]


def _same(held: _Held, want: _Wanted) -> bool:
    if want.overrides is not None and want.overrides != held.overrides:
        return False
    return all(_plain(getattr(held.row, name)) == _plain(value) for name, value in asdict(want.spec).items())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _share_require(spec: RuleSpec, sharding: ShardingInfo | None) -> None:
    least = least_limit(spec, sharding)
    if sharding is not None and spec.limit < least:
        text = f"At least {least:,}: this organisation is spread over {sharding.shards} shards, which share the limit."
        raise Invalid(text, fields={"limit": text})


def _label(rule: Rule | RuleInfo | RuleSpec) -> str:
    return rule.name if rule.namespace == "default" else f"{rule.namespace}/{rule.name}"


def _name_require_free(tenant_id: int, spec: RuleSpec, *, except_id: int | None = None) -> None:
    """The tenant's revision is locked, so nobody takes the name between this question and the commit."""
    same_name = Rule.objects.filter(tenant_id=tenant_id, namespace=spec.namespace, name=spec.name)
    if same_name.exclude(id=except_id or 0).exists():
        raise Invalid("The name is taken.", fields={"name": f"There is a rule “{_label(spec)}” already."})


def _room_require(tenant_id: int, *, adding: int) -> None:
    if Rule.objects.filter(tenant_id=tenant_id).count() + adding > settings.MAX_RULES:
        raise TooManyRules(f"There can be {settings.MAX_RULES} rules; delete one that is no longer needed.")


def _set(tenant_id: int, rule_id: int, **values: Any) -> RuleInfo:
    current = rule_get(tenant_id=tenant_id, rule_id=rule_id)
    if all(getattr(current, name) == value for name, value in values.items()):
        return current
    revision_bump(tenant_id=tenant_id)
    return _change(tenant_id, rule_get(tenant_id=tenant_id, rule_id=rule_id), values)


def _change(tenant_id: int, held: RuleInfo, values: dict[str, Any]) -> RuleInfo:
    """`held` was read with the tenant's revision locked."""
    Rule.objects.filter(tenant_id=tenant_id, id=held.id).update(**values, updated_at=Now())
    changed = rule_get(tenant_id=tenant_id, rule_id=held.id)
    rule_audit("rule.updated", tenant_id, held, before=rule_said(held), after=rule_said(changed))
    return changed
