"""The request side of the check API: bytes in, a Check or an error that names the field out. Both doors use it."""

import json
import re
from typing import Annotated, Any, TypeVar

import msgspec

from ratelimiter.engine.addresses import address_parse
from ratelimiter.engine.algorithms.token_bucket import tick_ms
from ratelimiter.engine.conditions import ATTRIBUTE_PREFIX
from ratelimiter.engine.decision import Check, InlineLimit
from ratelimiter.engine.errors import InvalidRequest, TooLarge
from ratelimiter.engine.keys import fingerprint
from ratelimiter.engine.records import Idempotency
from ratelimiter.engine.rules import MAX_BUCKET_TICKS, MAX_BURST_FACTOR, MAX_LOGGED, MAX_UNITS

MAX_BODY_BYTES = 16_384
MAX_BATCH_BODY_BYTES = 512 * 1024
MAX_BATCH = 100
MAX_DIMENSION_BYTES = 256
MAX_ATTRIBUTES = 16
_SURELY_SHORT = MAX_DIMENSION_BYTES // 4  # characters; none takes more than four bytes
MAX_ATTRIBUTE_NAME_BYTES = 64
MAX_INLINE_LIMITS = 5
MAX_KEY = 5
NAME = re.compile(r"[a-z0-9_-]{1,64}")
IDEMPOTENCY_KEY = re.compile(rb"[\x21-\x7e]{1,255}")

Decoded = TypeVar("Decoded")


class Amount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a refund; None is all that the check took."""

    amount: Annotated[int, msgspec.Meta(ge=1, le=MAX_UNITS)] | None = None


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checks: list[msgspec.Raw]


_check_decoder = msgspec.json.Decoder(Check)
_batch_decoder = msgspec.json.Decoder(Batch)
_amount_decoder = msgspec.json.Decoder(Amount)
_PATH = re.compile(r" - at `\$\.?([^`]*)`\Z")  # the last such: what the caller wrote may stand before it
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$\.(limits\[\d+\])`)?", re.DOTALL)
_MAX_QUOTED_CHARACTERS = 512  # of what the caller wrote, in an error: it stands in the answer several times


def check_decode(body: bytes) -> Check:
    """Raises InvalidRequest with a pointer to the field, TooLarge past 16 KiB."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the body is larger than {MAX_BODY_BYTES} bytes")
    try:
        check = _check_decoder.decode(body)
    except (ValueError, RecursionError):
        check = _decode(_check_decoder, body)  # says what is wrong
    _limits_verify(check)
    return check


