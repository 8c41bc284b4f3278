"""One base for every error that a caller may see, and one handler that renders RFC 9457 problem documents.

`code` is stable and documented; `fields` maps a field to what is wrong with it, for forms and for APIs.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404
from rest_framework import exceptions as drf
from rest_framework.response import Response

from apps.core.catalogue import CATALOGUE

PROBLEM = "application/problem+json"


class ApplicationError(Exception):
    status = 400
    code = "invalid"

    def __init__(self, detail: str, *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = dict(fields or {})


class Invalid(ApplicationError):
    """The input cannot be accepted; `fields` says where."""


class NotFound(ApplicationError):
    status = 404
    code = "not_found"


class Unauthenticated(ApplicationError):
    """Nobody knows who asks."""

    status = 401
    code = "unauthenticated"


class Forbidden(ApplicationError):
    status = 403
    code = "forbidden"


class Conflict(ApplicationError):
    status = 409
    code = "conflict"


def problem_handler(error: Exception, context: dict[str, Any]) -> Response | None:  # noqa: ARG001 - DRF's signature
    """DRF's exception handler. A handled error rolls back whatever transaction is open, as an unhandled one does."""
    problem = _problem(error)
    if problem is None:
        return None
    if transaction.get_connection().in_atomic_block:
        transaction.set_rollback(True)
    return Response(problem, status=problem["status"], content_type=PROBLEM)


def _problem(error: Exception) -> dict[str, Any] | None:
    if isinstance(error, ApplicationError):
        return problem_document(error.status, error.code, error.detail, error.fields)
    if isinstance(error, Http404):
        return problem_document(404, "not_found", "There is nothing here by that name.")
    if isinstance(error, PermissionDenied):
        return problem_document(403, "forbidden", str(error) or "You may not do that.")
    if isinstance(error, drf.APIException):
        return problem_document(error.status_code, str(error.default_code), str(error.detail))
    return None


def problem_document(status: int, code: str, detail: str, fields: Mapping[str, str] | None = None) -> dict[str, Any]:
    """`type` is the address of the code's page; `errors` comes with `fields` only."""
    known = CATALOGUE.get(code)
    page = f"{settings.PORTAL_URL}/docs/errors/{code}" if known else "about:blank"
    title = known.title if known else code.replace("_", " ")
    problem: dict[str, Any] = {"type": page, "title": title, "status": status, "code": code, "detail": detail}
    if fields:
        problem["errors"] = [{"pointer": f"/{name}", "message": text} for name, text in fields.items()]
    return problem
