"""Changing the overrides of a rule, inside the tenant's scope; what services.py says of revisions holds here too."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from apps.core.errors import Conflict, Invalid
from apps.limits.auditing import override_said, overrides_audit, rule_audit
from apps.limits.models import Override, Rule
from apps.limits.overrides import OverrideSpec, override_verify
from apps.limits.selectors import (
    OverrideInfo,
    RuleInfo,
    override_get,
    override_info,
    overrides_of,
    rule_get,
    sharding_of,
)
from apps.limits.shares import ShardingInfo, least_limit
from apps.limits.specs import RuleSpec, counting_problems
from apps.tenants.services import revision_bump
from ratelimiter.engine.overrides import MAX_SHAPES, pattern_parse

MAX_OVERRIDES_OF_RULE = 1_000
MAX_OVERRIDES = 10_000


class TooManyOverrides(Conflict):
    code = "too_many_overrides"


@dataclass(frozen=True, slots=True)
class OverridesApplied:
    """What `overrides_apply` did, in numbers of overrides."""

    created: int
    updated: int
    deleted: int
    unchanged: int


class ListInvalid(Invalid):
    """`problems` holds (position in the list, field, sentence)."""

    def __init__(self, detail: str, problems: Sequence[tuple[int, str, str]]) -> None:
        super().__init__(detail)
        self.problems = tuple(problems)


class OverridesInvalid(ListInvalid):
    pass


def override_put(*, tenant_id: int, rule_id: int, spec: OverrideSpec, override_id: int | None = None) -> OverrideInfo:
    """Adds an override, or replaces the one of the same values; `override_id` is the one that is changed.

    Raises NotFound, Invalid (also for values that another one has), TooManyOverrides.
    """
    revision_bump(tenant_id=tenant_id)
    rule = rule_get(tenant_id=tenant_id, rule_id=rule_id)
    verified = override_verify(spec, rule)
    _override_share_require(verified, rule, sharding_of(tenant_id))
    rows = Override.objects.filter(tenant_id=tenant_id, rule_id=rule_id)
    taken = rows.filter(values=list(verified.values)).first()
    if override_id is not None:
        held = override_get(tenant_id=tenant_id, rule_id=rule_id, override_id=override_id)
        if taken is not None and taken.id != override_id:
            text = "There is an override for these values already."
            raise Invalid(text, fields={"values": text})
        rows.filter(id=override_id).update(**asdict(verified))
        overrides_room_require(tenant_id, [rule])
        rule_audit("rule.override_set", tenant_id, rule, before=override_said(held), after=override_said(verified))
        return override_get(tenant_id=tenant_id, rule_id=rule_id, override_id=override_id)
    overrides_write(tenant_id, rule_id, [verified])
    overrides_room_require(tenant_id, [rule])
    before = override_said(override_info(taken)) if taken else None
    rule_audit("rule.override_set", tenant_id, rule, before=before, after=override_said(verified))
    return override_info(rows.get(values=list(verified.values)))


def override_delete(*, tenant_id: int, rule_id: int, override_id: int) -> None:
    """Raises NotFound."""
    revision_bump(tenant_id=tenant_id)
    held = override_get(tenant_id=tenant_id, rule_id=rule_id, override_id=override_id)
    Override.objects.filter(tenant_id=tenant_id, id=override_id).delete()
    rule = rule_get(tenant_id=tenant_id, rule_id=rule_id)
    rule_audit("rule.override_deleted", tenant_id, rule, before=override_said(held))


def overrides_apply(*, tenant_id: int, rule_id: int, specs: Sequence[OverrideSpec], prune: bool) -> OverridesApplied:
    """Makes the rule's overrides as the list says, by values; `prune` deletes those of other values.

    All or nothing, and without a new revision when there is nothing to do.
    Raises NotFound, OverridesInvalid, TooManyOverrides.
    """
    rule = rule_get(tenant_id=tenant_id, rule_id=rule_id)
    wanted, problems = overrides_verify(specs, rule, sharding_of(tenant_id))
    if problems:
        raise OverridesInvalid("The overrides are not valid.", problems)
    held = specs_of(overrides_of(tenant_id=tenant_id, rule_id=rule_id))
    changed = [spec for values, spec in wanted.items() if held.get(values) != spec]
    surplus = [values for values in held if values not in wanted] if prune else []
    created = sum(spec.values not in held for spec in changed)
    if changed or surplus:
        revision_bump(tenant_id=tenant_id)
        if rule_get(tenant_id=tenant_id, rule_id=rule_id) != rule:
            raise Conflict("The rule has been changed meanwhile; look at it and try again.")
        overrides_write(tenant_id, rule_id, changed, surplus)
        overrides_room_require(tenant_id, [rule])
        overrides_audit(tenant_id, rule, held, changed, surplus)
    return OverridesApplied(created, len(changed) - created, len(surplus), len(wanted) - len(changed))


def overrides_verify(
    specs: Sequence[OverrideSpec], rule: RuleInfo | RuleSpec, sharding: ShardingInfo | None
) -> tuple[dict[tuple[str, ...], OverrideSpec], list[tuple[int, str, str]]]:
    """By their values, and what is wrong with others."""
    wanted: dict[tuple[str, ...], OverrideSpec] = {}
    problems = []
    for position, spec in enumerate(specs):
        try:
            verified = override_verify(spec, rule)
            _override_share_require(verified, rule, sharding)
        except Invalid as error:
            problems += [(position, name, sentence) for name, sentence in error.fields.items()]
            continue
        if verified.values in wanted:
            problems.append((position, "values", f"“{', '.join(verified.values)}” stands here twice."))
        wanted[verified.values] = verified
    return wanted, problems


def specs_of(overrides: Iterable[OverrideInfo]) -> dict[tuple[str, ...], OverrideSpec]:
    return {
        held.values: OverrideSpec(held.values, held.limit, held.burst, held.expires_at, held.note) for held in overrides
    }


def overrides_write(
    tenant_id: int, rule_id: int, specs: Sequence[OverrideSpec], surplus: Iterable[tuple[str, ...]] = ()
) -> None:
    """Adds, replaces by values, and deletes the surplus."""
    for values in surplus:
        Override.objects.filter(tenant_id=tenant_id, rule_id=rule_id, values=list(values)).delete()
    rows = [
        Override(tenant_id=tenant_id, rule_id=rule_id, **asdict(spec) | {"values": list(spec.values)}) for spec in specs
    ]
    Override.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["tenant_id", "rule_id", "values"],
        update_fields=["limit", "burst", "expires_at", "note"],
    )


def overrides_room_require(tenant_id: int, rules: Iterable[RuleInfo]) -> None:
    """Asked after writing overrides of these rules, with the tenant's revision locked. Raises TooManyOverrides."""
    if Override.objects.filter(tenant_id=tenant_id).count() > MAX_OVERRIDES:
        raise TooManyOverrides(f"An organisation can have {MAX_OVERRIDES:,} overrides; delete some that are over.")
    key_of = {rule.id: rule.key for rule in rules}
    held: dict[int, list[list[str]]] = {}
    for rule_id, values in Override.objects.filter(tenant_id=tenant_id, rule_id__in=key_of).values_list(
        "rule_id", "values"
    ):
        held.setdefault(rule_id, []).append(values)
    for rule_id, patterns in held.items():
        if len(patterns) > MAX_OVERRIDES_OF_RULE:
            raise TooManyOverrides(f"A rule can have {MAX_OVERRIDES_OF_RULE:,} overrides; delete some that are over.")
        if len({pattern_parse(key_of[rule_id], values)[0] for values in patterns}) > MAX_SHAPES:
            raise TooManyOverrides(
                f"The overrides of a rule can have prefixes and blocks of {MAX_SHAPES} different lengths, each "
                "combination counted. Use fewer."
            )


