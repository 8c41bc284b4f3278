"""The table of what is answered: `@route("POST", "/v1/customers/{id}")` above the function that answers it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from apps.billing.sandbox.params import Params
from apps.billing.sandbox.store import Obj, Session


@dataclass(frozen=True)
class Request:
    tx: Session
    params: Params
    path: str
    args: dict[str, str]


@dataclass(frozen=True)
class Page:
    """What a hosted page answers: HTML, a PDF, or a redirect."""

    body: bytes = b""
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    location: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Obj]
PageHandler = Callable[[Request], Page]
API: list[tuple[str, re.Pattern[str], Handler]] = []
PAGES: list[tuple[str, re.Pattern[str], PageHandler]] = []


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        API.append((method, _pattern(path), handler))
        API.sort(key=lambda entry: entry[1].groups)  # create_preview before {id}
        return handler

    return register


def page(method: str, path: str) -> Callable[[PageHandler], PageHandler]:
    def register(handler: PageHandler) -> PageHandler:
        PAGES.append((method, _pattern(path), handler))
        return handler

    return register


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + r"\Z")