def amount_decode(body: bytes) -> int | None:
    """Of a refund; an empty body asks for all of it. Raises InvalidRequest and TooLarge."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the body is larger than {MAX_BODY_BYTES} bytes")
    return _decode(_amount_decoder, body).amount if body.strip() else None


def idempotency_of(key: bytes | None, body: bytes, *, position: int | None = None) -> Idempotency | None:
    """`position` is that of an entry of a batch, whose header speaks for all of them. Raises InvalidRequest."""
    if key is None:
        return None
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest("Idempotency-Key must be 1 to 255 visible ASCII characters")
    return Idempotency(key if position is None else b"%s %d" % (key, position), fingerprint(body))


def batch_decode(body: bytes) -> list[msgspec.Raw]:
    """The entries, each still to be decoded by `check_decode` so that one bad entry spoils no other."""
    if len(body) > MAX_BATCH_BODY_BYTES:
        raise TooLarge(f"the body is larger than {MAX_BATCH_BODY_BYTES} bytes")
    batch = _decode(_batch_decoder, body)
    if not 1 <= len(batch.checks) <= MAX_BATCH:
        raise _invalid("/checks", f"must hold 1 to {MAX_BATCH} checks")
    return batch.checks


def _decode(decoder: msgspec.json.Decoder[Decoded], body: bytes) -> Decoded:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        pointer, message = _pointer_and_message(str(error))
        if pointer == "/attributes":  # the decoder does not say which
            pointer += _attribute_pointer(body)
        raise _invalid(pointer, message) from None
    except UnicodeDecodeError:
        raise _invalid("", "the body is not UTF-8") from None
    except msgspec.DecodeError as error:
        pointer = _surrogate_pointer(body)
        if pointer:
            raise _invalid(pointer, "holds half of a surrogate pair, which is no character") from None
        raise _invalid("", f"the body is not valid JSON: {error}") from None
    except RecursionError:
        raise _invalid("", "the body is nested too deeply") from None


def _limits_verify(check: Check) -> None:
    ip, route, user = check.ip, check.route, check.user
    if ip is not None and len(ip) > _SURELY_SHORT:
        _length_verify("ip", ip)
    if route is not None and len(route) > _SURELY_SHORT:
        _length_verify("route", route)
    if user is not None and len(user) > _SURELY_SHORT:
        _length_verify("user", user)
    if ip is not None:
        try:
            address_parse(ip)
        except ValueError:
            raise _invalid("/ip", "must be an IPv4 or IPv6 address") from None
    if check.attributes:
        _attributes_verify(check.attributes)
    if check.rules is not None:
        for position, name in enumerate(check.rules):
            if not NAME.fullmatch(name):
                raise _invalid(f"/rules/{position}", "must be 1 to 64 of a-z, 0-9, _ and -")
    if check.namespace != "default" and not NAME.fullmatch(check.namespace):
        raise _invalid("/namespace", "must be 1 to 64 of a-z, 0-9, _ and -")
    if check.limits:
        _inline_limits_verify(check.limits)


def _length_verify(name: str, value: str) -> None:
    if len(value.encode()) > MAX_DIMENSION_BYTES:
        raise _invalid(f"/{name}", f"must be at most {MAX_DIMENSION_BYTES} bytes")


def _inline_limits_verify(limits: tuple[InlineLimit, ...]) -> None:
    if len(limits) > MAX_INLINE_LIMITS:
        raise _invalid("/limits", f"must have at most {MAX_INLINE_LIMITS} entries")
    names = set()
    for position, limit in enumerate(limits):
        at = f"/limits/{position}"
        if not NAME.fullmatch(limit.name):
            raise _invalid(f"{at}/name", "must be 1 to 64 of a-z, 0-9, _ and -")
        if limit.name in names:
            raise _invalid(f"{at}/name", "stands there twice")
        names.add(limit.name)
        _inline_limit_verify(limit, at)


def _inline_limit_verify(limit: InlineLimit, at: str) -> None:
    if limit.window_ms % 1_000:
        raise _invalid(f"{at}/window_ms", "must be whole seconds")
    if limit.algorithm in ("sliding_log", "concurrency") and limit.limit > MAX_LOGGED:
        raise _invalid(f"{at}/limit", f"must be at most {MAX_LOGGED} with {limit.algorithm}")
    if limit.algorithm == "token_bucket":
        _inline_bucket_verify(limit, at)
    elif limit.burst:
        raise _invalid(f"{at}/burst", "only token_bucket has a burst")
    if len(limit.key) > MAX_KEY or len(set(limit.key)) < len(limit.key):
        raise _invalid(f"{at}/key", f"must be at most {MAX_KEY} dimensions, each once")
    for dimension in limit.key:
        name = dimension.removeprefix(ATTRIBUTE_PREFIX)
        if dimension not in ("ip", "route", "user") and (name in {dimension, ""}):
            raise _invalid(f"{at}/key", "must name ip, route, user or attributes.<name>")


def _inline_bucket_verify(limit: InlineLimit, at: str) -> None:
    if limit.burst > MAX_BURST_FACTOR * limit.limit:
        raise _invalid(f"{at}/burst", f"must be at most {MAX_BURST_FACTOR} times the limit")
    if (limit.burst or limit.limit) * (limit.window_ms // tick_ms(limit.window_ms)) > MAX_BUCKET_TICKS:
        raise _invalid(f"{at}/{'burst' if limit.burst else 'limit'}", "is too large for a bucket with this window")


def _attributes_verify(attributes: dict[str, str]) -> None:
    if len(attributes) > MAX_ATTRIBUTES:
        raise _invalid("/attributes", f"must have at most {MAX_ATTRIBUTES} entries")
    for name, value in attributes.items():
        if not name or _too_long(name, MAX_ATTRIBUTE_NAME_BYTES):
            raise _invalid("/attributes", f"a name must be 1 to {MAX_ATTRIBUTE_NAME_BYTES} bytes")
        if _too_long(value, MAX_DIMENSION_BYTES):
            raise _invalid(f"/attributes/{_escape(name)}", f"must be at most {MAX_DIMENSION_BYTES} bytes")


def _too_long(text: str, most: int) -> bool:
    return len(text) * 4 > most and len(text.encode()) > most


def _attribute_pointer(body: bytes) -> str:
    """The first attribute that is no string. Only on the way to a refusal, like what follows."""
    try:
        attributes = json.loads(body).get("attributes")
    except (ValueError, RecursionError):  # what follows it is no JSON; the decoder stopped before
        return ""
    names = attributes.items() if isinstance(attributes, dict) else ()
    return _quotable(next((f"/{_escape(name)}" for name, value in names if not isinstance(value, str)), ""))


def _surrogate_pointer(body: bytes) -> str:
    """Where a string is that JSON allows and UTF-8 does not; "" when there is none, or no JSON.

    Nobody else's check waits while a whole batch is searched: it is refused without the place.
    """
    if len(body) > MAX_BODY_BYTES:
        return ""
    try:
        return _quotable(_surrogate_find(json.loads(body)) or "")
    except (ValueError, RecursionError):
        return ""


def _surrogate_find(value: Any) -> str | None:
    if isinstance(value, str):
        return None if _is_text(value) else ""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        rest = _surrogate_find(child)
        if rest is not None and _is_text(str(name)):
            return f"/{_escape(str(name))}{rest}"
    return None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _pointer_and_message(message: str) -> tuple[str, str]:
    unknown = _UNKNOWN.fullmatch(message)
    if unknown:
        pointer = _quotable(f"{_pointer(unknown[2] or '')}/{_escape(unknown[1])}")
        return pointer, "is not a field of a check" if pointer else "holds a name longer than that of any field"
    path = _PATH.search(message)
    if path:
        message = message[: path.start()]
    return _pointer(path[1] if path else ""), message[0].lower() + message[1:_MAX_QUOTED_CHARACTERS]


def _pointer(path: str) -> str:
    """The decoder's way of writing it, as in rules[1], turned into RFC 6901's, as in /rules/1."""
    return "".join(f"/{_escape(part)}" for part in re.split(r"\.|\[|\]", path) if part and part != "...")


def _quotable(pointer: str) -> str:
    return pointer if len(pointer) <= _MAX_QUOTED_CHARACTERS else ""


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _invalid(pointer: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{pointer or 'body'}: {message}", (pointer, message))
