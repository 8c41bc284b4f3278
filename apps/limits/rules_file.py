"""Rules as a YAML file. Every problem is reported with its line, and nothing is applied unless all is right.

```yaml
rules:
  - name: chat-per-user
    type: user
    match: {route: POST /v1/chat, attributes: {plan: [free, pro]}}
    limit: 5
    window: 10s
```
A rule may also have namespace, key, burst, algorithm, mode, on_failure, priority, enabled, ipv6_prefix, calendar,
escalation, lease and overrides; with a calendar it has no window, and with an action (allow, deny) neither that nor
type and limit. docs/rules.md says it at length.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from apps.limits.override_lines import expiry_read, limit_read
from apps.limits.overrides import OverrideSpec
from apps.limits.specs import RuleSpec, window_parse

MAX_FILE_BYTES = 1_000_000
MAX_DEPTH = 12
NULL = "tag:yaml.org,2002:null"

_REQUIRED = ("name", "type", "limit", "window")
_REQUIRED_OF_OVERRIDE = ("values", "limit")


@dataclass(frozen=True, slots=True)
class Problem:
    line: int
    message: str


class RulesFileInvalid(ValueError):
    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("the file cannot be applied")
        self.problems = sorted(problems, key=lambda problem: problem.line)


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """A rule of the file and where it stands: `lines` maps field paths such as `match.ips` to lines.

    `overrides` None is a rule that says nothing about them.
    """

    spec: RuleSpec
    overrides: tuple[OverrideSpec, ...] | None
    line: int
    lines: dict[str, int]

    def line_of(self, field: str) -> int:
        """The most exact line known for a RuleSpec's field, or `overrides.<n>.<field>`."""
        name = written_name(field)
        while name and name not in self.lines:
            name = name.rpartition(".")[0]
        return self.lines.get(name, self.line)


def written_name(field: str) -> str:
    """How the file calls a RuleSpec's field."""
    return _WRITTEN.get(field, field)


def rules_file_read(text: str) -> list[RuleEntry]:
    """Reads form and types; whether a rule makes sense is for apps.limits.services. Raises RulesFileInvalid."""
    if len(text.encode()) > MAX_FILE_BYTES:
        raise RulesFileInvalid([Problem(1, f"the file is larger than {MAX_FILE_BYTES} bytes")])
    return rules_node_read(_compose(text))


def rules_node_read(root: yaml.Node) -> list[RuleEntry]:
    """Of the whole file. Raises RulesFileInvalid."""
    entries, problems = [], []
    for node in _rule_nodes(root):
        try:
            entries.append(rule_node_read(node))
        except RulesFileInvalid as error:
            problems += error.problems
    if problems:
        raise RulesFileInvalid(problems)
    return entries


class TypedNode(yaml.ScalarNode):
    """A number, a truth or nothing of JSON's: unlike those of YAML never meant as a text."""


