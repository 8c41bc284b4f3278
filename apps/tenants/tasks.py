from celery import shared_task
from django.utils import timezone

from apps.tenants import invitations, services, tokens
from apps.tenants.idempotency import answering


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


@shared_task(name="tenants.answers_purge")
def answers_purge() -> None:
    answering.answers_purge(now=timezone.now())
