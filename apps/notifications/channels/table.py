"""Every medium there is: one file and one row each."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import phonenumbers

from apps.notifications.channels import email, pagerduty, slack, sms, teams, webhook
from apps.notifications.channels.base import Field, Medium
from apps.notifications.house.sms import sms_admit


def _waits(*seconds: int) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=one) for one in seconds)


def _sms_admit(tenant_id: int, secret: Mapping[str, Any], now: datetime) -> str:
    number = phonenumbers.parse(secret["address"], None)
    return sms_admit(tenant_id=tenant_id, number=secret["address"], country=sms.country_of(number), now=now)


_PATIENT = _waits(30, 120, 600, 1_800, 7_200, 14_400, 28_800, 43_200)
_TEN_TRIES = _waits(5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)

MEDIUMS = {
    medium.code: medium
    for medium in (
        Medium(
            "email", "E-mail", "At least once, always with the same Message-ID.", email.EmailSender(), _PATIENT,
            email.connect, (Field("address", "Address", "Gets a code that confirms it.", "oncall@example.com"),),
            "code",
        ),
        Medium(
            "slack", "Slack", "At least once; Slack may show a repetition.", slack.SlackSender(), _PATIENT,
            slack.connect,
            (Field("url", "Webhook URL", "Of an app with incoming webhooks.", "https://hooks.slack.com/services/…"),),
            "test", disable_after=10,
        ),
        Medium(
            "teams", "Microsoft Teams", "At least once; Teams may show a repetition.", teams.TeamsSender(), _PATIENT,
            teams.connect,
            (Field("url", "Webhook URL", "Of a workflow that posts what it receives to a channel.", "https://…"),),
            "test", disable_after=10,
        ),
        Medium(
            "pagerduty", "PagerDuty", "At least once; PagerDuty makes one incident of repetitions.",
            pagerduty.PagerDutySender(), _PATIENT, pagerduty.connect,
            (Field("routing_key", "Integration key", "Of a service's Events API v2 integration."),),
            "test", disable_after=10, is_quietable=False,
        ),
        Medium(
            "sms", "SMS", "At most once: what may have arrived is shown, not sent again.", sms.SmsSender(),
            _waits(60, 600, 3_600), sms.connect,
            (Field("address", "Mobile number", "Gets a code that confirms it.", "+49 1512 3456789"),),
            "code", sends_once=True, is_offered=sms.is_offered, admit=_sms_admit,
        ),
        Medium(
            "webhook", "Webhook", "At least once, always with the same id; one after the other.",
            webhook.WebhookSender(), _TEN_TRIES, webhook.connect,
            (Field("url", "URL", "Gets a signed POST for every event.", "https://example.com/hooks/ratelimiter"),),
            "test", disable_after=10, is_quietable=False, needs_webhooks=True,
        ),
    )
}  # fmt: skip
