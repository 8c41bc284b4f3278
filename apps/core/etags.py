"""Entity tags: who changes something says which state of it they saw, so that nobody undoes what they did not see."""

import json
from hashlib import sha256
from typing import Any

from django.utils.http import parse_etags
from rest_framework.request import Request

from apps.core.errors import ApplicationError


class PreconditionRequired(ApplicationError):
    status = 428
    code = "precondition_required"


class PreconditionFailed(ApplicationError):
    status = 412
    code = "precondition_failed"


def etag_of(told: Any) -> str:
    """Of what the answer says."""
    return f'"{sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]}"'


def condition_require(request: Request) -> None:
    """Raises PreconditionRequired."""
    if not request.headers.get("If-Match"):
        raise PreconditionRequired("Say in If-Match which state you change: the ETag that a GET answers, or * for any.")


def condition_verify(request: Request, etag: str) -> None:
    """Raises PreconditionRequired, PreconditionFailed."""
    condition_require(request)
    if not _names(request.headers["If-Match"], etag):
        raise PreconditionFailed("It has been changed since you read it. Read it again, then change it.")


def is_known(request: Request, etag: str) -> bool:
    """The caller has exactly this already."""
    return _names(request.headers.get("If-None-Match", ""), etag)


def _names(header: str, etag: str) -> bool:
    """A proxy that compresses makes tags weak, and what is meant is the same."""
    return any(one == "*" or one.removeprefix("W/") == etag for one in parse_etags(header))
