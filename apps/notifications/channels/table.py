"""Every medium there is: one file and one row each."""

from datetime import timedelta

from apps.notifications.channels import email, webhook
from apps.notifications.channels.base import Field, Medium


def _waits(*seconds: int) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=one) for one in seconds)


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
            "webhook", "Webhook", "At least once, always with the same id; one after the other.",
            webhook.WebhookSender(), _TEN_TRIES, webhook.connect,
            (Field("url", "URL", "Gets a signed POST for every event.", "https://example.com/hooks/ratelimiter"),),
            "test", disable_after=10, is_quietable=False, needs_webhooks=True,
        ),
    )
}  # fmt: skip
