"""Entries as people read them: a sentence, and what was and is of each field that changed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from apps.tenants.audit.actions import ACTIONS, ACTOR_KINDS, VIAS
from apps.tenants.audit.reading import EntryInfo

_OURSELVES = "Ratelimiter"
_OURS = ("task", "command")  # whose names say nothing to customers
SHOWN = 12  # fields, and parts of a list; the export has all
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms"))
_NAMES = {
    "on_failure": "if the store is away", "ipv6_prefix": "IPv6 prefix", "match": "conditions",
    "live": "counts and is billed", "is_on": "on", "kinds": "hears of", "muted": "does not hear of",
    "pseudonymise": "pseudonymised", "label": "address",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """None where there was, or is, no such field."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class EntryRow:
    """`who` did it, and `actor_words` what kind of actor that is. `more` is how many differences are not shown."""

    entry: EntryInfo
    who: str
    actor_words: str
    verb: str
    via_words: str
    differences: tuple[Difference, ...]
    more: int


def entry_row(entry: EntryInfo) -> EntryRow:
    found = _differences(entry.before, entry.after)
    return EntryRow(
        entry, _OURSELVES if entry.actor_kind in _OURS else entry.actor_name,
        ACTOR_KINDS.get(entry.actor_kind, entry.actor_kind), ACTIONS.get(entry.action, entry.action),
        VIAS.get(entry.via, entry.via), tuple(found[:SHOWN]), max(0, len(found) - SHOWN),
    )  # fmt: skip


def value_words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in (None, "", [], {}):
        return "none"
    if isinstance(value, int):
        return _number_words(name, value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {value_words(key, item)}" for key, item in value.items())
    return _list_words(name, value) if isinstance(value, list) else _text_words(str(value))


def _list_words(name: str, values: list[Any]) -> str:
    said = [value_words(name, item) for item in values[:SHOWN]]
    more = [f"and {len(values) - SHOWN:,} more"] if len(values) > SHOWN else []
    return ("; " if any(isinstance(item, Mapping) for item in values) else ", ").join(said + more)


def _text_words(text: str) -> str:
    if _MOMENT.fullmatch(text):
        return f"{timezone.localtime(datetime.fromisoformat(text)):%-d %b %Y, %H:%M}"
    return text


def _differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Difference]:
    """Of what was made or is gone, only what says something."""
    names: Iterable[str] = {**(before or {}), **(after or {})}
    return [
        Difference(_name_words(name), _side(before, name), _side(after, name))
        for name in names
        if (before is not None and after is not None) or _says(before, name) or _says(after, name)
    ]


def _says(side: Mapping[str, Any] | None, name: str) -> bool:
    return side is not None and side.get(name) not in (None, "", [], {}, 0)


def _side(side: Mapping[str, Any] | None, name: str) -> str | None:
    return value_words(name, side[name]) if side is not None and name in side else None


def _name_words(name: str) -> str:
    return _NAMES.get(name) or re.sub(r"_(ms|cents|at|id)$", "", name).replace("_", " ")


def _number_words(name: str, value: int) -> str:
    if name.endswith("_cents") or name == "cents":
        return f"${value / 100:,.2f}"
    if name.startswith("quiet_"):
        return f"{value // 60:02d}:{value % 60:02d}"
    if name.endswith("_ms"):
        size, unit = next(((size, unit) for size, unit in _UNITS if value % size == 0), _UNITS[-1])
        return f"{value // size:,} {unit}"
    return f"{value}" if name.endswith("_id") else f"{value:,}"
