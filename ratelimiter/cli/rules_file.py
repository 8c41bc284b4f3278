"""A rules file as YAML: what it says as plain data, and on which line each part of it stands.

Whether rules make sense is for the service to say; it points at parts of the file (RFC 6901), and lines are found here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_000_000
# What a rule is where its file says nothing.
USUAL: dict[str, Any] = {
    "namespace": "default", "action": "limit", "match": {}, "algorithm": "sliding_window", "burst": 0,
    "mode": "enforce", "on_failure": "local", "priority": 0, "enabled": True, "ipv6_prefix": 64, "lease": 0,
    "overrides": [],
}  # fmt: skip
USUAL_OVERRIDE: dict[str, Any] = {"burst": 0, "note": ""}


class FileInvalid(Exception):
    """`problems` are (line, message), the first line is 1."""

    def __init__(self, path: str, problems: list[tuple[int, str]]) -> None:
        super().__init__("\n".join(f"{path}:{line}: {message}" for line, message in problems))
        self.path, self.problems = path, problems


@dataclass(frozen=True, slots=True)
class RulesFile:
    path: str
    content: Any
    lines: dict[str, int]

    def line_of(self, pointer: str) -> int:
        """Of the most exact part that there is."""
        while pointer and pointer not in self.lines:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer, 1)

    def blamed(self, errors: list[tuple[str, str]]) -> FileInvalid:
        """What the service said of its parts, by line."""
        return FileInvalid(
            self.path, sorted((self.line_of(pointer), _named(pointer, text)) for pointer, text in errors)
        )


class _Loader(yaml.SafeLoader):
    """Dates stay text, which is what JSON has; a name that comes twice is an error."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def rules_file_read(path: str) -> RulesFile:
    """Raises FileInvalid."""
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise FileInvalid(path, [(1, error.strerror or "cannot be read")]) from None
    if len(raw) > MAX_BYTES:
        raise FileInvalid(path, [(1, f"the file is larger than {MAX_BYTES} bytes")])
    try:
        return _read(path, raw.decode())
    except UnicodeDecodeError:
        raise FileInvalid(path, [(1, "the file is not UTF-8")]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise FileInvalid(path, [(mark.line + 1 if mark else 1, error.problem or "is not YAML")]) from None
    except yaml.YAMLError as error:
        raise FileInvalid(path, [(1, f"is not YAML: {error}")]) from None


def rules_file_write(rules: list[dict[str, Any]]) -> str:
    """The same rules as a file: read again, it says the same."""
    kept = [_said(rule, USUAL) for rule in rules]
    for rule in kept:
        if "overrides" in rule:
            rule["overrides"] = [_said(held, USUAL_OVERRIDE) for held in rule["overrides"]]
    return yaml.safe_dump({"rules": kept}, sort_keys=False, allow_unicode=True, width=120)


def _read(path: str, text: str) -> RulesFile:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        lines: dict[str, int] = {}
        if root is None:
            raise FileInvalid(path, [(1, "the file is empty")])
        problems = list(_walk(root, "", lines, set()))
        if problems:
            raise FileInvalid(path, problems)
        return RulesFile(path, loader.construct_document(root), lines)
    finally:
        loader.dispose()


def _walk(node: yaml.Node, pointer: str, lines: dict[str, int], above: set[int]) -> Any:
    """Notes lines; yields (line, message). A node that holds itself would never end."""
    lines[pointer] = node.start_mark.line + 1
    if id(node) in above:
        yield lines[pointer], "refers to itself"
        return
    inside = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            if name.value in seen:
                yield name.start_mark.line + 1, f"{name.value} is here twice"
            seen.add(name.value)
            at = f"{pointer}/{str(name.value).replace('~', '~0').replace('/', '~1')}"
            yield from _walk(value, at, lines, inside)
            lines[at] = name.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _walk(value, f"{pointer}/{place}", lines, inside)


def _said(part: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """What has to be said of it."""
    return {
        name: value
        for name, value in part.items()
        if value is not None
        and name not in ("id", "created_at", "updated_at")
        and not (name in usual and value == usual[name])
    }


def _named(pointer: str, text: str) -> str:
    """The part's name before what is wrong with it, as far as it is inside of a rule."""
    parts = pointer.strip("/").split("/")
    name = ".".join(parts[2:] if parts[0] == "rules" else parts)
    return f"{name}: {text}" if name else text
