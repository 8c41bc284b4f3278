"""CSV, written while it is read, so that a long export costs no memory.

What people and their callers wrote is in it: a value that a spreadsheet would take for a formula gets an apostrophe.
"""

import csv
import re
from collections.abc import Iterable, Iterator

from django.http import HttpResponseBase, StreamingHttpResponse

_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # apostrophes too, so that what is guarded reads back as it was


def sheet(name: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> HttpResponseBase:
    """A download of that name, which nobody keeps on the way."""
    writer = csv.writer(_Echo())

    def lines() -> Iterator[str]:
        yield writer.writerow(columns)
        for row in rows:
            yield writer.writerow([formula_guard(value) for value in row])

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response["Cache-Control"] = "no-store"
    return response


def formula_guard(value: object) -> object:
    """With an apostrophe before what a spreadsheet would take for a formula; `formula_unguard` takes it away."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def formula_unguard(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text
