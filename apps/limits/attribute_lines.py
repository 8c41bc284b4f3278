"""Conditions on attributes as lines of text: `plan is pro`, `plan in pro, team`, `path starts with /v1`."""

import json
from collections.abc import Mapping
from typing import Any

from django import forms

_OPERATORS = {" starts with ": "prefix", " in ": "in", " is ": "equals"}


def attribute_read(line: str) -> tuple[str, Any]:
    """(name, condition as apps.limits.matches takes it). Raises ValidationError naming the line."""
    try:
        name, operator, value = _condition_parts(line)
        values = _values_read(value) if operator == "in" else [_value_read(value)]
    except ValueError as error:
        raise forms.ValidationError(f"“{line}” is not a condition: {error}") from None
    return name, {operator: values if operator == "in" else values[0]}


def attribute_write(name: str, condition: Mapping[str, Any]) -> str:
    """What `attribute_read` reads back as the same condition."""
    is_misread = any(separator in f" {name} " for separator in _OPERATORS)
    name = _quoted(name) if is_misread else _value_write(name)
    if "equals" in condition:
        return f"{name} is {_value_write(condition['equals'])}"
    if "prefix" in condition:
        return f"{name} starts with {_value_write(condition['prefix'])}"
    return f"{name} in {', '.join(map(_value_write, condition['in']))}"


def _condition_parts(line: str) -> tuple[str, str, str]:
    """(name, operator, text of the value); the first separator outside of a quoted name divides."""
    line = line.strip()
    quoted_end = _quoted_end(line)
    found = [(at, separator) for separator in _OPERATORS if (at := line.find(separator, quoted_end)) >= 0]
    if not found:
        raise ValueError("write “plan is pro”, “plan in pro, team” or “plan starts with pr”.")
    at, separator = min(found)
    return _value_read(line[:at]), _OPERATORS[separator], line[at + len(separator) :]


def _quoted_end(text: str) -> int:
    return json.JSONDecoder().raw_decode(text)[1] if text.startswith('"') else 0


def _value_write(value: str) -> str:
    """In quotes, as JSON has them, where it would be misread without."""
    plain = value == value.strip() and value and value.isprintable() and not set(value) & set(',"\\')
    return value if plain else _quoted(value)


def _quoted(value: str) -> str:
    """On one line, whatever is in it."""
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _value_read(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("a name or a value is missing.")
    return str(json.loads(text)) if text.startswith('"') else text


def _values_read(text: str) -> list[str]:
    """Divided by commas outside of quotes."""
    values = []
    while text := text.strip():
        end = _quoted_end(text)
        comma = text.find(",", end)
        part, text = (text, "") if comma < 0 else (text[:comma], text[comma + 1 :])
        if part.strip():
            values.append(_value_read(part))
    if not values:
        raise ValueError("a value is missing.")
    return values
