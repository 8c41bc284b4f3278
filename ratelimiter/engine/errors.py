"""What can go wrong while deciding. A denial is a value (decision.Decision); everything here is an exception."""


class EngineError(Exception):
    """Base of every engine error: carries the HTTP status and the stable code of the check API."""

    status = 500
    code = "internal"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRequest(EngineError):
    """The caller sent something that check-api.md refuses. `errors` holds (JSON pointer, message) pairs."""

    status = 400
    code = "invalid_request"

    def __init__(self, detail: str, *errors: tuple[str, str]) -> None:
        super().__init__(detail)
        self.errors = errors


class Unauthenticated(EngineError):
    status = 401
    code = "unauthenticated"


class Forbidden(EngineError):
    status = 403
    code = "forbidden"


class QuotaExhausted(EngineError):
    """The plan's checks of this period are used up. Not an answer about the end user."""

    status = 402
    code = "plan_quota_exhausted"


class IdempotencyMismatch(EngineError):
    status = 422
    code = "idempotency_mismatch"


class NotFound(EngineError):
    status = 404
    code = "not_found"


class MethodNotAllowed(EngineError):
    status = 405
    code = "method_not_allowed"


class TooLarge(EngineError):
    status = 413
    code = "too_large"


class HeadersTooLarge(EngineError):
    status = 431
    code = "headers_too_large"


class Unavailable(EngineError):
    """The service cannot judge right now; never an answer about the end user."""

    status = 503
    code = "unavailable"


class StoreFailed(EngineError):
    """The store did not answer in time, or not at all. Callers degrade by the rule's failure policy."""

    status = 503
    code = "unavailable"


class CallLate(StoreFailed):
    """The store was reached past the call's deadline and counted nothing. `store_ms` is its time."""

    def __init__(self, store_ms: int) -> None:
        super().__init__("the call reached the store after its deadline")
        self.store_ms = store_ms
