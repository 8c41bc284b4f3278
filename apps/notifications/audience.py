"""Who hears of a kind: members by role and preference, and the channels that the tenant has connected."""

from collections.abc import Iterable

from apps.notifications.kinds import Kind
from apps.notifications.models import Channel, Preference
from apps.tenants.selectors import members_of_tenant


def roles_hearing(kind: Kind, medium: str, overrides: Iterable[Preference]) -> frozenset[str]:
    """`medium` is inbox or email."""
    roles = set(kind.roles if medium in kind.media else ())
    if kind.is_mutable:
        for preference in overrides:
            if (preference.kind, preference.medium) == (kind.code, medium):
                (roles.add if preference.is_on else roles.discard)(preference.role)
    return frozenset(roles)


def channel_wants(channel: Channel, kind: Kind) -> bool:
    """Of a channel that the tenant has connected."""
    if channel.kinds is None:
        return channel.medium in kind.media
    return kind.code in channel.kinds or (not kind.is_mutable and channel.medium in kind.media)


def channels_hearing(*, tenant_id: int, kind: Kind, user_id: int | None) -> list[Channel]:
    """Inside the tenant's scope, and able to write: a member's own channel is made when it is first needed.

    `user_id` hears of it by mail whatever the role.
    """
    overrides = list(Preference.objects.filter(tenant_id=tenant_id, kind=kind.code))
    roles = roles_hearing(kind, "email", overrides)
    members = [member for member in members_of_tenant(tenant_id) if member.role in roles or member.user_id == user_id]
    own = _members_channels(tenant_id, [member.user_id for member in members])
    heard = [channel for channel in own if not kind.is_mutable or kind.code not in channel.muted]
    connected = Channel.objects.filter(tenant_id=tenant_id, is_member=False, verified_at__isnull=False).order_by("id")
    return heard + [channel for channel in connected if channel_wants(channel, kind)]


def _members_channels(tenant_id: int, user_ids: list[int]) -> list[Channel]:
    held = Channel.objects.filter(tenant_id=tenant_id, is_member=True, owner_id__in=user_ids).order_by("id")
    missing = set(user_ids) - {channel.owner_id for channel in held}
    if not missing:
        return list(held)
    Channel.objects.bulk_create(
        [
            Channel(tenant_id=tenant_id, medium="email", name="E-mail", owner_id=user_id, is_member=True)
            for user_id in sorted(missing)
        ],
        ignore_conflicts=True,
    )
    return list(held.all())
