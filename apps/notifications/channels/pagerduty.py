"""PagerDuty's Events API v2. At least once with the same dedup_key, which PagerDuty turns into one incident."""

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from apps.notifications.channels.base import Connected, Envelope, Outcome, field_refused
from apps.notifications.channels.chat import headline, json_post

_KEY = re.compile(r"[A-Za-z0-9]{32}")
_SUMMARY = 1_024


class PagerDutySender:
    def send(self, envelope: Envelope) -> Outcome:
        return json_post(settings.PAGERDUTY_URL, body_of(envelope), gone=())


def connect(values: Mapping[str, str]) -> Connected:
    """Raises Invalid."""
    key = values["routing_key"].strip()
    if not _KEY.fullmatch(key):
        raise field_refused("routing_key", "It has 32 letters and digits.")
    return Connected({"routing_key": key}, f"integration key …{key[-4:]}")


def body_of(envelope: Envelope) -> dict[str, Any]:
    message = envelope.message
    return {
        "routing_key": envelope.secret["routing_key"],
        "event_action": "trigger",
        "dedup_key": message.id,
        "payload": {
            "summary": headline(envelope)[:_SUMMARY],
            "source": f"ratelimiter {message.tenant.slug}",
            "severity": message.kind.severity.value,
            "timestamp": message.at.isoformat(timespec="seconds"),
            "class": message.kind.code,
            "custom_details": {"text": message.line, **message.context},
        },
        "links": [{"href": message.url, "text": message.word}],
    }
