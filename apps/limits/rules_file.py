"""Rules as a YAML file. Every problem is reported with its line, and nothing is applied unless all is right.

```yaml
rules:
  - name: chat-per-user
    type: user
    match: {route: POST /v1/chat, attributes: {plan: [free, pro]}}
    limit: 5
    window: 10s
```
A rule may also have namespace, key, burst, algorithm, mode, on_failure, priority, enabled and ipv6_prefix.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from apps.limits.specs import RuleSpec, window_parse

MAX_FILE_BYTES = 1_000_000
MAX_DEPTH = 12

_REQUIRED = ("name", "type", "limit", "window")


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
    """A rule of the file and where it stands: `lines` maps field paths such as `match.ips` to lines."""

    spec: RuleSpec
    line: int
    lines: dict[str, int]

    def line_of(self, field: str) -> int:
        """The most exact line known for a RuleSpec's field."""
        name = "window" if field == "window_ms" else field
        while name and name not in self.lines:
            name = name.rpartition(".")[0]
        return self.lines.get(name, self.line)


def rules_file_read(text: str) -> list[RuleEntry]:
    """Reads form and types; whether a rule makes sense is for apps.limits.services. Raises RulesFileInvalid."""
    if len(text.encode()) > MAX_FILE_BYTES:
        raise RulesFileInvalid([Problem(1, f"the file is larger than {MAX_FILE_BYTES} bytes")])
    nodes = _rule_nodes(_compose(text))
    entries, problems = [], []
    for node in nodes:
        try:
            entries.append(_entry(node))
        except RulesFileInvalid as error:
            problems += error.problems
    if problems:
        raise RulesFileInvalid(problems)
    return entries


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
    if isinstance(rules, yaml.ScalarNode) and rules.tag == "tag:yaml.org,2002:null":
        return []
    if not isinstance(rules, yaml.SequenceNode):
        raise _invalid(rules, "“rules” must be a list")
    for node in rules.value:
        if not isinstance(node, yaml.MappingNode):
            raise _invalid(node, "a rule must be a mapping such as {name: …, type: …, limit: …, window: …}")
    return list(rules.value)


def _entry(node: yaml.MappingNode) -> RuleEntry:
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    problems = []
    for name, value in _pairs(node, "a rule"):
        lines[name] = _line(value)
        reader = _READERS.get(name)
        if reader is None:
            problems.append(Problem(_line(value), f"a rule has no “{name}”; it has {', '.join(_READERS)}"))
            continue
        try:
            values[name] = reader(value)
        except RulesFileInvalid as error:
            problems += error.problems
        except ValueError as error:
            problems.append(Problem(_line(value), f"{name}: {error}"))
        if name == "match" and isinstance(value, yaml.MappingNode):
            lines.update({f"match.{part}": _line(child) for part, child in _pairs(value, name)})
    problems += [Problem(_line(node), f"“{name}” is missing") for name in _REQUIRED if name not in lines]
    if problems:
        raise RulesFileInvalid(problems)
    values["window_ms"] = values.pop("window")
    return RuleEntry(RuleSpec(**values), _line(node), lines)


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
    if not isinstance(node, yaml.ScalarNode):
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


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _invalid(node: yaml.Node, message: str) -> RulesFileInvalid:
    return RulesFileInvalid([Problem(_line(node), message)])


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
}
