"""Overrides as lines of text: `value[,value…],limit[,expires[,note[,burst]]]`, one value per dimension of the rule.

`limit` is a number, `blocked` (0) or `unlimited`. `expires` is a day, to its end, or a moment such as
2026-12-31T18:00; both in the given zone unless they name their own. Values with commas stand in double quotes, as in
CSV; an apostrophe before =, +, - or @ only keeps spreadsheets from seeing a formula. Empty lines, and a first line of
headings, are passed over.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from apps.core.sheets import formula_guard, formula_unguard
from apps.limits.overrides import OverrideSpec

MAX_BYTES = 500_000
BLOCKED, UNLIMITED = "blocked", "unlimited"
_HEADING = "limit"


class LinesInvalid(ValueError):
    """`problems` holds (line, sentence)."""

    def __init__(self, problems: Sequence[tuple[int, str]]) -> None:
        super().__init__("the lines cannot be read")
        self.problems = tuple(problems)


def overrides_read(text: str, *, dimensions: int, zone: ZoneInfo) -> list[tuple[int, OverrideSpec]]:
    """(line, override) each; whether the values fit the rule is for apps.limits.overrides. Raises LinesInvalid."""
    if len(text.encode()) > MAX_BYTES:
        raise LinesInvalid([(1, f"more than {MAX_BYTES:,} bytes")])
    read: list[tuple[int, OverrideSpec]] = []
    problems: list[tuple[int, str]] = []
    reader = csv.reader(io.StringIO(text), skipinitialspace=True)
    try:
        for row in reader:
            cells = [formula_unguard(cell.strip()) for cell in row]
            if not any(cells) or (not read and not problems and cells[dimensions : dimensions + 1] == [_HEADING]):
                continue
            try:
                read.append((reader.line_num, _spec(cells, dimensions, zone)))
            except ValueError as error:
                problems.append((reader.line_num, str(error)))
    except csv.Error as error:
        problems.append((reader.line_num, f"This is not CSV: {error}."))
    if problems:
        raise LinesInvalid(problems)
    return read


def overrides_text(overrides: Iterable[OverrideSpec], *, key: Sequence[str]) -> str:
    """With headings; what `overrides_read` reads back."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*map(formula_guard, key), _HEADING, "expires", "note", "burst"])
    for spec in overrides:
        expires = spec.expires_at.astimezone(UTC).isoformat(timespec="microseconds") if spec.expires_at else ""
        values, note = map(formula_guard, spec.values), formula_guard(spec.note)
        writer.writerow([*values, limit_text(spec.limit), expires, note, spec.burst or ""])
    return out.getvalue()


def limit_text(limit: int | None) -> str:
    return UNLIMITED if limit is None else BLOCKED if limit == 0 else str(limit)


def limit_read(text: str) -> int | None:
    """Raises ValueError with a sentence."""
    if text == UNLIMITED:
        return None
    if text == BLOCKED:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ValueError(f"“{text}” is no limit; write a number, {BLOCKED} or {UNLIMITED}.")
    return int(text)


def expiry_read(text: str, zone: ZoneInfo) -> datetime:
    """A day ends at its last midnight. Raises ValueError with a sentence."""
    moment: datetime | None
    try:
        moment = datetime.fromisoformat(text)
        if len(text) <= len("2026-12-31"):
            moment = datetime.combine(moment.date() + timedelta(days=1), time())
    except (ValueError, OverflowError):
        moment = None
    if moment is None or not 1970 <= moment.year <= 9998:  # a moment in every zone
        raise ValueError(f"“{text}” is no moment; write 2026-12-31 or 2026-12-31T18:00.")
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)  # PostgreSQL: up to 15:59


def _spec(cells: Sequence[str], dimensions: int, zone: ZoneInfo) -> OverrideSpec:
    if not dimensions < len(cells) <= dimensions + 4:
        values = "a value" if dimensions == 1 else f"{dimensions} values"
        raise ValueError(f"Has {len(cells)} parts; it must be {values}, a limit and, if it shall end, when.")
    limit, expires, note, burst = (*cells[dimensions:], "", "", "")[:4]
    return OverrideSpec(
        values=tuple(cells[:dimensions]),
        limit=limit_read(limit),
        burst=_burst_read(burst) if burst else 0,
        expires_at=expiry_read(expires, zone) if expires else None,
        note=note,
    )


def _burst_read(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ValueError(f"“{text}” is no burst; write a number.")
    return int(text)
