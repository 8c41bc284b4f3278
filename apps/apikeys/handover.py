"""How a new secret gets from the service to the eyes of its owner across one redirect.

It travels in a short-lived, signed, HttpOnly cookie of that person's browser, because a session would write it into a
database, and an address would write it into logs.
"""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

_SALT = "apikeys.handover"
_LONGEST_S = 3_600


@dataclass(frozen=True, slots=True)
class Desk:
    """Where it is handed over: the cookie's name, and the only addresses that it is sent to."""

    name: str
    path: str


REFERENCE = Desk("reference_key", "/api/docs")


def workspace(slug: str) -> Desk:
    return Desk(f"new_key_{slug}", f"/t/{slug}/")


def secret_put(response: HttpResponseBase, desk: Desk, *, secret: str, max_age_s: int) -> None:
    response.set_signed_cookie(
        desk.name, secret, salt=_SALT, max_age=max_age_s, path=desk.path,
        httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE,
    )  # fmt: skip


def secret_take(request: HttpRequest, desk: Desk) -> str | None:
    """None when there is none, it is too old or somebody tampered with it. It stays until `secret_drop`."""
    found: str | None = request.get_signed_cookie(desk.name, default=None, salt=_SALT, max_age=_LONGEST_S)
    return found


def secret_drop(response: HttpResponseBase, desk: Desk) -> None:
    response.delete_cookie(desk.name, path=desk.path, samesite="Lax")
