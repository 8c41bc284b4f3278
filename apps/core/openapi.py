"""What every endpoint for API keys answers, as OpenAPI."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse

AUTH: list[Any] = [{"apiKey": []}]
_TEXT = {"type": "string"}
_MEMBERS = {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "code": _TEXT, "detail": _TEXT}
_PROBLEM: dict[str, Any] = {"type": "object", "required": list(_MEMBERS), "properties": _MEMBERS}
_WORDS = (
    (400, "A parameter is not valid; `errors` says which."),
    (401, "No API key, or one that does not work."),
    (403, "The key lacks the scope, or the tenant is suspended."),
)


def answers(good: dict[str, Any], *, status: int = 200) -> dict[Any, Any]:
    """The good one beside the problems that it may be instead."""
    problems = {
        (code, "application/problem+json"): OpenApiResponse(_PROBLEM, description=words) for code, words in _WORDS
    }
    return {(status, "application/json"): good, **problems}
