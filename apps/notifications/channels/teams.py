"""Microsoft Teams, by a workflow's webhook (“Post to a channel when a webhook request is received”), as Adaptive Cards.
At least once; a repetition may be shown twice.
"""

from collections.abc import Mapping
from typing import Any

from apps.notifications.channels.base import Connected, Envelope, Outcome
from apps.notifications.channels.chat import headline, hook_connect, json_post

_HOSTS = (".logic.azure.com", ".api.powerplatform.com", ".webhook.office.com")
_COLOURS = {"critical": "Attention", "warning": "Warning", "info": "Default"}
_GONE = (404, 410)


class TeamsSender:
    def send(self, envelope: Envelope) -> Outcome:
        return json_post(envelope.secret["url"], body_of(envelope), gone=_GONE)


def connect(values: Mapping[str, str]) -> Connected:
    """Raises Invalid."""
    return hook_connect(values, hosts=_HOSTS, words="It is the address that the workflow shows.")


def body_of(envelope: Envelope) -> dict[str, Any]:
    newest = envelope.message
    lines: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": headline(envelope),
            "weight": "Bolder",
            "size": "Medium",
            "wrap": True,
            "color": _COLOURS[newest.kind.severity.value],
        }
    ]
    lines += [{"type": "TextBlock", "text": one.line, "wrap": True} for one in envelope.messages[-20:]]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": lines,
        "actions": [{"type": "Action.OpenUrl", "title": newest.word, "url": newest.url}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}
