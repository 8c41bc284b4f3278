from celery import shared_task
from django.utils import timezone

from apps.tenants import invitations, services
from apps.tenants.idempotency import answering
from apps.tenants.logins import sessions, tokens
from apps.tenants.privacy import deletion, erasing, exporting


@shared_task(name="tenants.cells_ensure")
def cells_ensure() -> None:
    services.cells_ensure()


@shared_task(name="tenants.invitation_send")
def invitation_send(invitation_id: int) -> None:
    invitations.invitation_send(invitation_id=invitation_id, now=timezone.now())


@shared_task(name="tenants.invitations_sweep")
def invitations_sweep() -> None:
    """What a crash, or a mail server that was away, left."""
    for invitation_id in invitations.invitations_unsent(now=timezone.now()):
        invitations.invitation_send(invitation_id=invitation_id, now=timezone.now())


@shared_task(name="tenants.tokens_purge")
def tokens_purge() -> None:
    tokens.tokens_purge(now=timezone.now())
    sessions.sessions_purge()


@shared_task(name="tenants.answers_purge")
def answers_purge() -> None:
    answering.answers_purge(now=timezone.now())


@shared_task(name="tenants.deletion_mail")
def deletion_mail(deletion_id: int) -> None:
    deletion.deletion_mail(deletion_id=deletion_id, now=timezone.now())


@shared_task(name="tenants.deletion_purge")
def deletion_purge(deletion_id: int) -> None:
    erasing.purge(deletion_id=deletion_id, now=timezone.now())


@shared_task(name="tenants.deletions_sweep")
def deletions_sweep() -> None:
    """What is due, and what a crash left."""
    deletion.deletions_sweep(now=timezone.now())


@shared_task(name="tenants.export_make")
def export_make(export_id: int) -> None:
    exporting.export_make(export_id=export_id, now=timezone.now())


@shared_task(name="tenants.exports_sweep")
def exports_sweep() -> None:
    """What is too old goes, and what a crash left is made."""
    exporting.exports_sweep(now=timezone.now())
