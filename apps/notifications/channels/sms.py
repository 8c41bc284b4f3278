"""SMS by Twilio's REST API, at most once: an SMS costs money and wakes people. When it is not known whether Twilio took
it, that is shown, and nothing is sent again.

Against pumping, where somebody earns by having us send to numbers of theirs: only numbers that people carry, only of
countries in SMS_COUNTRIES, and so many a day to a number, from a tenant and to a country (`house.sms`).
"""

import base64
import json
import time
from collections.abc import Mapping
from urllib.parse import urlencode

import phonenumbers
from django.conf import settings

from apps.notifications.channels.base import Connected, Envelope, Outcome, Result, field_refused
from apps.notifications.channels.chat import headline
from apps.notifications.channels.webhook import retry_after
from apps.notifications.outbound import Answer, Unreachable, UrlRefused, post

MAX_TEXT = 300
_MOBILE = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
_STOPPED = 21610  # the person answered STOP
_NO_SUCH = (21211, 21214, 21217, 21408, 21612, 21614)  # not a number, not a mobile, not reachable by us


class SmsSender:
    def send(self, envelope: Envelope) -> Outcome:
        credentials = f"{settings.TWILIO_ACCOUNT_SID}:{settings.TWILIO_AUTH_TOKEN}".encode()
        form = {"To": envelope.secret["address"], "From": settings.TWILIO_FROM, "Body": text_of(envelope)}
        try:
            answer = post(
                f"{settings.TWILIO_API_BASE}/2010-04-01/Accounts/{settings.TWILIO_ACCOUNT_SID}/Messages.json",
                body=urlencode(form).encode(),
                headers={
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Authorization": f"Basic {base64.b64encode(credentials).decode()}",
                },
            )
        except Unreachable as error:
            return Outcome(Result.UNKNOWN if error.may_have_arrived else Result.RETRY, str(error))
        except UrlRefused as error:
            return Outcome(Result.RETRY, str(error))
        return outcome_of(answer)


def is_offered() -> bool:
    return bool(settings.TWILIO_ACCOUNT_SID and settings.TWILIO_AUTH_TOKEN and settings.TWILIO_FROM)


def connect(values: Mapping[str, str]) -> Connected:
    """Raises Invalid."""
    try:
        number = phonenumbers.parse(values["address"].strip(), None)
    except phonenumbers.NumberParseException:
        raise field_refused("address", "Write it with the country, such as +49 1512 3456789.") from None
    if not phonenumbers.is_valid_number(number) or phonenumbers.number_type(number) not in _MOBILE:
        raise field_refused("address", "This is not the number of a mobile phone.")
    if country_of(number) not in settings.SMS_COUNTRIES:
        known = ", ".join(settings.SMS_COUNTRIES)
        raise field_refused("address", f"We send SMS to these countries only: {known}.")
    text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return Connected({"address": text}, f"{text[:4]}…{text[-3:]}")


def country_of(number: phonenumbers.PhoneNumber) -> str:
    """ISO code, empty where there is none."""
    return phonenumbers.region_code_for_number(number) or ""


def text_of(envelope: Envelope) -> str:
    if envelope.code:
        return f"{envelope.code} confirms this number for {envelope.message.tenant.name} at Ratelimiter."
    text = f"{envelope.message.tenant.name}: {headline(envelope)}"
    room = MAX_TEXT - len(envelope.message.url) - 1
    return f"{text if len(text) <= room else text[: room - 1] + '…'} {envelope.message.url}"


def outcome_of(answer: Answer) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return Outcome(Result.SENT, "", status, answer.body)
    code, words = _error(answer.body)
    reason = f"Twilio answered {status}" + (f", {code}: {words}" if code else ".")
    if code == _STOPPED:
        return Outcome(Result.GONE, reason, status, answer.body)
    if code in _NO_SUCH:
        return Outcome(Result.REFUSED, reason, status, answer.body)
    if status >= 500 or status == 408:
        return Outcome(Result.UNKNOWN, reason, status, answer.body)
    if status in (401, 403, 429):  # ours to mend, and nothing was sent
        wait = retry_after(answer.headers.get("retry-after", ""), time.time())
        return Outcome(Result.RETRY, reason, status, answer.body, wait)
    return Outcome(Result.REFUSED, reason, status, answer.body)


def _error(body: str) -> tuple[int, str]:
    try:
        found = json.loads(body)
        return int(found["code"]), str(found["message"])
    except (ValueError, KeyError, TypeError):
        return 0, ""
