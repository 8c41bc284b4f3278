"""What every endpoint of the admin API answers, as OpenAPI."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from apps.core.catalogue import CATALOGUE

AUTH: list[Any] = [{"apiKey": []}, {"token": []}]
Handler = TypeVar("Handler", bound=Callable[..., Any])
_TEXT = {"type": "string"}
PROBLEM_BODY: dict[str, Any] = {"$ref": "#/components/schemas/Problem"}
_WORDS = {
    400: "The body or a parameter is not valid; `errors` says which.",
    401: "No credential, or one that does not work.",
    403: "The credential may not do this, the plan does not include it, or the organisation is suspended.",
    404: "There is nothing by that name, for this organisation.",
    409: "It cannot be done in the state that things are in; `code` says why.",
    412: "It has been changed since it was read.",
    413: "The body is too large.",
    422: "The Idempotency-Key belongs to another request.",
    428: "`If-Match` is missing.",
    429: "Too many requests of this credential or organisation; `Retry-After` says how many seconds to wait.",
}
_PROBLEM_TYPE = "application/problem+json"
_ALWAYS = (400, 401, 403, 429)
_ADMIN_CODES = {
    "invalid", "parse_error", "unauthenticated", "token_invalid", "forbidden", "plan_forbids", "not_found", "conflict",
    "too_many_rules", "too_many_overrides", "idempotency_in_flight", "precondition_failed", "too_large",
    "idempotency_key_reused", "precondition_required", "rate_limited",
}  # fmt: skip
_TENANT = OpenApiParameter(
    "RL-Tenant", _TEXT, OpenApiParameter.HEADER,
    description="With a token: the organisation, by its slug; may be left out by who belongs to one.",
)  # fmt: skip
_IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", _TEXT | {"minLength": 1, "maxLength": 255}, OpenApiParameter.HEADER,
    description="The same request with the same key is carried out once within 24 hours.",
)  # fmt: skip
IF_MATCH = OpenApiParameter(
    "If-Match", _TEXT | {"minLength": 1}, OpenApiParameter.HEADER, required=True,
    description="The ETag of what is changed, as it was read; `*` for any.",
)  # fmt: skip
IF_MATCH_UNLESS_DRY = OpenApiParameter(
    "If-Match", _TEXT, OpenApiParameter.HEADER,
    description="The ETag of what is changed, as it was read; `*` for any. A dry run wants none.",
)  # fmt: skip
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", _TEXT, OpenApiParameter.HEADER, description="The ETag of what is known: 304 where it is the same."
)


def answers(good: dict[str, Any] | None, *, status: int = 200, also: Iterable[int] = ()) -> dict[Any, Any]:
    """The good one, None for one without a body, beside the problems that it may be instead."""
    problems = {
        (code, _PROBLEM_TYPE): OpenApiResponse(PROBLEM_BODY, description=_WORDS[code], examples=_examples(code))
        for code in sorted({*_ALWAYS, *also})
    }
    if good is None:
        return {status: OpenApiResponse(description="Done."), **problems}
    return {(status, "application/json"): good, **problems}


def _examples(status: int) -> list[OpenApiExample]:
    """The codes of a status that the admin API answers with."""
    return [
        OpenApiExample(
            code, {"type": f"/docs/errors/{code}", "title": known.title, "status": status, "code": code,
                   "detail": known.example},
            response_only=True, status_codes=[str(status)], media_type=_PROBLEM_TYPE,
        )
        for code, known in CATALOGUE.items()
        if known.status == status and code in _ADMIN_CODES
    ]  # fmt: skip


class Schema(AutoSchema):
    """Says of every view of the admin API what all of them have in common."""

    def get_description(self) -> str:  # type: ignore[override]
        """What a view's docstring says is for who reads the code."""
        return "" if getattr(self.view, "is_admin_api", False) else super().get_description()

    def get_override_parameters(self) -> list[Any]:
        common = list(super().get_override_parameters())
        if getattr(self.view, "is_admin_api", False):
            common.append(_TENANT)
            if self.method == "POST":
                common.append(_IDEMPOTENCY_KEY)
        return common

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        if getattr(self.view, "is_admin_api", False) and self.method == "POST":
            for status in (409, 422):
                if str(status) not in bodies:
                    said = answers(None, also=(status,))[(status, _PROBLEM_TYPE)]
                    made = self._get_response_for_code(said, str(status), [_PROBLEM_TYPE], direction)  # type: ignore[no-untyped-call]
                    bodies[str(status)] = made
        return bodies


def operation(
    operation_id: str,
    summary: str,
    *,
    tag: str,
    good: dict[str, Any] | None,
    description: str = "",
    status: int = 200,
    also: Iterable[int] = (),
    parameters: Iterable[OpenApiParameter] = (),
    body: dict[str, Any] | None = None,
    example: dict[str, Any] | None = None,
) -> Callable[[Handler], Handler]:
    """Describes a method of an AdminView."""
    asked, found = list(parameters), {*also}
    if IF_MATCH in asked or IF_MATCH_UNLESS_DRY in asked:
        found |= {412, 428}
    said = answers(good, status=status, also=found | ({413} if body else set()))
    if IF_NONE_MATCH in asked:
        said[304] = OpenApiResponse(description="It is as the caller knows it.")
    shown = [OpenApiExample("A body", example, request_only=True)] if example else []
    return extend_schema(
        operation_id=operation_id, summary=summary, description=description or None, tags=[tag], parameters=asked,
        request={"application/json": body} if body else None, responses=said, auth=AUTH, examples=shown,
    )  # fmt: skip


def shape(required: Iterable[str] | None = None, /, **properties: Any) -> dict[str, Any]:
    """An object; all of its properties are required unless it says which."""
    names = list(properties) if required is None else list(required)
    made: dict[str, Any] = {"type": "object", "properties": properties}
    return made | {"required": names} if names else made


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """An object that has nothing else."""
    return schema | {"additionalProperties": False}
