"""E-mail, through whatever backend the environment names. At least once; a repeated mail has the same Message-ID, which
mail programs show once.
"""

import smtplib
from collections.abc import Mapping
from typing import Any

from anymail.exceptions import AnymailError, AnymailInvalidAddress, AnymailRecipientsRefused
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.urls import reverse

from apps.core.mail import mail_compose
from apps.notifications.channels.base import Connected, Envelope, Outcome, Result, field_refused
from apps.notifications.muting import mute_token
from apps.notifications.rendering import Message, words_of

_NEVER = (550, 551, 553, 554)  # the address is not there, or not for us


class EmailSender:
    def send(self, envelope: Envelope) -> Outcome:
        mail = mail_make(envelope)
        try:
            mail.send()
        except smtplib.SMTPRecipientsRefused as error:
            code = max((status for status, _text in error.recipients.values()), default=450)
            result = Result.REFUSED if code in _NEVER else Result.RETRY
            return Outcome(result, f"The mail server answered {code}.", code, str(error.recipients))
        except (AnymailRecipientsRefused, AnymailInvalidAddress) as error:
            return Outcome(Result.REFUSED, "The provider refused the address.", response=str(error))
        except AnymailError as error:
            return Outcome(
                Result.RETRY, "The provider did not take it.", getattr(error, "status_code", None), str(error)
            )
        except smtplib.SMTPResponseException as error:
            return Outcome(Result.RETRY, f"The mail server answered {error.smtp_code}.", error.smtp_code, str(error))
        except (smtplib.SMTPException, OSError) as error:
            return Outcome(
                Result.RETRY, f"The mail server could not be reached: {type(error).__name__}.", response=str(error)
            )
        return Outcome(Result.SENT)


def connect(values: Mapping[str, str]) -> Connected:
    """Raises Invalid."""
    address = values["address"].strip()
    try:
        validate_email(address)
    except ValidationError:
        raise field_refused("address", "This is not an address.") from None
    return Connected({"address": address}, address)


def mail_make(envelope: Envelope) -> EmailMultiAlternatives:
    message = envelope.message
    headers = {"Message-ID": f"<{message.id}@{_domain()}>", "Auto-Submitted": "auto-generated"}
    values = words_of(message.kind, message.tenant, message.context) | _links(envelope) | {"code": envelope.code}
    if len(envelope.messages) > 1:
        values |= {"messages": envelope.messages, "count": len(envelope.messages)}
    if values["mute_url"]:
        headers |= {
            "List-Unsubscribe": f"<{values['mute_url']}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    name = "held" if len(envelope.messages) > 1 else message.kind.folder
    return mail_compose(name=name, to=[envelope.address], context=values, headers=headers)


def _links(envelope: Envelope) -> dict[str, str]:
    """Of held mails all kinds must be mutable for one link that mutes them all; the pages do it kind by kind."""
    message: Message = envelope.message
    slug = message.tenant.slug
    links: dict[str, Any] = {
        "mute_url": "",
        "preferences_url": settings.PORTAL_URL + reverse("notifications:preferences", kwargs={"slug": slug}),
    }
    if all(one.kind.is_mutable for one in envelope.messages):
        token = mute_token(
            tenant_id=message.tenant.id, channel_id=envelope.channel_id,
            kinds=sorted({one.kind.code for one in envelope.messages}),
        )  # fmt: skip
        links["mute_url"] = settings.PORTAL_URL + reverse("notifications:mute", kwargs={"token": token})
    return links


def _domain() -> str:
    return settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">") or "localhost"
