"""What a request is refused with, in Stripe's shape: `{"error": {"type", "code", "message", "param", …}}`."""

from typing import Any

INVALID = "invalid_request_error"


class ApiError(Exception):
    """`keep`: what the request changed before it was refused stays (a declined charge is on record)."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = INVALID,
        code: str | None = None,
        param: str | None = None,
        keep: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.keep = keep
        self.body = {"type": kind, "message": message} | {
            name: value for name, value in (("code", code), ("param", param), *more.items()) if value is not None
        }


def missing(kind: str, ident: str, *, param: str = "id") -> ApiError:
    name = kind.replace(".", " ").replace("_", " ")
    return ApiError(f"No such {name}: '{ident}'", status=404, code="resource_missing", param=param)


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(message, param=param, code=code)


def declined(*, code: str, decline_code: str | None, message: str, **more: Any) -> ApiError:
    """A card error; what happened to the payment stays on record."""
    return ApiError(
        message, status=402, kind="card_error", code=code, decline_code=decline_code, keep=True, param=None, **more
    )
