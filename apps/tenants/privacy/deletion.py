"""The end of an organisation: asked for by an owner, suspended for 30 days, in which it can be taken back, then purged
(see erasing.py). Whatever a crash leaves undone is found by the sweep.
"""

from datetime import datetime, timedelta
from smtplib import SMTPException

import structlog
from anymail.exceptions import AnymailError
from django.conf import settings
from django.db import transaction
from django.urls import reverse

from apps.core.enqueue import enqueue
from apps.core.errors import Conflict, Invalid, NotFound
from apps.core.mail import mail_compose
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.models import Deletion, Tenant, User
from apps.tenants.selectors import DeletionInfo, deletion_open, owners_of, tenant_get
from apps.tenants.services import revision_bump

GRACE = timedelta(days=30)
TRY_AGAIN = timedelta(minutes=5)

log = structlog.get_logger(__name__)


@transaction.atomic
def deletion_ask(*, tenant_id: int, name: str, user_id: int, password: str, now: datetime) -> DeletionInfo:
    """Doors refuse its keys from now on. Raises NotFound, Invalid (name, password), Conflict when it was asked for."""
    revision_bump(tenant_id=tenant_id)
    tenant = tenant_get(tenant_id)
    if deletion_open(tenant_id):
        raise Conflict("The deletion was asked for already.")
    if " ".join(name.split()) != tenant.name:
        raise Invalid("The name is not right.", fields={"name": f"Type “{tenant.name}”."})
    if not User.objects.get(id=user_id).check_password(password):
        raise Invalid("The password is not right.", fields={"password": "This is not your password."})
    due_at = now + GRACE
    made = Deletion.objects.create(
        tenant_id=tenant_id, asked_at=now, due_at=due_at, suspended_before_at=tenant.suspended_at, try_after=now
    )
    Tenant.objects.filter(id=tenant_id).update(suspended_at=tenant.suspended_at or now)
    target = Target(tenant_id, tenant.name)
    audit_write(tenant_id=tenant_id, action="tenant.deletion_asked", target=target, after={"due_at": due_at})
    enqueue("tenants.deletion_mail", deletion_id=made.id)
    enqueue("billing.deletion_follow", tenant_id=tenant_id)
    return DeletionInfo(made.id, tenant_id, now, due_at, None)


@transaction.atomic
def deletion_take_back(*, tenant_id: int, now: datetime) -> None:
    """All is as it was. Raises NotFound, Conflict when there is nothing to take back any more."""
    revision_bump(tenant_id=tenant_id)
    held = Deletion.objects.select_for_update().filter(tenant_id=tenant_id, taken_back_at=None, purged_at=None).first()
    if held is None:
        raise Conflict("No deletion was asked for.")
    if held.begun_at is not None:
        raise Conflict("The deletion has begun and cannot be taken back.")
    held.taken_back_at = now
    held.save(update_fields=["taken_back_at"])
    Tenant.objects.filter(id=tenant_id).update(suspended_at=held.suspended_before_at)
    target = Target(tenant_id, tenant_get(tenant_id).name)
    audit_write(tenant_id=tenant_id, action="tenant.restored", target=target, before={"due_at": held.due_at})
    enqueue("billing.deletion_follow", tenant_id=tenant_id)


def deletion_mail(*, deletion_id: int, now: datetime) -> bool:
    """To all owners, one mail; what fails is tried again by the sweep. Outside of any transaction."""
    unsent = Deletion.objects.filter(id=deletion_id, told_at=None, taken_back_at=None, begun_at=None)
    if not unsent.filter(try_after__lte=now).update(try_after=now + TRY_AGAIN):
        return False
    held = Deletion.objects.get(id=deletion_id)
    try:
        tenant = tenant_get(held.tenant_id)
    except NotFound:
        return False
    url = settings.PORTAL_URL + reverse("tenants:deletion", args=[tenant.slug])
    mail = mail_compose(
        name="deletion_asked", to=owners_of(tenant.id), context={"tenant": tenant, "deletion": held, "url": url},
        headers={"Auto-Submitted": "auto-generated"},
    )  # fmt: skip
    try:
        mail.send()
    except (SMTPException, AnymailError, OSError) as error:
        log.warning("deletion_mail_not_sent", deletion=deletion_id, reason=type(error).__name__)
        return False
    Deletion.objects.filter(id=deletion_id).update(told_at=now)
    return True


def deletions_sweep(*, now: datetime) -> int:
    """Sends tasks for mails that were not sent, for what is due, and for what others must follow. Returns how many
    deletions are open.
    """
    rows = list(Deletion.objects.filter(taken_back_at=None, purged_at=None).order_by("due_at"))
    for row in rows:
        if row.told_at is None and row.begun_at is None:
            enqueue("tenants.deletion_mail", deletion_id=row.id)
        if row.due_at <= now:
            enqueue("tenants.deletion_purge", deletion_id=row.id)
        else:
            enqueue("billing.deletion_follow", tenant_id=row.tenant_id)
    return len(rows)
