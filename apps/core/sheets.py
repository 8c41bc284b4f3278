"""CSV, written while it is read, so that a long export costs no memory.

What people and their callers wrote is in it: a value that a spreadsheet would take for a formula gets an apostrophe.
"""

import csv
from collections.abc import Iterable, Iterator

from django.http import HttpResponseBase, StreamingHttpResponse


def sheet(name: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> HttpResponseBase:
    """A download of that name, which nobody keeps on the way."""
    writer = csv.writer(_Echo())

    def lines() -> Iterator[str]:
        yield writer.writerow(columns)
        for row in rows:
            yield writer.writerow([_harmless(value) for value in row])

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response["Cache-Control"] = "no-store"
    return response


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text
