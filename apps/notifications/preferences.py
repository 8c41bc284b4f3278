"""What members set: the matrix of kinds, media and roles, their own mails, and how far they have read."""

from collections.abc import Collection, Iterable

from apps.notifications.audience import roles_hearing
from apps.notifications.auditing import own_mails_audit, own_mails_said
from apps.notifications.kinds import KINDS, LISTED
from apps.notifications.models import Channel, Notice, Preference, Seen
from apps.notifications.quiet import quiet_span
from apps.notifications.selectors import MEMBER_MEDIA, ROLES
from apps.tenants.audit.writing import Target, audit_write


def matrix_set(*, tenant_id: int, chosen: Collection[tuple[str, str, str]]) -> None:
    """`chosen` are the (kind, medium, role) that are on; what is as kinds.py has it needs no row."""
    rows = [
        Preference(tenant_id=tenant_id, kind=kind.code, medium=medium, role=role, is_on=is_on)
        for kind in LISTED
        if kind.is_mutable
        for medium in MEMBER_MEDIA
        for role in ROLES
        if (is_on := (kind.code, medium, role) in chosen) != (role in roles_hearing(kind, medium, ()))
    ]
    before = _matrix_said(Preference.objects.filter(tenant_id=tenant_id))
    Preference.objects.filter(tenant_id=tenant_id).delete()
    Preference.objects.bulk_create(rows)
    audit_write(
        tenant_id=tenant_id,
        action="notices.matrix_changed",
        target=Target(tenant_id, "notifications"),
        before=before,
        after=_matrix_said(rows),
    )


def _matrix_said(rows: Iterable[Preference]) -> dict[str, bool]:
    """What is otherwise than kinds.py has it."""
    return {f"{row.kind}, {row.medium}, {row.role}": row.is_on for row in rows}


def own_mails_set(
    *, tenant_id: int, user_id: int, muted: Collection[str], quiet_from: str = "", quiet_until: str = ""
) -> None:
    """Kinds that cannot be switched off stay on. Raises Invalid."""
    begins, ends = quiet_span(quiet_from, quiet_until)
    kinds = sorted(code for code in muted if code in KINDS and KINDS[code].is_mutable)
    values = {"muted": kinds, "quiet_from": begins, "quiet_until": ends}
    held = Channel.objects.filter(tenant_id=tenant_id, owner_id=user_id, is_member=True).first()
    channel, _ = Channel.objects.update_or_create(
        tenant_id=tenant_id, owner_id=user_id, is_member=True,
        defaults=values, create_defaults={**values, "medium": "email", "name": "E-mail"},
    )  # fmt: skip
    own_mails_audit(channel, before=own_mails_said(held), after=own_mails_said(channel))


def inbox_read(*, tenant_id: int, user_id: int) -> None:
    """Everything that is there now counts as seen."""
    newest = Notice.objects.filter(tenant_id=tenant_id).order_by("-id").values_list("id", flat=True).first()
    if newest is not None:
        Seen.objects.update_or_create(tenant_id=tenant_id, user_id=user_id, defaults={"until_id": newest})
