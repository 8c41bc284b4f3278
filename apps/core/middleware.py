"""Refuses addresses that no page can mean."""

from collections.abc import Callable

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse


class AddressMiddleware:
    """No text in the database holds a NUL, so a query with one is nobody's: 400. The API says so by itself, in its
    own words.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Raises SuspiciousOperation."""
        if "%00" in request.META.get("QUERY_STRING", "") and not request.path.startswith("/api/"):
            raise SuspiciousOperation("a NUL in the query")
        return self.get_response(request)
