"""POST /api/v1/check: the check API through Django, for those who have no door. Bodies and headers are the door's."""

import re
from secrets import token_hex
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.limits.api.schema import EXAMPLES, REQUEST, RESPONSES
from apps.limits.judge import judge
from ratelimiter.engine.errors import EngineError, InvalidRequest, MethodNotAllowed, TooLarge
from ratelimiter.engine.wire.decode import MAX_BODY_BYTES
from ratelimiter.engine.wire.render import Answer, error_render

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

log = structlog.get_logger(__name__)


class AnyAccept(BaseContentNegotiation):
    """The answer is JSON whatever the caller accepts, as at the door."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class CheckView(APIView):
    http_method_names = ["post"]
    content_negotiation_class = AnyAccept

    @extend_schema(
        operation_id="check",
        summary="May this request pass?",
        description="200: it may. 429 with `RL-Decision: deny`: it may not. Everything else says `RL-Decision: none`.",
        tags=["check"],
        request=REQUEST,
        responses=RESPONSES,
        examples=EXAMPLES,
        auth=[{"apiKey": []}],  # type: ignore[list-item]
    )
    def post(self, request: Request) -> HttpResponse:
        raw: HttpRequest = request._request  # noqa: SLF001 - the body as it came, before any parser
        try:
            answer = _check(raw)
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


def _check(request: HttpRequest) -> Answer:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY_BYTES:
        raise TooLarge(f"the body is larger than {MAX_BODY_BYTES} bytes")
    return judge().check(
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
