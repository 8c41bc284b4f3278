"""What the check API's views have in common: they answer as the door does, byte for byte, whatever DRF would say."""

import re
from abc import ABC, abstractmethod
from secrets import token_hex
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.core.negotiation import AnyAccept
from apps.limits.judge import Asked
from ratelimiter.engine.errors import EngineError, InvalidRequest, MethodNotAllowed, TooLarge
from ratelimiter.engine.wire.decode import MAX_BODY_BYTES
from ratelimiter.engine.wire.render import Answer, error_render

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

log = structlog.get_logger(__name__)


class DoorView(ABC, APIView):
    """`post` of the views is there for its description."""

    http_method_names = ["post"]
    content_negotiation_class = AnyAccept

    @abstractmethod
    def judge(self, asked: Asked, **path: str) -> Answer:
        """Raises EngineError."""

    def answer(self, request: Request, **path: str) -> HttpResponse:
        raw: HttpRequest = request._request  # noqa: SLF001 - the body as it came, before any parser
        try:
            answer = self.judge(_asked(raw), **path)
        except EngineError as error:
            answer = error_render(error)
        except Exception:
            log.exception("check_failed")
            answer = error_render(EngineError("this server made a mistake; it has been recorded"))
        return _response(raw, answer)

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        response = _response(request._request, error_render(MethodNotAllowed("use POST")))  # noqa: SLF001
        response["Allow"] = "POST"
        return response


def _asked(request: HttpRequest) -> Asked:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY_BYTES:
        raise TooLarge(f"the body is larger than {MAX_BODY_BYTES} bytes")
    return Asked(
        request.body,
        authorization=_header(request, "Authorization"),
        api_key=_header(request, "X-API-Key"),
        idempotency_key=_header(request, "Idempotency-Key"),
    )


def _header(request: HttpRequest, name: str) -> bytes | None:
    value = request.headers.get(name)
    if value is None:
        return None
    if "," in value:  # WSGI servers join what came twice
        raise InvalidRequest(f"the header {name} stands there twice")
    return value.encode("latin-1")


def _response(request: HttpRequest, answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)
    for name, value in answer.headers:
        response[name] = value
    given = request.headers.get("X-Request-Id", "")
    response["X-Request-Id"] = given if _REQUEST_ID.fullmatch(given) else f"req_{token_hex(12)}"
    return response
