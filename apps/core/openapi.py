"""What every endpoint of the admin API answers, as OpenAPI."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

AUTH: list[Any] = [{"apiKey": []}, {"token": []}]
Handler = TypeVar("Handler", bound=Callable[..., Any])
_TEXT = {"type": "string"}
_MEMBERS = {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "code": _TEXT, "detail": _TEXT}
_ERROR = {"type": "object", "required": ["pointer", "message"], "properties": {"pointer": _TEXT, "message": _TEXT}}
PROBLEM_BODY: dict[str, Any] = {
    "type": "object", "required": list(_MEMBERS),
    "properties": _MEMBERS | {"errors": {"type": "array", "items": _ERROR}},
}  # fmt: skip
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
_ALWAYS = (400, 401, 403, 429)
IF_MATCH = OpenApiParameter(
    "If-Match", _TEXT, OpenApiParameter.HEADER, required=True,
    description="The ETag of what is changed, as it was read; `*` for any.",
)  # fmt: skip
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", _TEXT, OpenApiParameter.HEADER, description="The ETag of what is known: 304 where it is the same."
)


def answers(good: dict[str, Any] | None, *, status: int = 200, also: Iterable[int] = ()) -> dict[Any, Any]:
    """The good one, None for one without a body, beside the problems that it may be instead."""
    problems = {
        (code, "application/problem+json"): OpenApiResponse(PROBLEM_BODY, description=_WORDS[code])
        for code in sorted({*_ALWAYS, *also})
    }
    if good is None:
        return {status: OpenApiResponse(description="Done."), **problems}
    return {(status, "application/json"): good, **problems}


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
    examples: Iterable[Any] = (),
) -> Callable[[Handler], Handler]:
    """Describes a method of an AdminView."""
    asked, found = list(parameters), {*also}
    if IF_MATCH in asked:
        found |= {412, 428}
    said = answers(good, status=status, also=found | ({413} if body else set()))
    if IF_NONE_MATCH in asked:
        said[304] = OpenApiResponse(description="It is as the caller knows it.")
    return extend_schema(
        operation_id=operation_id, summary=summary, description=description or None, tags=[tag], parameters=asked,
        request={"application/json": body} if body else None, responses=said, auth=AUTH, examples=list(examples),
    )  # fmt: skip


def shape(required: Iterable[str] | None = None, /, **properties: Any) -> dict[str, Any]:
    """An object; all of its properties are required unless it says which."""
    names = list(properties) if required is None else list(required)
    made: dict[str, Any] = {"type": "object", "properties": properties}
    return made | {"required": names} if names else made


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """An object that has nothing else."""
    return schema | {"additionalProperties": False}
