"""One task a medium, each in its own queue; the sweep for what a crash left. Any of them may be repeated or killed."""

from celery import shared_task
from django.utils import timezone

from apps.notifications import announcing, delivering, inviting, purging
from apps.notifications.channels.table import MEDIUMS
from apps.notifications.house.lanes import lanes_sweep


def _register(medium: str) -> None:
    @shared_task(name=f"notifications.{medium}")
    def run(tenant_id: int, channel_id: int) -> None:
        delivering.lane_run(tenant_id=tenant_id, channel_id=channel_id, medium=medium, clock=timezone.now)


for _medium in MEDIUMS:
    _register(_medium)


@shared_task(name="notifications.sweep")
def sweep() -> None:
    lanes_sweep(now=timezone.now())
    for announcement_id in announcing.announcements_left():
        announcing.announce(announcement_id=announcement_id)


@shared_task(name="notifications.announce")
def announce(announcement_id: int) -> None:
    announcing.announce(announcement_id=announcement_id)


@shared_task(name="notifications.purge")
def purge() -> None:
    purging.purge(now=timezone.now())


@shared_task(name="notifications.member_invited")
def member_invited(invitation_id: int) -> None:
    inviting.invited_tell(invitation_id=invitation_id)
