"""A mail is a folder of templates/mail: subject.txt, text.txt (written, not derived) and body.html."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string


def mail_compose(
    *, name: str, to: Sequence[str], context: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> EmailMultiAlternatives:
    """Ready to be sent; the sender is DEFAULT_FROM_EMAIL."""
    values = dict(context)
    subject = " ".join(render_to_string(f"mail/{name}/subject.txt", values).split())
    text = render_to_string(f"mail/{name}/text.txt", values).strip() + "\n"
    mail = EmailMultiAlternatives(subject, text, to=list(to), headers=dict(headers or {}))
    mail.attach_alternative(render_to_string(f"mail/{name}/body.html", values), "text/html")
    return mail


class MailFolders:
    """Mixed into allauth's account adapter, it makes allauth's mails ours: account/email/NAME becomes mail/NAME/."""

    def render_mail(
        self,
        template_prefix: str,
        email: str | list[str],
        context: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> EmailMultiAlternatives:
        name = template_prefix.rsplit("/", 1)[-1]
        return mail_compose(
            name=name, to=[email] if isinstance(email, str) else email, context=context, headers=headers
        )