def overrides_keep(held: Rule | RuleInfo, spec: RuleSpec, overrides: Iterable[OverrideInfo | OverrideSpec]) -> None:
    """What the rule becomes must leave its overrides their meaning. Raises Invalid."""
    own = list(overrides)
    if not own:
        return
    words = f"{len(own):,} override{'' if len(own) == 1 else 's'}"
    if list(spec.key or ()) != list(held.key):
        text = f"The rule has {words} for what it counts by now; delete them first."
        raise Invalid(text, fields={"type" if spec.type != "custom" else "key": text})
    if "ip" in held.key and spec.ipv6_prefix != held.ipv6_prefix:
        text = f"The rule has {words} for networks of the present length; delete them first."
        raise Invalid(text, fields={"ipv6_prefix": text})
    unfit = sum(not _counts(one, spec) for one in own)
    if unfit:
        text = f"{unfit:,} of the rule’s {words} would not fit such a counter; change or delete them first."
        raise Invalid(text, fields={"algorithm": text})


def _counts(override: OverrideInfo | OverrideSpec, spec: RuleSpec) -> bool:
    if not override.limit:
        return True
    problems = counting_problems(
        algorithm=spec.algorithm, limit=override.limit, burst=override.burst, window_ms=spec.window_ms
    )
    return not list(problems)


def _override_share_require(spec: OverrideSpec, rule: RuleInfo | RuleSpec, sharding: ShardingInfo | None) -> None:
    least = least_limit(rule, sharding)
    if sharding is not None and spec.limit and spec.limit < least:
        text = f"At least {least:,}, or 0: this organisation is spread over {sharding.shards} shards, which share it."
        raise Invalid(text, fields={"limit": text})
