"""Inviting people by mail. Whoever has the link may join, with an account of the address that was invited: the link
proves that they read its mail. A link works once, for seven days, and ends when a new one is sent or it is revoked.

The answer to who invites is the same whether or not there is an account for the address.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_hex
from smtplib import SMTPException

import structlog
from allauth.account.models import EmailAddress
from anymail.exceptions import AnymailError
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils.crypto import salted_hmac

from apps.core.enqueue import enqueue
from apps.core.errors import Conflict, Forbidden, Invalid, NotFound
from apps.core.mail import mail_compose
from apps.core.origin import Actor, acting
from apps.core.sealing import blind_index
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.models import Invitation, Membership, User
from apps.tenants.selectors import InvitationInfo, invitation_get, invitation_info
from apps.tenants.services import membership_put, user_create
from apps.tenants.team import owners_require, role_verify

LIVES = timedelta(days=7)
MAX_OPEN = 50
MAX_A_DAY = 50
MAX_MAILS = 5
RESEND_AFTER = timedelta(minutes=1)
TRY_AGAIN = timedelta(minutes=5)
_SALT = "tenants.invitation"

log = structlog.get_logger(__name__)


class InvitationOver(Conflict):
    """`code` says what became of the link."""


class InvitationUsed(InvitationOver):
    code = "invitation_used"


class InvitationRevoked(InvitationOver):
    code = "invitation_revoked"


class InvitationExpired(InvitationOver):
    code = "invitation_expired"


@transaction.atomic
def invite(*, tenant_id: int, email: str, role: str, by_id: int | None, by_role: str, now: datetime) -> InvitationInfo:
    """Raises Invalid, Forbidden, Conflict."""
    email = _email_clean(email)
    role_verify(role)
    owners_require(by_role, role)
    if Membership.objects.filter(tenant_id=tenant_id, user__email__iexact=email).exists():
        text = "This person is a member already."
        raise Invalid(text, fields={"email": text})
    _room_require(tenant_id, now)
    made = Invitation(
        tenant_id=tenant_id, email=email, email_digest=blind_index("invitation", email.lower()), role=role,
        invited_by_id=by_id, asked_at=now, try_after=now,
        expires_at=now + LIVES, nonce=token_hex(16),
    )  # fmt: skip
    made.digest = _digest(_token(made))
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError:
        text = "This address is invited already; send it again below."
        raise Invalid(text, fields={"email": text}) from None
    _audit("invitation.sent", made, after={"role": role, "expires_at": made.expires_at})
    enqueue("tenants.invitation_send", invitation_id=made.id)
    return invitation_get(made.id)


@transaction.atomic
def invitation_resend(*, tenant_id: int, invitation_id: int, now: datetime) -> InvitationInfo:
    """A new link for seven days; the one before ends. Raises NotFound, Conflict."""
    held = _open_get(tenant_id, invitation_id)
    if held.asked_at > now - RESEND_AFTER:
        raise Conflict("It was sent just now; wait a minute.")
    if held.mails >= MAX_MAILS:
        raise Conflict(f"It was sent {MAX_MAILS} times. Ask them to look among unwanted mails, or revoke it.")
    before = {"expires_at": held.expires_at}
    held.nonce, held.mails = token_hex(16), held.mails + 1
    held.digest = _digest(_token(held))
    held.asked_at, held.try_after, held.sent_at, held.expires_at = now, now, None, now + LIVES
    held.save()
    _audit("invitation.resent", held, before=before, after={"expires_at": held.expires_at})
    enqueue("tenants.invitation_send", invitation_id=held.id)
    return invitation_get(held.id)


@transaction.atomic
def invitation_revoke(*, tenant_id: int, invitation_id: int, now: datetime) -> InvitationInfo:
    """Raises NotFound."""
    held = _open_get(tenant_id, invitation_id)
    held.revoked_at = now
    held.save(update_fields=["revoked_at"])
    _audit("invitation.revoked", held, before={"role": held.role})
    return invitation_get(held.id)


def invitation_by_token(token: str, *, now: datetime) -> InvitationInfo:
    """Raises NotFound for a link that is not ours, InvitationOver."""
    row = Invitation.objects.select_related("tenant", "invited_by").filter(digest=_digest(token)).first()
    if row is None:
        raise NotFound("This link is not valid. Perhaps a newer mail has another one, or it was not copied whole.")
    _usable_require(row, now)
    return invitation_info(row)


@transaction.atomic
def invitation_accept(*, token: str, user_id: int, now: datetime) -> InvitationInfo:
    """With an account of the address that was invited. Who is a member keeps the role.

    Raises NotFound, InvitationOver, Forbidden for another account.
    """
    row = _row_of(token, now)
    user = User.objects.get(id=user_id)
    if not is_invited(row.email, user_id):
        raise Forbidden(f"This invitation is for {row.email}; you are logged in as {user.email}.")
    _accept(row, user, now)
    return invitation_get(row.id)


@transaction.atomic
def invitation_sign_up(*, token: str, password: str, name: str, now: datetime) -> tuple[int, InvitationInfo]:
    """A new account for the address that was invited, which the link has confirmed. Returns the user's id.

    Raises NotFound, InvitationOver, Invalid (password), Conflict where there is an account.
    """
    row = _row_of(token, now)
    try:
        validate_password(password, User(email=row.email, name=name))
    except ValidationError as error:
        raise Invalid("The password is not valid.", fields={"password": " ".join(error.messages)}) from None
    user_id = user_create(email=row.email, password=password, name=" ".join(name.split())[:80])
    user = User.objects.get(id=user_id)
    with acting(Actor("user", user_id, user.email)):
        _accept(row, user, now)
    return user_id, invitation_get(row.id)


def is_invited(email: str, user_id: int) -> bool:
    """Whether it is an address of that person."""
    own = User.objects.filter(id=user_id, email__iexact=email)
    return own.exists() or EmailAddress.objects.filter(user_id=user_id, email__iexact=email).exists()


def invitation_send(*, invitation_id: int, now: datetime) -> bool:
    """By mail; what fails is tried again by the sweep. Outside of any transaction. Whether it was sent now."""
    unsent = Invitation.objects.filter(id=invitation_id, sent_at=None, accepted_at=None, revoked_at=None)
    if not unsent.filter(try_after__lte=now, expires_at__gt=now).update(try_after=now + TRY_AGAIN):
        return False
    row = Invitation.objects.get(id=invitation_id)
    said = invitation_get(invitation_id)
    url = settings.PORTAL_URL + reverse("tenants:invitation", args=[_token(row)])
    mail = mail_compose(
        name="invitation", to=[row.email], context={"invitation": said, "url": url},
        headers={"Auto-Submitted": "auto-generated"},
    )  # fmt: skip
    try:
        mail.send()
    except (SMTPException, AnymailError, OSError) as error:
        log.warning("invitation_not_sent", invitation=row.id, reason=type(error).__name__)
        return False
    Invitation.objects.filter(id=row.id, digest=row.digest).update(sent_at=now)
    enqueue("notifications.member_invited", invitation_id=row.id)
    return True


def invitations_unsent(*, now: datetime, at_most: int = 100) -> list[int]:
    """For the sweep."""
    rows = Invitation.objects.filter(
        sent_at=None, accepted_at=None, revoked_at=None, try_after__lte=now, expires_at__gt=now
    )
    return list(rows.order_by("try_after").values_list("id", flat=True)[:at_most])


def _accept(row: Invitation, user: User, now: datetime) -> None:
    row.accepted_at = now
    row.save(update_fields=["accepted_at"])
    held = EmailAddress.objects.filter(user=user, email__iexact=row.email).first()
    if held is None:
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    elif not held.verified:
        held.verified = True
        held.save(update_fields=["verified"])
    _audit("invitation.accepted", row, after={"role": row.role})
    if not Membership.objects.filter(tenant_id=row.tenant_id, user=user).exists():
        membership_put(tenant_id=row.tenant_id, user_id=user.id, role=row.role)


def _row_of(token: str, now: datetime) -> Invitation:
    """Locked. Raises NotFound, InvitationOver."""
    row = Invitation.objects.select_for_update(of=("self",)).filter(digest=_digest(token)).first()
    if row is None:
        raise NotFound("This link is not valid.")
    _usable_require(row, now)
    return row


def _usable_require(row: Invitation, now: datetime) -> None:
    """Raises InvitationOver."""
    for over, words, is_so in (
        (InvitationUsed, "This invitation has been used already.", row.accepted_at is not None),
        (InvitationRevoked, "This invitation has been taken back.", row.revoked_at is not None),
        (InvitationExpired, f"This invitation ended on {row.expires_at:%-d %B %Y}.", row.expires_at <= now),
    ):
        if is_so:
            raise over(words)


def _open_get(tenant_id: int, invitation_id: int) -> Invitation:
    """Locked. Raises NotFound."""
    row = (
        Invitation.objects.select_for_update(of=("self",))
        .filter(tenant_id=tenant_id, id=invitation_id, accepted_at=None, revoked_at=None)
        .first()
    )
    if row is None:
        raise NotFound(f"there is no invitation {invitation_id}")
    return row


def _room_require(tenant_id: int, now: datetime) -> None:
    own = Invitation.objects.filter(tenant_id=tenant_id)
    if own.filter(accepted_at=None, revoked_at=None).count() >= MAX_OPEN:
        raise Conflict(f"There are {MAX_OPEN} open invitations; revoke some that nobody will accept.")
    if own.filter(created_at__gt=now - timedelta(days=1)).count() >= MAX_A_DAY:
        raise Conflict(f"{MAX_A_DAY} people were invited within a day; try again tomorrow.")


def _email_clean(email: str) -> str:
    email = email.strip()
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid("The address is not valid.", fields={"email": "This is not an address."}) from None
    if len(email) > 254:
        raise Invalid("The address is not valid.", fields={"email": "Use at most 254 characters."})
    return email


def _token(row: Invitation) -> str:
    return salted_hmac(_SALT, row.nonce, algorithm="sha256").hexdigest()


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _audit(action: str, row: Invitation, **sides: Mapping[str, object]) -> None:
    audit_write(tenant_id=row.tenant_id, action=action, target=Target(row.id, row.email), **sides)
