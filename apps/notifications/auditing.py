"""What the audit log says of channels and of who hears of what. Secrets and whole addresses are no part of it."""

from collections.abc import Mapping
from typing import Any

from apps.notifications.models import Channel
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.selectors import members_of_tenant

_SAID = ("name", "label", "kinds", "muted", "quiet_from", "quiet_until")


def channel_audit(
    action: str,
    channel: Channel,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    target = Target(channel.id, f"{channel.name} ({channel.medium})")
    audit_write(tenant_id=channel.tenant_id, action=action, target=target, before=before, after=after)


def channel_said(channel: Channel) -> dict[str, Any]:
    """As it is now; a later change of the row does not change it."""
    return {name: list(value) if isinstance(value := getattr(channel, name), list) else value for name in _SAID}


def own_mails_said(channel: Channel | None) -> dict[str, Any]:
    """None is a member who has changed nothing yet."""
    if channel is None:
        return {"muted": [], "quiet_from": None, "quiet_until": None}
    return {
        "muted": sorted(channel.muted),
        "quiet_from": channel.quiet_from,
        "quiet_until": channel.quiet_until,
    }


def own_mails_audit(channel: Channel, *, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    members = members_of_tenant(channel.tenant_id)
    email = next((member.email for member in members if member.user_id == channel.owner_id), "who has left")
    audit_write(
        tenant_id=channel.tenant_id,
        action="notices.own_mails_changed",
        target=Target(channel.owner_id or 0, email),
        before=before,
        after=after,
    )
