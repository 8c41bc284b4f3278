"""What chats have in common: a hook whose address is the secret, and words for one notice or for several held ones."""

import json
import time
from collections.abc import Mapping
from typing import Any

from apps.notifications.channels.base import Connected, Envelope, Outcome, Result, field_refused
from apps.notifications.channels.webhook import retry_after
from apps.notifications.outbound import Answer, Unreachable, UrlRefused, is_exempt_host, post, target_of


def hook_connect(values: Mapping[str, str], *, hosts: tuple[str, ...], words: str) -> Connected:
    """`hosts` that begin with a dot stand for all below. Raises Invalid."""
    url = values["url"].strip()
    try:
        target = target_of(url)
    except UrlRefused as error:
        raise field_refused("url", str(error)) from None
    is_theirs = any(target.host == host or (host[0] == "." and target.host.endswith(host)) for host in hosts)
    if not is_theirs and not is_exempt_host(target.host):
        raise field_refused("url", words)
    return Connected({"url": url}, f"{target.scheme}://{target.host}/…")


def json_post(url: str, body: Mapping[str, Any], *, gone: tuple[int, ...]) -> Outcome:
    """`gone` are the statuses that say that the receiver wants no more."""
    try:
        answer = post(url, body=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    except (UrlRefused, Unreachable) as error:
        return Outcome(Result.RETRY, str(error))
    return outcome_of(answer, time.time(), gone=gone)


def headline(envelope: Envelope) -> str:
    messages = envelope.messages
    if len(messages) == 1:
        return messages[0].subject
    return f"{len(messages)} notices from the quiet hours of {messages[-1].tenant.name}"


def outcome_of(answer: Answer, now_s: float, *, gone: tuple[int, ...]) -> Outcome:
    """4xx other than 408 and 429 would be answered the same again."""
    status, words = answer.status, answer.body.strip()[:80]
    if 200 <= status < 300:
        return Outcome(Result.SENT, "", status, answer.body)
    reason = f"It answered {status}" + (f": {words}." if words else ".")
    if status in gone:
        return Outcome(Result.GONE, reason, status, answer.body)
    if 400 <= status < 500 and status not in (408, 429):
        return Outcome(Result.REFUSED, reason, status, answer.body)
    return Outcome(Result.RETRY, reason, status, answer.body, retry_after(answer.headers.get("retry-after", ""), now_s))