class _Loader(yaml.SafeLoader):
    """Without aliases, which let a small file stand for a huge one."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(problem="aliases are not read", problem_mark=mark)
        return super().compose_node(parent, index)


def _compose(text: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise RulesFileInvalid([Problem(line, f"the YAML cannot be read: {error.problem or error.context}")]) from None
    except yaml.YAMLError as error:
        raise RulesFileInvalid([Problem(1, f"the YAML cannot be read: {error}")]) from None
    except RecursionError:
        raise RulesFileInvalid([Problem(1, "the file is nested too deeply")]) from None
    if root is None:
        raise RulesFileInvalid([Problem(1, "the file is empty; it needs the top key “rules”")])
    return root


def _rule_nodes(root: yaml.Node) -> list[yaml.MappingNode]:
    top = dict(_pairs(root, "the file"))
    for name, node in top.items():
        if name != "rules":
            raise _invalid(node, f"unknown top key “{name}”; there is only “rules”")
    if "rules" not in top:
        raise _invalid(root, "the top key “rules” is missing")
    rules = top["rules"]
    if _is_empty(rules):
        return []
    if not isinstance(rules, yaml.SequenceNode):
        raise _invalid(rules, "“rules” must be a list")
    for node in rules.value:
        if not isinstance(node, yaml.MappingNode):
            raise _invalid(node, "a rule must be a mapping such as {name: …, type: …, limit: …, window: …}")
    return list(rules.value)


def rule_node_read(node: yaml.Node) -> RuleEntry:
    """Raises RulesFileInvalid."""
    values, lines = _fields(node, "a rule", _READERS, _required)
    for name in ("match", "calendar", "escalation"):
        part = next((value for key, value in _pairs(node, "a rule") if key == name), None)
        if isinstance(part, yaml.MappingNode):
            lines.update({f"{name}.{key}": _line(child) for key, child in _pairs(part, name)})
    overrides = values.pop("overrides", None)
    if overrides is not None:
        for position, (_, at) in enumerate(overrides):
            lines.update({f"overrides.{position}{name and '.'}{name}": line for name, line in at.items()})
        overrides = tuple(spec for spec, _ in overrides)
    spec = RuleSpec(**values.pop("calendar", {}), **values.pop("escalation", {}), **_renamed(values))
    return RuleEntry(spec, overrides, _line(node), lines)


def override_node_read(node: yaml.Node) -> tuple[OverrideSpec, dict[str, int]]:
    """With the lines of its fields. Raises RulesFileInvalid."""
    values, lines = _fields(node, "an override", _OVERRIDE_READERS, lambda _: _REQUIRED_OF_OVERRIDE)
    values["expires_at"] = values.pop("expires", None)
    return OverrideSpec(**values), {**lines, "": _line(node)}


def _required(names: Mapping[str, Any]) -> Sequence[str]:
    """What allows or denies has neither type, limit nor window; what goes by the calendar has no window."""
    if names.get("action") in ("allow", "deny"):
        return ("name",)
    return [name for name in _REQUIRED if name != "window" or "calendar" not in names]


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    return {("window_ms" if name == "window" else name): value for name, value in values.items()}


def _fields(
    node: yaml.Node,
    what: str,
    readers: Mapping[str, Callable[[yaml.Node], Any]],
    required: Callable[[Mapping[str, Any]], Sequence[str]],
) -> tuple[dict[str, Any], dict[str, int]]:
    """The values of a mapping and their lines. Raises RulesFileInvalid with every problem."""
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    problems = []
    for name, value in _pairs(node, what):
        lines[name] = _line(value)
        reader = readers.get(name)
        if reader is None:
            problems.append(Problem(_line(value), f"{what} has no “{name}”; it has {', '.join(readers)}"))
            continue
        try:
            values[name] = reader(value)
        except RulesFileInvalid as error:
            problems += error.problems
        except ValueError as error:
            problems.append(Problem(_line(value), f"{name}: {error}"))
    needed = required({name: values.get(name) for name in lines})
    problems += [Problem(_line(node), f"“{name}” is missing") for name in needed if name not in lines]
    if problems:
        raise RulesFileInvalid(problems)
    return values, lines


def _calendar(node: yaml.Node) -> dict[str, Any]:
    readers = {"unit": _string, "zone": _string, "anchor": _integer}
    values, _ = _fields(node, "a calendar", readers, lambda _: ("unit",))
    return {f"calendar_{name}": value for name, value in values.items()}


def _escalation(node: yaml.Node) -> dict[str, Any]:
    readers = {"breaches": _integer, "within": _window, "block": _window}
    values, _ = _fields(node, "an escalation", readers, lambda _: tuple(readers))
    names = {"breaches": "escalation_breaches", "within": "escalation_within_ms", "block": "escalation_block_ms"}
    return {names[name]: value for name, value in values.items()}


def _overrides(node: yaml.Node) -> list[tuple[OverrideSpec, dict[str, int]]]:
    if _is_empty(node):
        return []
    if not isinstance(node, yaml.SequenceNode):
        raise ValueError("must be a list")  # noqa: TRY004
    read, problems = [], []
    for item in node.value:
        try:
            read.append(override_node_read(item))
        except RulesFileInvalid as error:
            problems += error.problems
    if problems:
        raise RulesFileInvalid(problems)
    return read


def _limit(node: yaml.Node) -> int | None:
    return limit_read(str(node.value) if isinstance(node, TypedNode) else _string(node))


def _moment(node: yaml.Node) -> datetime:
    return expiry_read(_string(node), ZoneInfo("UTC"))


def _pairs(node: yaml.Node, what: str) -> Iterator[tuple[str, yaml.Node]]:
    """The entries of a mapping with string keys, each once. YAML itself would let the last of two win."""
    if not isinstance(node, yaml.MappingNode):
        raise _invalid(node, f"{what} must be a mapping")
    seen = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _invalid(key, "a key must be a plain word")
        if key.value in seen:
            raise _invalid(key, f"“{key.value}” stands here twice")
        seen.add(key.value)
        yield key.value, value


def _string(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or isinstance(node, TypedNode):
        raise ValueError("must be a string")  # noqa: TRY004 - about the file, not about our types
    return str(node.value)


def _integer(node: yaml.Node) -> int:
    value = _value(node)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004
    return value


def _boolean(node: yaml.Node) -> bool:
    value = _value(node)
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004
    return value


def _strings(node: yaml.Node) -> tuple[str, ...]:
    if isinstance(node, yaml.SequenceNode):
        return tuple(_string(item) for item in node.value)
    return (_string(node),)


def _window(node: yaml.Node) -> int:
    return window_parse(_string(node))


def _match(node: yaml.Node) -> dict[str, Any]:
    return {name: _scalars(value, 0) for name, value in _pairs(node, "“match”")}


def _scalars(node: yaml.Node, depth: int) -> Any:
    """Strings stay as they are written: a user called 42 or a plan called no is a string here, never a number."""
    if depth > MAX_DEPTH:
        raise _invalid(node, "the conditions are nested too deeply")
    if isinstance(node, yaml.MappingNode):
        return {name: _scalars(value, depth + 1) for name, value in _pairs(node, "a condition")}
    if isinstance(node, yaml.SequenceNode):
        return [_scalars(item, depth + 1) for item in node.value]
    return _string(node)


def _value(node: yaml.Node) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        return None
    return yaml.SafeLoader("").construct_object(node)


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == NULL and not isinstance(node, TypedNode)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _invalid(node: yaml.Node, message: str) -> RulesFileInvalid:
    return RulesFileInvalid([Problem(_line(node), message)])


_WRITTEN = {
    "window_ms": "window",
    "calendar_unit": "calendar.unit",
    "calendar_zone": "calendar.zone",
    "calendar_anchor": "calendar.anchor",
    "escalation_breaches": "escalation.breaches",
    "escalation_within_ms": "escalation.within",
    "escalation_block_ms": "escalation.block",
}
_OVERRIDE_READERS: dict[str, Callable[[yaml.Node], Any]] = {
    "values": _strings,
    "limit": _limit,
    "burst": _integer,
    "expires": _moment,
    "note": _string,
}
_READERS: dict[str, Callable[[yaml.Node], Any]] = {
    "name": _string,
    "type": _string,
    "namespace": _string,
    "match": _match,
    "key": _strings,
    "limit": _integer,
    "window": _window,
    "burst": _integer,
    "algorithm": _string,
    "mode": _string,
    "on_failure": _string,
    "priority": _integer,
    "enabled": _boolean,
    "ipv6_prefix": _integer,
    "action": _string,
    "calendar": _calendar,
    "escalation": _escalation,
    "lease": _integer,
    "overrides": _overrides,
}
