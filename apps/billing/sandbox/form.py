"""Stripe's form encoding: `items[0][price]=…&expand[]=…` to nested dicts, lists and strings."""

import re
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl

from apps.billing.sandbox.errors import invalid

NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")
MAX_FIELDS = 5_000


def form_decode(text: str) -> dict[str, Any]:
    """Raises ApiError for names that cannot be read."""
    tree: dict[str, Any] = {}
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=False, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise invalid("The request's body is not a form, or has too many fields.") from None
    for name, value in pairs:
        match = NAME.match(name)
        if not match:
            raise invalid(f"Invalid parameter name: {name}", param=name)
        _put(tree, [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])], value, name)
    decoded = _lists(tree)
    assert isinstance(decoded, dict)
    return decoded


def _put(tree: dict[str, Any], path: list[str], value: str, name: str) -> None:
    for part, after in pairwise(path):
        key = part or str(len(tree))
        if part == "" and tree and after not in tree.get(str(len(tree) - 1), {after: 0}):
            key = str(len(tree) - 1)  # items[][price]=a&items[][quantity]=2 are one item
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise invalid(f"Invalid parameter: {name}", param=name)
    tree[path[-1] or str(len(tree))] = value


def _lists(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    values = {key: _lists(value) for key, value in tree.items()}
    if values and all(key.isdecimal() for key in values):
        return [values[key] for key in sorted(values, key=int)]
    return values
