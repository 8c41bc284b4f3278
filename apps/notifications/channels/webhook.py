"""Outgoing webhooks by the Standard Webhooks specification (standardwebhooks.com): the same id on every try, a
timestamp, and an HMAC signature for each secret that is valid, of which there are two during a rotation.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from apps.notifications.channels.base import Connected, Envelope, Outcome, Result, field_refused
from apps.notifications.outbound import Answer, Unreachable, UrlRefused, post, target_of
from apps.notifications.rendering import Message

MAX_BODY = 20_000
LONGEST_WAIT = timedelta(hours=24)
OVERLAP = timedelta(hours=24)  # both secrets sign after a rotation
_KEY_BYTES = 24


class WebhookSender:
    def send(self, envelope: Envelope) -> Outcome:
        body = body_of(envelope.message)
        if len(body) > MAX_BODY:
            return Outcome(Result.REFUSED, f"The body would have {len(body):,} bytes; the most is {MAX_BODY:,}.")
        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": envelope.message.id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(envelope.message.id, now, body, keys_valid(envelope.secret, now)),
        }
        try:
            answer = post(envelope.secret["url"], body=body, headers=headers)
        except (UrlRefused, Unreachable) as error:
            return Outcome(Result.RETRY, str(error))
        return outcome_of(answer, now)


def connect(values: Mapping[str, str]) -> Connected:
    """Raises Invalid."""
    url = values["url"].strip()
    try:
        target = target_of(url)
    except UrlRefused as error:
        raise field_refused("url", str(error)) from None
    return Connected({"url": url, "keys": [{"key": key_new(), "until": None}]}, f"{target.scheme}://{target.host}/…")


def key_new() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def rotated(secret: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """With a new key; the one before signs too, until the overlap ends, and older ones no more."""
    before = secret["keys"][0]["key"]
    return {
        **secret,
        "keys": [{"key": key_new(), "until": None}, {"key": before, "until": (now + OVERLAP).timestamp()}],
    }


def keys_valid(secret: Mapping[str, Any], now_s: float) -> list[str]:
    return [entry["key"] for entry in secret["keys"] if entry["until"] is None or entry["until"] > now_s]


def body_of(message: Message) -> bytes:
    return json.dumps(event_of(message), ensure_ascii=False, separators=(",", ":")).encode()


def event_of(message: Message) -> dict[str, Any]:
    """What a receiver gets; the catalogue shows the same."""
    return {
        "type": message.kind.code,
        "timestamp": message.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "data": {
            "tenant": message.tenant.slug,
            "severity": message.kind.severity.value,
            "subject": message.subject,
            "url": message.url,
            **message.context,
        },
    }


def signature(message_id: str, timestamp_s: int, body: bytes, keys: Sequence[str]) -> str:
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    made = [hmac.digest(base64.b64decode(key.removeprefix("whsec_")), signed, hashlib.sha256) for key in keys]
    return " ".join(f"v1,{base64.b64encode(one).decode()}" for one in made)


def outcome_of(answer: Answer, now_s: float) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return Outcome(Result.SENT, "", status, answer.body)
    if status == 410:
        return Outcome(Result.GONE, "The receiver answered 410: it wants no more.", status, answer.body)
    reason = f"The receiver answered {status}."
    if 300 <= status < 400:
        reason = f"The receiver answered {status}; redirects are not followed."
    return Outcome(Result.RETRY, reason, status, answer.body, retry_after(answer.headers.get("retry-after", ""), now_s))


def retry_after(value: str, now_s: float) -> timedelta | None:
    """Seconds or a date; at most a day."""
    if value.strip().isdecimal():
        return min(timedelta(seconds=int(value[:9])), LONGEST_WAIT)
    try:
        wait = parsedate_to_datetime(value).timestamp() - now_s
    except ValueError:
        return None
    return min(timedelta(seconds=max(0.0, wait)), LONGEST_WAIT)
