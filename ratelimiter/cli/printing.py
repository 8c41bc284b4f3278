"""Text for people, or one JSON object for programs; and how a command ends when something is wrong.

Exit codes: 0 it is so, 1 a check was denied or files differ, 2 something that was said is not valid, 3 the service
refused or did not answer.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any

import typer

from ratelimiter.cli.client import NotLoggedIn, Problem, Unreachable
from ratelimiter.cli.profile import ProfileUnreadable

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class Exit(IntEnum):
    NO = 1
    INVALID = 2
    FAILED = 3


def told(value: Any, text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False) if as_json else text)


def line_told(value: Any, text: str, *, as_json: bool) -> None:
    """One of many, a line each."""
    typer.echo(json.dumps(value, ensure_ascii=False) if as_json else text)
    sys.stdout.flush()


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [[str(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(headers))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


@contextmanager
def ending(*, as_json: bool) -> Iterator[None]:
    """What went wrong goes to the error stream, as one line or as one object."""
    try:
        yield
    except Problem as problem:
        value = {
            "code": problem.code, "status": problem.status, "detail": problem.detail,
            "errors": [{"pointer": pointer, "message": message} for pointer, message in problem.errors],
        }  # fmt: skip
        _fail(value, str(problem), Exit.INVALID if problem.status in (400, 422) else Exit.FAILED, as_json=as_json)
    except (NotLoggedIn, ProfileUnreadable) as error:
        _fail({"code": "not_logged_in", "detail": str(error)}, str(error), Exit.INVALID, as_json=as_json)
    except Unreachable as error:
        _fail({"code": "unreachable", "detail": str(error)}, str(error), Exit.FAILED, as_json=as_json)


def _fail(value: Any, text: str, code: Exit, *, as_json: bool) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False) if as_json else text, err=True)
    raise typer.Exit(code)
