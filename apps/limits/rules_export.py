"""A tenant's rules as the file that `rules_file_read` reads: applied to the same tenant, it changes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC
from typing import Any

import yaml

from apps.limits.override_lines import limit_text
from apps.limits.selectors import OverrideInfo, RuleInfo
from apps.limits.specs import RuleSpec, window_words

_DEFAULTS = {field.name: field.default for field in fields(RuleSpec)}
_PLAIN = ("namespace", "algorithm", "burst", "mode", "on_failure", "priority", "enabled", "ipv6_prefix", "lease")


def rules_text(rules: Iterable[RuleInfo], overrides: Mapping[int, Sequence[OverrideInfo]]) -> str:
    """What is as it would be without being said is not said. `overrides` by rule."""
    written = [_rule(rule, overrides.get(rule.id, ())) for rule in rules]
    return str(yaml.safe_dump({"rules": written}, sort_keys=False, allow_unicode=True, width=120))


def _rule(rule: RuleInfo, overrides: Sequence[OverrideInfo]) -> dict[str, Any]:
    written: dict[str, Any] = {"name": rule.name}
    if rule.is_gate:
        written["action"] = rule.action
    else:
        written |= {"type": rule.type, "limit": rule.limit}
        if rule.calendar_unit:
            anchor = {"anchor": rule.calendar_anchor} if rule.calendar_unit == "month" else {}
            written["calendar"] = {"unit": rule.calendar_unit, "zone": rule.calendar_zone, **anchor}
        else:
            written["window"] = window_words(rule.window_ms)
    if rule.type == "custom":
        written["key"] = list(rule.key)
    if rule.match:
        written["match"] = dict(rule.match)
    written |= {name: getattr(rule, name) for name in _PLAIN if getattr(rule, name) != _DEFAULTS[name]}
    if rule.escalation_breaches:
        written["escalation"] = {
            "breaches": rule.escalation_breaches,
            "within": window_words(rule.escalation_within_ms),
            "block": window_words(rule.escalation_block_ms),
        }
    if overrides:
        written["overrides"] = [_override(held) for held in overrides]
    return written


def _override(held: OverrideInfo) -> dict[str, Any]:
    written: dict[str, Any] = {"values": list(held.values), "limit": held.limit or limit_text(held.limit)}
    if held.burst:
        written["burst"] = held.burst
    if held.expires_at is not None:
        written["expires"] = held.expires_at.astimezone(UTC).isoformat()
    if held.note:
        written["note"] = held.note
    return written
