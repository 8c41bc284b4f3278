"""What the audit log says of rules and overrides."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from apps.limits.overrides import OverrideSpec
from apps.limits.selectors import OverrideInfo, RuleInfo
from apps.tenants.audit.writing import Target, audit_write

_NOT_SAID = ("id", "created_at", "updated_at")


def rule_audit(
    action: str,
    tenant_id: int,
    rule: RuleInfo,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    name = rule.name if rule.namespace == "default" else f"{rule.namespace}/{rule.name}"
    audit_write(tenant_id=tenant_id, action=action, target=Target(rule.id, name), before=before, after=after)


def overrides_audit(
    tenant_id: int,
    rule: RuleInfo,
    held: Mapping[tuple[str, ...], OverrideSpec],
    changed: Sequence[OverrideSpec],
    surplus: Iterable[tuple[str, ...]],
) -> None:
    """Many at once are one entry: what was and what is of those that differ."""
    gone = [values for values in surplus if values in held]
    if not changed and not gone:
        return
    before = [held[spec.values] for spec in changed if spec.values in held] + [held[values] for values in gone]
    rule_audit(
        "rule.overrides_applied",
        tenant_id,
        rule,
        before={"overrides": [override_said(one) for one in before]},
        after={"overrides": [override_said(one) for one in changed]},
    )


def rule_said(rule: RuleInfo, overrides: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    said = {name: value for name, value in asdict(rule).items() if name not in _NOT_SAID}
    own = list(overrides)
    return said | {"overrides": own} if own else said


def override_said(override: OverrideInfo | OverrideSpec) -> dict[str, Any]:
    return {
        "values": list(override.values),
        "limit": override.limit,
        "burst": override.burst,
        "expires_at": override.expires_at,
        "note": override.note,
    }
