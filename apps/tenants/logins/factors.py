"""The second step of a login (allauth.mfa): its secrets at rest, and what follows when somebody's steps change.

Any change ends all sessions and tokens of the person but the session that it was made in: what was begun with fewer
steps, or with one that is gone, does not go on. It stands in the audit log of every organisation that they belong to.
"""

from smtplib import SMTPException

import structlog
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from anymail.exceptions import AnymailError
from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from apps.core.mail import mail_compose
from apps.core.sealing import seal, unseal
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.logins.sessions import session_renamed
from apps.tenants.logins.tokens import logins_end
from apps.tenants.models import User
from apps.tenants.selectors import memberships_of

log = structlog.get_logger(__name__)

# What allauth calls its mails -> (action, what it was)
CHANGES = {
    "totp_activated": ("member.factor_added", "authenticator app"),
    "totp_deactivated": ("member.factor_removed", "authenticator app"),
    "webauthn_added": ("member.factor_added", "passkey"),
    "webauthn_removed": ("member.factor_removed", "passkey"),
    "recovery_codes_generated": ("member.factor_added", "recovery codes"),
}


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = DefaultMFAAdapter.error_messages | {
        "unverified_email": "Confirm your e-mail address first: the link is in the mail that came with your account.",
        "add_email_blocked": "While two-step login is on, no address can be added. Switch it off meanwhile.",
    }

    def encrypt(self, text: str) -> str:
        return seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Raises SealBroken."""
        return unseal(encrypted_text)

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:  # noqa: A002
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return f"Passkey {count + 1}" if count else "Passkey"

    def build_totp_svg(self, url: str) -> str:
        """The element alone, to stand in a page: pictures in data: addresses are against the page's policy."""
        svg: str = super().build_totp_svg(url)
        return svg[svg.index("<svg") :]


def factor_changed(*, user_id: int, change: str) -> None:
    """`change` is one of CHANGES."""
    action, what = CHANGES[change]
    _said(user_id, action, what)
    logins_end(user_id=user_id)


def session_keep(request: HttpRequest) -> None:
    """Whatever ended the person's others: the one of this request goes on, under a new key."""
    before = request.session.session_key
    update_session_auth_hash(request, User.objects.get(email=str(request.user)))
    session_renamed(before=before, after=request.session.session_key)


@transaction.atomic
def factors_reset(*, user_id: int) -> int:
    """For who has lost all of them, once it is certain who asks. Returns how many there were."""
    gone = Authenticator.objects.filter(user_id=user_id).delete()[0]
    if gone:
        _said(user_id, "member.factor_removed", "all")
    logins_end(user_id=user_id)
    return int(gone)


def reset_tell(*, user_id: int) -> bool:
    """A mail to the person, after the reset is committed; whether it was sent."""
    email = User.objects.values_list("email", flat=True).get(id=user_id)
    mail = mail_compose(
        name="factors_reset", to=[email], context={"email": email, "url": settings.PORTAL_URL + reverse("mfa_index")},
        headers={"Auto-Submitted": "auto-generated"},
    )  # fmt: skip
    try:
        mail.send()
    except (SMTPException, AnymailError, OSError) as error:
        log.warning("factors_reset_mail_not_sent", user=user_id, reason=type(error).__name__)
        return False
    return True


def _said(user_id: int, action: str, what: str) -> None:
    email = User.objects.values_list("email", flat=True).get(id=user_id)
    values = {"second_step": what}
    for place in memberships_of(user_id):
        audit_write(
            tenant_id=place.tenant.id,
            action=action,
            target=Target(user_id, email),
            before=None if action == "member.factor_added" else values,
            after=values if action == "member.factor_added" else None,
        )
