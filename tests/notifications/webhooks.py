"""Alice's webhooks, made through the services that pages use."""

from datetime import UTC, datetime

from apps.core.scope import tenant_scope
from apps.notifications.channel_services import Settings, channel_create
from apps.notifications.models import Channel, Delivery


def webhook_make(member, url, *, verified=True, **given):
    """Confirmed without a test message, unless `verified` is False. Returns ChannelInfo."""
    given = {"name": "Production", **given}
    with tenant_scope(member.tenant_id):
        made = channel_create(
            tenant_id=member.tenant_id, medium="webhook", values={"url": url}, given=Settings(**given),
            owner_id=member.user_id, by=member.email, now=datetime.now(UTC),
        )  # fmt: skip
        if verified:
            Delivery.objects.filter(channel_id=made.id).delete()
            Channel.objects.filter(id=made.id).update(verified_at=datetime.now(UTC))
    return made
