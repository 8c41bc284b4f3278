"""How a new secret gets from the service to the eyes of its owner across one redirect.

It travels in a short-lived, signed, HttpOnly cookie of that person's browser, because a session would write it into a
database, and an address would write it into logs.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

_SALT = "apikeys.handover"


def secret_put(response: HttpResponseBase, *, slug: str, secret: str, max_age_s: int) -> None:
    response.set_signed_cookie(
        _name(slug), secret, salt=_SALT, max_age=max_age_s, path=f"/t/{slug}/",
        httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE,
    )  # fmt: skip


def secret_take(request: HttpRequest, *, slug: str) -> str | None:
    """None when there is none, it is too old or somebody tampered with it. It stays until `secret_drop`."""
    found: str | None = request.get_signed_cookie(_name(slug), default=None, salt=_SALT, max_age=_LONGEST_S)
    return found


def secret_drop(response: HttpResponseBase, *, slug: str) -> None:
    response.delete_cookie(_name(slug), path=f"/t/{slug}/", samesite="Lax")


_LONGEST_S = 3_600


def _name(slug: str) -> str:
    return f"new_key_{slug}"
