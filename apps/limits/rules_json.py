"""Rules and overrides as JSON: the fields of the rules file, read by its readers, every problem with its pointer.

What is written says every field, null where a rule has none of the kind, and can be read back; `id`, `created_at` and
`updated_at` are passed over then.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import yaml

from apps.core.errors import Invalid
from apps.limits.override_lines import limit_text
from apps.limits.override_services import ListInvalid
from apps.limits.overrides import OverrideSpec
from apps.limits.rules_file import (
    NULL,
    RuleEntry,
    RulesFileInvalid,
    TypedNode,
    override_node_read,
    rule_node_read,
    rules_node_read,
    written_name,
)
from apps.limits.selectors import OverrideInfo, RuleInfo
from apps.limits.specs import RuleSpec, window_words

READ_ONLY = ("id", "created_at", "updated_at")
NULLABLE = ("key", "limit", "window", "calendar", "escalation", "expires")
_TAG = "tag:yaml.org,2002:"


def rule_json(rule: RuleInfo) -> dict[str, Any]:
    calendar = escalation = None
    if rule.calendar_unit:
        calendar = {"unit": rule.calendar_unit, "zone": rule.calendar_zone, "anchor": rule.calendar_anchor}
    if rule.escalation_breaches:
        escalation = {
            "breaches": rule.escalation_breaches, "within": window_words(rule.escalation_within_ms),
            "block": window_words(rule.escalation_block_ms),
        }  # fmt: skip
    return {
        "id": rule.id, "name": rule.name, "namespace": rule.namespace, "action": rule.action, "type": rule.type,
        "key": list(rule.key) if rule.type == "custom" else None, "match": dict(rule.match),
        "algorithm": rule.algorithm, "limit": None if rule.is_gate else rule.limit,
        "window": None if rule.is_gate or calendar else window_words(rule.window_ms), "burst": rule.burst,
        "calendar": calendar, "mode": rule.mode, "on_failure": rule.on_failure, "priority": rule.priority,
        "enabled": rule.enabled, "ipv6_prefix": rule.ipv6_prefix, "escalation": escalation, "lease": rule.lease,
        "created_at": rule.created_at.isoformat(), "updated_at": rule.updated_at.isoformat(),
    }  # fmt: skip


def override_json(held: OverrideInfo) -> dict[str, Any]:
    return {
        "id": held.id, "values": list(held.values), "limit": held.limit or limit_text(held.limit),
        "burst": held.burst, "expires": held.expires_at.astimezone(UTC).isoformat() if held.expires_at else None,
        "note": held.note, "created_at": held.created_at.isoformat(),
    }  # fmt: skip


def rules_read(given: Any) -> list[RuleEntry]:
    """`{"rules": […]}`. Raises Invalid."""
    reader = _Reader()
    try:
        return rules_node_read(reader.node(given, ""))
    except RulesFileInvalid as error:
        raise reader.invalid(error) from None


def rule_read(given: Any) -> RuleSpec:
    """Raises Invalid."""
    reader = _Reader()
    try:
        entry = rule_node_read(reader.node(given, ""))
    except RulesFileInvalid as error:
        raise reader.invalid(error) from None
    if entry.overrides is not None:
        raise Invalid("The rule is not valid.", fields={"overrides": "They have an address of their own."})
    return entry.spec


def override_read(given: Any) -> OverrideSpec:
    """Raises Invalid."""
    reader = _Reader()
    try:
        return override_node_read(reader.node(given, ""))[0]
    except RulesFileInvalid as error:
        raise reader.invalid(error) from None


def patched(held: Any, patch: Any) -> Any:
    """By RFC 7396: what is null is taken away, and objects are changed inside."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(held) if isinstance(held, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = patched(merged.get(name), value)
    return merged


def pointed(error: Invalid) -> Invalid:
    """The same with the fields called as JSON calls them."""
    fields = {pointer(name): sentence for name, sentence in error.fields.items()}
    if isinstance(error, ListInvalid):
        fields = {
            f"rules/{position}/{pointer(name)}": sentence for position, name, sentence in reversed(error.problems)
        }
    return Invalid(error.detail, fields=fields)


def pointer(field: str) -> str:
    return written_name(field).replace(".", "/")


class _Reader:
    """Nodes as YAML's, whose lines are places in a list of pointers."""

    def __init__(self) -> None:
        self._pointers: list[str] = []

    def node(self, value: Any, at: str) -> yaml.Node:
        mark = yaml.Mark("", 0, len(self._pointers), 0, None, 0)
        self._pointers.append(at)
        if isinstance(value, Mapping):
            members = [
                (yaml.ScalarNode(f"{_TAG}str", name, mark, mark), self.node(held, f"{at}/{_escaped(name)}"))
                for name, held in value.items()
                if name not in READ_ONLY and not (held is None and name in NULLABLE)
            ]
            return yaml.MappingNode(f"{_TAG}map", members, mark, mark)
        if isinstance(value, Sequence) and not isinstance(value, str):
            items = [self.node(held, f"{at}/{place}") for place, held in enumerate(value)]
            return yaml.SequenceNode(f"{_TAG}seq", items, mark, mark)
        if isinstance(value, str):
            return yaml.ScalarNode(f"{_TAG}str", value, mark, mark)
        return _typed(value, mark)

    def invalid(self, error: RulesFileInvalid) -> Invalid:
        fields: dict[str, str] = {}
        for problem in error.problems:
            at = self._pointers[problem.line - 1].removeprefix("/")
            message = problem.message.removeprefix(f"{at.rpartition('/')[2]}: ")  # the pointer says it
            fields[at] = f"{fields[at]}; {message}" if at in fields else message
        return Invalid("The body is not valid.", fields=fields)


def _typed(value: Any, mark: yaml.Mark) -> TypedNode:
    if value is None:
        return TypedNode(NULL, "", mark, mark)
    if isinstance(value, bool):
        return TypedNode(f"{_TAG}bool", "true" if value else "false", mark, mark)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # JSON knows one kind of number
    return TypedNode(f"{_TAG}{'int' if isinstance(value, int) else 'float'}", str(value), mark, mark)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
