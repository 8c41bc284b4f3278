"""Invitations are made by the room below, which tells of them by a task."""

from apps.core.errors import NotFound
from apps.core.scope import TenantUnknown
from apps.notifications.kinds import MEMBER_INVITED
from apps.notifications.services import notify
from apps.tenants.selectors import invitation_get


def invited_tell(*, invitation_id: int) -> int:
    """Once an invitation, however often it is sent. Returns how many notices were new."""
    try:
        said = invitation_get(invitation_id)
        notice = notify(
            tenant_id=said.tenant.id, kind=MEMBER_INVITED, dedupe_key=str(said.id),
            context={"email": said.email, "role": said.role, "by": said.by},
        )  # fmt: skip
    except (NotFound, TenantUnknown):
        return 0
    return int(notice is not None)
