"""Slack's incoming webhooks. At least once, and Slack has no id to tell a repetition by, so it may show one twice."""

from collections.abc import Mapping
from typing import Any

from apps.notifications.channels.base import Connected, Envelope, Outcome
from apps.notifications.channels.chat import headline, hook_connect, json_post

_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
_MARKS = {"critical": ":red_circle:", "warning": ":large_orange_circle:", "info": ":information_source:"}
_GONE = (403, 404, 410)  # the app was removed, the channel is gone or archived


class SlackSender:
    def send(self, envelope: Envelope) -> Outcome:
        return json_post(envelope.secret["url"], body_of(envelope), gone=_GONE)


def connect(values: Mapping[str, str]) -> Connected:
    """Raises Invalid."""
    return hook_connect(values, hosts=_HOSTS, words="It begins with https://hooks.slack.com/services/.")


def body_of(envelope: Envelope) -> dict[str, Any]:
    blocks = [
        {
            "type": "section",
            "text": {
                "type": "mrkdwn",
                "text": f"{_MARKS[one.kind.severity.value]} *{_escaped(one.subject)}*\n{_escaped(one.line)}"
                f"\n<{one.url}|{_escaped(one.word)}>",
            },
        }
        for one in envelope.messages[-20:]  # the most blocks are 50, and nobody reads more
    ]
    return {"text": _escaped(headline(envelope)), "blocks": blocks}


def _escaped(text: str) -> str:
    """Slack's three characters; a subject must not become a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
