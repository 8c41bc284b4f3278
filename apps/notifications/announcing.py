"""Announcements of ours: to everybody or some, on the status page, and as a notice to each tenant once an edition.

Telling is a watermark: a task tells a page of tenants and sends itself on; `notify` says an edition once to a tenant,
so a task that is killed or runs twice repeats nothing, and the sweep goes on with what was left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from apps.core.enqueue import enqueue
from apps.core.errors import Invalid
from apps.core.scope import TenantUnknown
from apps.notifications.house.models import Announcement, Edition
from apps.notifications.kinds import SYSTEM_ALERT, SYSTEM_UPDATE
from apps.notifications.services import notify
from apps.tenants.selectors import tenants_published

PAGE = 200
HISTORY = timedelta(days=90)
BAD = (Announcement.State.INVESTIGATING, Announcement.State.IDENTIFIED)


@dataclass(frozen=True, slots=True)
class EditionInfo:
    state: str
    body: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AnnouncementInfo:
    """`editions` the newest first."""

    id: int
    title: str
    component: str
    state: str
    begun_at: datetime
    resolved_at: datetime | None
    editions: tuple[EditionInfo, ...]


@transaction.atomic
def announcement_put(
    *, announcement_id: int | None, title: str, body: str, state: str, component: str, is_public: bool,
    tenant_ids: Sequence[int] | None, now: datetime,
) -> int:  # fmt: skip
    """Makes one, or a new edition of it where title, body or state changed, and has it told. Raises Invalid."""
    if len(body) > 2_000 or not body.strip() or not title.strip():
        raise Invalid("An announcement needs a title and at most 2,000 characters of text.")
    resolved_at = now if state == Announcement.State.RESOLVED else None
    values = {
        "title": title, "body": body, "state": state, "component": component, "is_public": is_public,
        "tenant_ids": list(tenant_ids) if tenant_ids else None,
    }  # fmt: skip
    if announcement_id is None:
        made = Announcement.objects.create(**values, resolved_at=resolved_at)
    else:
        made = Announcement.objects.select_for_update().get(id=announcement_id)
        is_said_already = (made.title, made.body, made.state) == (title, body, state)
        Announcement.objects.filter(id=made.id).update(**values)
        if is_said_already:
            return made.id
        Announcement.objects.filter(id=made.id).update(
            edition=F("edition") + 1, told_until_id=0, is_told=False, resolved_at=resolved_at
        )
        made.refresh_from_db()
    Edition.objects.create(announcement_id=made.id, number=made.edition, state=state, body=body)
    enqueue("notifications.announce", announcement_id=made.id)
    return made.id


def announce(*, announcement_id: int) -> int:
    """Tells the next page of tenants. Returns how many are told now."""
    held = Announcement.objects.filter(id=announcement_id, is_told=False).first()
    if held is None:
        return 0
    page = [state.tenant_id for state in tenants_published(after_id=held.told_until_id, limit=PAGE)]
    told = 0
    for tenant_id in page:
        if held.tenant_ids is None or tenant_id in held.tenant_ids:
            told += _tell(held, tenant_id)
    current = Announcement.objects.filter(id=held.id, edition=held.edition)
    if len(page) < PAGE:
        current.update(is_told=True)
    elif current.update(told_until_id=page[-1]):
        enqueue("notifications.announce", announcement_id=held.id)
    return told


def announcements_left() -> list[int]:
    """Those that not everybody was told; for the sweep."""
    return list(Announcement.objects.filter(is_told=False).order_by("id").values_list("id", flat=True)[:10])


def announcements_open(*, tenant_id: int | None = None) -> list[AnnouncementInfo]:
    """What is not resolved: on the status page, or, with a tenant, whatever concerns it."""
    rows = Announcement.objects.exclude(state=Announcement.State.RESOLVED).order_by("-id")
    if tenant_id is None:
        return [_info(row) for row in rows.filter(is_public=True).prefetch_related("editions")]
    return [_info(row, with_editions=False) for row in rows if row.tenant_ids is None or tenant_id in row.tenant_ids]


def announcements_past(*, now: datetime) -> list[AnnouncementInfo]:
    """Public ones that are resolved, of the last 90 days, the newest first."""
    rows = Announcement.objects.filter(
        is_public=True, state=Announcement.State.RESOLVED, resolved_at__gte=now - HISTORY
    ).order_by("-id")
    return [_info(row) for row in rows.prefetch_related("editions")]


def _tell(held: Announcement, tenant_id: int) -> int:
    try:
        notice = notify(
            tenant_id=tenant_id,
            kind=SYSTEM_ALERT if held.state in BAD else SYSTEM_UPDATE,
            dedupe_key=f"{held.id}:{held.edition}",
            context={"title": held.title, "body": held.body, "state": held.state},
        )
    except TenantUnknown:
        return 0
    return int(notice is not None)


def _info(row: Announcement, *, with_editions: bool = True) -> AnnouncementInfo:
    editions = sorted(row.editions.all(), key=lambda one: -one.number) if with_editions else []
    return AnnouncementInfo(
        row.id, row.title, row.component, row.state, row.created_at, row.resolved_at,
        tuple(EditionInfo(one.state, one.body, one.created_at) for one in editions),
    )  # fmt: skip
