"""How many SMS went out today: to a number, from a tenant, to a country. Over all tenants, so in the shared schema."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection

from apps.notifications.house.models import SmsUse

KEPT = timedelta(days=7)


def sms_admit(*, tenant_id: int, number: str, country: str, now: datetime) -> str:
    """Counts one more and returns nothing, or returns why it must not be sent. In the caller's transaction."""
    day = now.astimezone(UTC).date()
    for scope, most, words in (
        (f"number:{_digest(number)}", settings.SMS_A_NUMBER, "This number had as many SMS today as one may have."),
        (f"tenant:{tenant_id}", settings.SMS_A_TENANT, "Your organisation had as many SMS today as one may have."),
        (f"country:{country}", settings.SMS_A_COUNTRY, "We send no more SMS to this country today."),
    ):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO public.notifications_house_smsuse AS held (scope, day, count) VALUES (%s, %s, 1)"
                " ON CONFLICT (scope, day) DO UPDATE SET count = held.count + 1 RETURNING count",
                [scope, day],
            )
            row = cursor.fetchone()
        assert row is not None
        if row[0] > most:
            return words
    return ""


def sms_uses_forget(*, now: datetime) -> None:
    SmsUse.objects.filter(day__lt=(now - KEPT).date()).delete()


def _digest(number: str) -> str:
    """Numbers of people do not stand in a table of the house."""
    return hmac.digest(settings.SECRET_KEY.encode(), number.encode(), hashlib.sha256).hex()[:32]
