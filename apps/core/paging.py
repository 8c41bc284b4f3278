"""Pages by key: none is skipped or repeated, however many come or go meanwhile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter

from apps.core.errors import Invalid

LARGEST_ID = 2**63 - 1
DEFAULT, MOST = 50, 200
Row = TypeVar("Row")

PAGE = [
    OpenApiParameter(
        "cursor", {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}, description="`next` of the page before."
    ),
    OpenApiParameter(
        "limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT}, description="Rows a page."
    ),
]


@dataclass(frozen=True, slots=True)
class Page:
    """`cursor` is the id of the last row of the page before, None for the first."""

    cursor: int | None
    limit: int

    def cut(self, rows: Sequence[Row], ids: Sequence[int]) -> tuple[Sequence[Row], int | None]:
        """Of one row more than the limit, where there are more: the page and the next cursor."""
        more = len(rows) > self.limit
        return rows[: self.limit], ids[self.limit - 1] if more else None


def page_asked(query: Mapping[str, str]) -> Page:
    """Raises Invalid."""
    return Page(number_asked(query, "cursor", LARGEST_ID), number_asked(query, "limit", MOST) or DEFAULT)


def number_asked(query: Mapping[str, str], name: str, most: int) -> int | None:
    """Raises Invalid."""
    text = query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 19 or not 1 <= int(text) <= most:
        raise Invalid(f"{name} is not valid.", fields={name: f"Must be a whole number between 1 and {most}."})
    return int(text)


def truth_asked(query: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Raises Invalid."""
    text = query.get(name)
    if text is None:
        return default
    if text not in ("true", "false"):
        raise Invalid(f"{name} is not valid.", fields={name: "Must be true or false."})
    return text == "true"


def page_schema(item: dict[str, Any], name: str) -> dict[str, Any]:
    return {
        "type": "object", "required": [name, "next"],
        "properties": {
            name: {"type": "array", "items": item},
            "next": {"type": "integer", "nullable": True, "description": "`cursor` of the following page."},
        },
    }  # fmt: skip
