"""A page and its htmx fragment are one template; a view answers both."""

from django.http import HttpRequest


def is_fragment(request: HttpRequest) -> bool:
    """True when a part of the page is wanted; a history restore wants the whole one."""
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers
