"""Changing rules, inside their tenant's scope.

Every change raises the tenant's revision in the same transaction, first of all: the row stays locked until the commit,
so two changes of one tenant happen one after the other and the count of rules holds. Doors learn of it after that.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.db.models.functions import Now

from apps.core.errors import Conflict, Invalid, NotFound
from apps.limits.models import Rule
from apps.limits.selectors import RuleInfo, rule_get, rule_info
from apps.limits.specs import RuleSpec, spec_verify
from apps.plans.selectors import PlanForbids, entitlements_of, rule_type_require
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


class RulesInvalid(Invalid):
    """`problems` holds (position in the list, field, sentence)."""

    def __init__(self, problems: Sequence[tuple[int, str, str]]) -> None:
        super().__init__("The rules are not valid.")
        self.problems = tuple(problems)


def rule_create(*, tenant_id: int, spec: RuleSpec) -> RuleInfo:
    """Raises Invalid (also a name that is taken), PlanForbids, TooManyRules."""
    verified = _verify(tenant_id, spec)
    revision_bump(tenant_id=tenant_id)
    _name_require_free(tenant_id, verified)
    _room_require(tenant_id, adding=1)
    return rule_info(Rule.objects.create(tenant_id=tenant_id, **asdict(verified)))


def rule_update(*, tenant_id: int, rule_id: int, spec: RuleSpec) -> RuleInfo:
    """Changing algorithm, window or key starts new counters; changing the limit keeps them.

    Raises NotFound, Invalid, PlanForbids.
    """
    verified = _verify(tenant_id, spec)
    rule_get(tenant_id=tenant_id, rule_id=rule_id)
    revision_bump(tenant_id=tenant_id)
    _name_require_free(tenant_id, verified, except_id=rule_id)
    return _write(tenant_id, rule_id, asdict(verified))


def rule_mode_set(*, tenant_id: int, rule_id: int, mode: str) -> RuleInfo:
    """Raises NotFound, Invalid."""
    if mode not in ("enforce", "shadow"):
        raise Invalid("The mode is not valid.", fields={"mode": "Must be enforce or shadow."})
    return _set(tenant_id, rule_id, mode=mode)


def rule_enabled_set(*, tenant_id: int, rule_id: int, enabled: bool) -> RuleInfo:
    """Raises NotFound; PlanForbids when the plan does not include what would be switched on."""
    if enabled:
        rule_type_require(entitlements_of(tenant_id), rule_get(tenant_id=tenant_id, rule_id=rule_id).type)
    return _set(tenant_id, rule_id, enabled=enabled)


def rule_delete(*, tenant_id: int, rule_id: int) -> None:
    """Raises NotFound."""
    rule_get(tenant_id=tenant_id, rule_id=rule_id)
    revision_bump(tenant_id=tenant_id)
    Rule.objects.filter(tenant_id=tenant_id, id=rule_id).delete()


def rules_apply(*, tenant_id: int, specs: Sequence[RuleSpec], prune: bool) -> Applied:
    """Makes the tenant's rules as the list says, by namespace and name; `prune` deletes the ones it does not name.

    All or nothing, and without a new revision when there is nothing to do. Raises RulesInvalid, TooManyRules.
    """
    wanted = _verify_all(tenant_id, specs)
    if not _differs(_held(tenant_id), wanted, prune=prune):
        return Applied((), (), (), tuple(_label(spec) for spec in wanted.values()))
    revision_bump(tenant_id=tenant_id)
    held = _held(tenant_id)
    surplus = [row for identity, row in held.items() if identity not in wanted] if prune else []
    for row in surplus:
        row.delete()
    done: dict[str, list[str]] = {"created": [], "updated": [], "unchanged": []}
    for identity, spec in wanted.items():
        done[_put(tenant_id, held.get(identity), spec)].append(_label(spec))
    _room_require(tenant_id, adding=0)
    return Applied(
        created=tuple(done["created"]),
        updated=tuple(done["updated"]),
        deleted=tuple(_label(row) for row in surplus),
        unchanged=tuple(done["unchanged"]),
    )


def _put(tenant_id: int, held: Rule | None, spec: RuleSpec) -> str:
    if held is None:
        Rule.objects.create(tenant_id=tenant_id, **asdict(spec))
        return "created"
    if _same(held, spec):
        return "unchanged"
    _write(tenant_id, held.id, asdict(spec))
    return "updated"


def _verify(tenant_id: int, spec: RuleSpec) -> RuleSpec:
    verified = spec_verify(spec)
    rule_type_require(entitlements_of(tenant_id), verified.type)
    return verified


def _verify_all(tenant_id: int, specs: Sequence[RuleSpec]) -> dict[tuple[str, str], RuleSpec]:
    entitlements = entitlements_of(tenant_id)
    wanted: dict[tuple[str, str], RuleSpec] = {}
    problems = []
    for position, spec in enumerate(specs):
        try:
            verified = spec_verify(spec)
            rule_type_require(entitlements, verified.type)
        except (Invalid, PlanForbids) as error:
            problems += [(position, name, sentence) for name, sentence in error.fields.items()]
            continue
        identity = (verified.namespace, verified.name)
        if identity in wanted:
            problems.append((position, "name", f"The rule “{_label(verified)}” stands here twice."))
        wanted[identity] = verified
    if problems:
        raise RulesInvalid(problems)
    return wanted


def _held(tenant_id: int) -> dict[tuple[str, str], Rule]:
    return {(row.namespace, row.name): row for row in Rule.objects.filter(tenant_id=tenant_id).order_by("id")}


def _differs(held: dict[tuple[str, str], Rule], wanted: dict[tuple[str, str], RuleSpec], *, prune: bool) -> bool:
    if prune and held.keys() - wanted.keys():
        return True
    return any(identity not in held or not _same(held[identity], spec) for identity, spec in wanted.items())


def _same(row: Rule, spec: RuleSpec) -> bool:
    return all(_plain(getattr(row, name)) == _plain(value) for name, value in asdict(spec).items())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _label(rule: Rule | RuleSpec) -> str:
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
    return _write(tenant_id, rule_id, values)


def _write(tenant_id: int, rule_id: int, values: dict[str, Any]) -> RuleInfo:
    if not Rule.objects.filter(tenant_id=tenant_id, id=rule_id).update(**values, updated_at=Now()):
        raise NotFound(f"there is no rule {rule_id}")
    return rule_get(tenant_id=tenant_id, rule_id=rule_id)
