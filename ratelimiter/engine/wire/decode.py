"""The request side of the check API: bytes in, a Check or an error that names the field out. Both doors use it."""

import json
import re
from typing import Any, TypeVar

import msgspec

from ratelimiter.engine.addresses import address_parse
from ratelimiter.engine.decision import Check
from ratelimiter.engine.errors import InvalidRequest, TooLarge

MAX_BODY_BYTES = 16_384
MAX_BATCH_BODY_BYTES = 512 * 1024
MAX_BATCH = 100
MAX_DIMENSION_BYTES = 256
MAX_ATTRIBUTES = 16
MAX_ATTRIBUTE_NAME_BYTES = 64
NAME = re.compile(r"[a-z0-9_-]{1,64}")

_NO_REFUNDS = "this service does not keep refundable checks yet; leave the field out"


Decoded = TypeVar("Decoded")


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checks: list[msgspec.Raw]


_check_decoder = msgspec.json.Decoder(Check)
_batch_decoder = msgspec.json.Decoder(Batch)
_PATH = re.compile(r" - at `\$\.?(.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")


def check_decode(body: bytes) -> Check:
    """Raises InvalidRequest with a pointer to the field, TooLarge past 16 KiB."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the body is larger than {MAX_BODY_BYTES} bytes")
    check = _decode(_check_decoder, body)
    _limits_verify(check)
    return check


def idempotency_key_refuse(key: bytes | None) -> None:
    """Ignoring it would count a repeated check twice without a word."""
    if key is not None:
        raise InvalidRequest("Idempotency-Key is not supported yet; send the check without it")


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
    for name in ("ip", "route", "user"):
        value = getattr(check, name)
        if value is not None and _too_long(value, MAX_DIMENSION_BYTES):
            raise _invalid(f"/{name}", f"must be at most {MAX_DIMENSION_BYTES} bytes")
    if check.ip is not None:
        try:
            address_parse(check.ip)
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
    if check.refundable:
        raise _invalid("/refundable", _NO_REFUNDS)


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
    return next((f"/{_escape(name)}" for name, value in names if not isinstance(value, str)), "")


def _surrogate_pointer(body: bytes) -> str:
    """Where a string is that JSON allows and UTF-8 does not; "" when there is none, or no JSON."""
    try:
        return _surrogate_find(json.loads(body)) or ""
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
    path = _PATH.search(message)
    pointer = ""
    if path:
        message = message[: path.start()]
        pointer = "".join(f"/{_escape(part)}" for part in re.split(r"\.|\[|\]", path[1]) if part and part != "...")
    unknown = _UNKNOWN.fullmatch(message)
    if unknown:
        return f"{pointer}/{_escape(unknown[1])}", "is not a field of a check"
    return pointer, message[0].lower() + message[1:]


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _invalid(pointer: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{pointer or 'body'}: {message}", (pointer, message))
