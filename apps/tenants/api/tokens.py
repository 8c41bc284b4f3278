"""/api/v1/token: how a program gets, renews and gives up the tokens of a person."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.errors import Invalid
from apps.core.negotiation import AnyAccept
from apps.core.openapi import AUTH, PROBLEM_BODY, answers
from apps.core.parsing import PlainJSONParser
from apps.tenants.logins.authentication import TENANT_HEADER
from apps.tenants.logins.proving import RETRY_AFTER_S, user_prove
from apps.tenants.logins.signing import keys_published
from apps.tenants.logins.tokens import ACCESS_S, Tokens, tokens_begin, tokens_refresh, tokens_revoke
from apps.tenants.principals import AdminView

MAX_TEXT = 1_024
_TEXT: dict[str, Any] = {"type": "string", "maxLength": MAX_TEXT}
_CODE = _TEXT | {"description": "Of the authenticator app, or a recovery code, where the account has a second step."}
_PAIR = {
    "type": "object",
    "required": ["token_type", "access_token", "expires_in", "refresh_token", "refresh_expires_in"],
    "properties": {
        "token_type": {"type": "string", "enum": ["Bearer"]},
        "access_token": {"type": "string"},
        "expires_in": {"type": "integer", "description": "Seconds."},
        "refresh_token": {"type": "string", "description": "Good once; the answer to it holds the next."},
        "refresh_expires_in": {"type": "integer", "description": "Seconds."},
    },
}  # fmt: skip
_ME: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "id", "role", "permissions", "organisation"],
    "properties": {
        "kind": {"type": "string", "enum": ["key", "user"]},
        "id": {"type": "integer"},
        "role": {"type": "string"},
        "permissions": {"type": "array", "items": {"type": "string"}},
        "organisation": {
            "type": "object",
            "required": ["slug", "name"],
            "properties": {"slug": {"type": "string"}, "name": {"type": "string"}},
        },
    },
}
TENANT_PARAMETER = OpenApiParameter(
    TENANT_HEADER, str, OpenApiParameter.HEADER, description="The organisation; may be left out by who belongs to one."
)
_WORDS = {
    400: "The body is not valid; `errors` says what.",
    401: "Not the right login, or a token that is not valid any more.",
    429: "Too many failed logins of this account or network.",
}


def _body(required: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"application/json": {"type": "object", "required": list(required), "properties": {**required, **more}}}


def _answers(good: Any, *problems: int) -> dict[Any, Any]:
    told = {(code, "application/problem+json"): OpenApiResponse(PROBLEM_BODY, _WORDS[code]) for code in problems}
    return {**good, **told}


_PAIR_ANSWER: dict[Any, Any] = {(200, "application/json"): _PAIR}
_REFRESH_BODY = _body({"refresh_token": _TEXT})


class TokenView(APIView):
    """Open to everybody: what is in the body is what is asked for."""

    authentication_classes = ()
    content_negotiation_class = AnyAccept
    parser_classes = (PlainJSONParser,)

    @extend_schema(
        operation_id="token", summary="Log in", tags=["token"], auth=[],
        description="Answers with an access token for `Authorization: Bearer` and a refresh token. The limits on "
        "failed logins are those of the login page.",
        request=_body({"email": _TEXT, "password": _TEXT}, code=_CODE), responses=_answers(_PAIR_ANSWER, 400, 401, 429),
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Raises Invalid, LoginWrong, CodeNeeded, CodeWrong, LoginsTooMany."""
        email, password = _texts(request.data, "email", "password")
        (code,) = _texts(request.data, "code") if "code" in request.data else ("",)
        django_request = request._request  # noqa: SLF001 - allauth takes Django's
        user_id = user_prove(django_request, email=email, password=password, code=code)
        return _pair(tokens_begin(user_id=user_id, now=timezone.now()))

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        response["Cache-Control"] = "no-store"
        if response.status_code == 401:
            response["WWW-Authenticate"] = "Bearer"
        if response.status_code == 429:
            response["Retry-After"] = str(RETRY_AFTER_S)
        return response


class RefreshView(TokenView):
    @extend_schema(
        operation_id="token_refresh", summary="Renew both tokens", tags=["token"], auth=[],
        description="A refresh token is good once. One that is used again ends the login that it came of.",
        request=_REFRESH_BODY, responses=_answers(_PAIR_ANSWER, 400, 401),
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Raises Invalid, TokenInvalid."""
        (refresh,) = _texts(request.data, "refresh_token")
        return _pair(tokens_refresh(refresh=refresh, now=timezone.now()))


class RevokeView(TokenView):
    @extend_schema(
        operation_id="token_revoke", summary="Log out", tags=["token"], auth=[],
        description="Ends the login that the refresh token came of, its access tokens included.",
        request=_REFRESH_BODY, responses=_answers({204: None}, 400, 401),
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Raises Invalid, TokenInvalid."""
        (refresh,) = _texts(request.data, "refresh_token")
        tokens_revoke(refresh=refresh, now=timezone.now())
        return Response(status=204)


class MeView(AdminView):
    permissions = {"GET": None}

    @extend_schema(
        operation_id="me", summary="Whose credential is this, and for which organisation?", tags=["token"],
        auth=AUTH, parameters=[TENANT_PARAMETER], responses=answers(_ME),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        who = self.principal
        return Response(
            {
                "kind": who.kind, "id": who.id, "role": who.role, "permissions": sorted(who.permissions),
                "organisation": {"slug": self.tenant.slug, "name": self.tenant.name},
            }
        )  # fmt: skip


@require_safe
def keys(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - Django passes it
    """/.well-known/jwks.json, for whoever wants to verify tokens without asking us."""
    return JsonResponse(keys_published(), headers={"Cache-Control": "public, max-age=300"})


def _pair(tokens: Tokens) -> Response:
    answer = {
        "token_type": "Bearer", "access_token": tokens.access, "expires_in": ACCESS_S,
        "refresh_token": tokens.refresh, "refresh_expires_in": tokens.refresh_s,
    }  # fmt: skip
    return Response(answer, headers={"Cache-Control": "no-store"})


def _texts(data: Any, *names: str) -> list[str]:
    """Raises Invalid."""
    given = data if isinstance(data, Mapping) else {}
    wrong = [name for name in names if not _is_text(given.get(name))]
    if wrong:
        raise Invalid("The body is not valid.", fields=dict.fromkeys(wrong, f"Must be 1 to {MAX_TEXT} characters."))
    return [given[name] for name in names]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT
