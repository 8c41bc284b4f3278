"""Connecting, confirming, changing and leaving channels, inside the tenant's scope; and delivering again by hand."""

import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from django.conf import settings

from apps.core.errors import Conflict, Forbidden, NotFound
from apps.core.sealing import seal, unseal
from apps.notifications.auditing import channel_audit, channel_said
from apps.notifications.channels import webhook
from apps.notifications.channels.base import Medium, field_refused
from apps.notifications.channels.table import MEDIUMS
from apps.notifications.codes import code_of
from apps.notifications.delivering import webhooks_allowed
from apps.notifications.house.lanes import lane_drop, lanes_wake
from apps.notifications.kinds import CHANNEL_CODE, CHANNEL_TEST, KINDS
from apps.notifications.models import FINAL, Channel, Delivery
from apps.notifications.quiet import quiet_span
from apps.notifications.selectors import ChannelInfo, channel_info
from apps.notifications.services import notice_put
from apps.tenants.audit.writing import Target, audit_write

CODE_LIVES = timedelta(minutes=15)
CODE_TRIES = 5
ASKED_A_DAY = 30  # codes and tests of a tenant, so that nobody sends mails to strangers through us


class PlanForbids(Forbidden):
    code = "plan_forbids"


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be changed of every channel. `kinds` None: as kinds.py says; quiet hours as “22:00”, both or none."""

    name: str
    kinds: Collection[str] | None = None
    quiet_from: str = ""
    quiet_until: str = ""


def channel_create(
    *, tenant_id: int, medium: str, values: Mapping[str, str], given: Settings, owner_id: int, by: str, now: datetime
) -> ChannelInfo:
    """Asks for its confirmation at once: a code that comes there, or a test message that arrives.

    Raises Invalid, PlanForbids, Conflict at the most channels.
    """
    held = medium_get(medium)
    if held.needs_webhooks and not webhooks_allowed(tenant_id):
        raise PlanForbids("Webhooks are not part of your plan. The Professional plan has them.")
    if Channel.objects.filter(tenant_id=tenant_id, is_member=False).count() >= settings.MAX_CHANNELS:
        raise Conflict(f"There are {settings.MAX_CHANNELS} channels already; delete one that is no longer used.")
    connected = held.connect(values)
    channel = Channel(
        tenant_id=tenant_id, medium=medium, owner_id=owner_id, label=connected.label,
        secret=seal(json.dumps(connected.secret)), **_columns(given),
    )  # fmt: skip
    channel.save()
    channel_audit("channel.created", channel, after=channel_said(channel))
    confirmation_ask(tenant_id=tenant_id, channel_id=channel.id, by=by, now=now)
    return channel_info(_get(tenant_id, channel.id))


def channel_update(*, tenant_id: int, channel_id: int, given: Settings) -> ChannelInfo:
    """Raises NotFound, Invalid."""
    columns = _columns(given)
    channel = _get(tenant_id, channel_id)
    before = channel_said(channel)
    for name, value in columns.items():
        setattr(channel, name, value)
    channel.save(update_fields=list(columns))
    channel_audit("channel.updated", channel, before=before, after=channel_said(channel))
    return channel_info(channel)


def channel_delete(*, tenant_id: int, channel_id: int) -> None:
    """With everything that was delivered through it. Raises NotFound."""
    channel = _get(tenant_id, channel_id)
    channel_audit("channel.deleted", channel, before=channel_said(channel))
    channel.delete()
    lane_drop(channel_id=channel_id)


def channel_enable(*, tenant_id: int, channel_id: int) -> None:
    """After it was switched off. What it missed stays skipped, to be delivered one by one. Raises NotFound."""
    channel = _get(tenant_id, channel_id)
    before = {"disabled_at": channel.disabled_at}
    channel.disabled_at, channel.disabled_reason, channel.failures = None, "", 0
    channel.save(update_fields=["disabled_at", "disabled_reason", "failures"])
    channel_audit("channel.enabled", channel, before=before, after={"disabled_at": None})


def confirmation_ask(*, tenant_id: int, channel_id: int, by: str, now: datetime) -> None:
    """A new code, or a test message; at most one a minute. Raises NotFound, Conflict."""
    channel = _get(tenant_id, channel_id)
    if MEDIUMS[channel.medium].confirms_by == "code" and channel.verified_at is None:
        channel.code_nonce, channel.code_until, channel.code_tries = token_hex(16), now + CODE_LIVES, 0
        channel.save(update_fields=["code_nonce", "code_until", "code_tries"])
        _say(channel, CHANNEL_CODE, by, now)
    else:
        _say(channel, CHANNEL_TEST, by, now)


def code_confirm(*, tenant_id: int, channel_id: int, code: str, now: datetime) -> bool:
    """Whether the channel is confirmed now. A wrong code is False and stays counted. Raises NotFound."""
    channel = Channel.objects.select_for_update().filter(tenant_id=tenant_id, id=channel_id, is_member=False).first()
    if channel is None:
        raise NotFound(f"there is no channel {channel_id}")
    if channel.code_until is None or channel.code_until < now or channel.code_tries >= CODE_TRIES:
        return False
    channel.code_tries += 1
    if hmac.compare_digest(code_of(channel).encode(), code.strip().encode()):
        before = {"verified_at": channel.verified_at}
        channel.verified_at, channel.code_until, channel.code_nonce = now, None, ""
        channel_audit("channel.confirmed", channel, before=before, after={"verified_at": now})
    channel.save(update_fields=["verified_at", "code_until", "code_nonce", "code_tries"])
    return channel.verified_at is not None


def webhook_keys(*, tenant_id: int, channel_id: int) -> list[dict[str, Any]]:
    """The signing keys, the newest first: {"key", "until"}. Raises NotFound."""
    keys: list[dict[str, Any]] = _secret(_webhook(tenant_id, channel_id))["keys"]
    return keys


def webhook_rotate(*, tenant_id: int, channel_id: int, now: datetime) -> None:
    """A new signing key; the one before signs too for a day. Raises NotFound."""
    channel = _webhook(tenant_id, channel_id)
    channel.secret = seal(json.dumps(webhook.rotated(_secret(channel), now)))
    channel.save(update_fields=["secret"])
    channel_audit("channel.key_rotated", channel)


def webhook_move(*, tenant_id: int, channel_id: int, url: str) -> None:
    """Another address, the same keys; it has to be confirmed again. Raises NotFound, Invalid."""
    channel = _webhook(tenant_id, channel_id)
    connected = webhook.connect({"url": url})
    before = {"label": channel.label, "verified_at": channel.verified_at}
    channel.secret = seal(json.dumps({**_secret(channel), "url": connected.secret["url"]}))
    channel.label, channel.verified_at = connected.label, None
    channel.save(update_fields=["secret", "label", "verified_at"])
    channel_audit("channel.moved", channel, before=before, after={"label": channel.label, "verified_at": None})


def redeliver(*, tenant_id: int, delivery_id: int, now: datetime) -> None:
    """The same message with the same id again. Raises NotFound; Conflict while it is under way or its channel off."""
    delivery = Delivery.objects.select_for_update().filter(tenant_id=tenant_id, id=delivery_id).first()
    if delivery is None:
        raise NotFound(f"there is no delivery {delivery_id}")
    channel = _get(tenant_id, delivery.channel_id)
    if delivery.status not in FINAL:
        raise Conflict("This is on its way already.")
    if channel.disabled_at is not None:
        raise Conflict("The channel is off; switch it on first.")
    delivery.status, delivery.attempts, delivery.is_held = "pending", 0, False
    delivery.due_at, delivery.ended_at, delivery.reason = now, None, ""
    delivery.coalesced_into_id = None
    delivery.save()
    target = Target(delivery.id, f"{delivery.kind} through {channel.name}")
    audit_write(tenant_id=tenant_id, action="delivery.repeated", target=target)
    lanes_wake(tenant_id=tenant_id, channels=[(channel.id, channel.medium)], now=now)


def medium_get(code: str) -> Medium:
    """Raises NotFound."""
    try:
        return MEDIUMS[code]
    except KeyError:
        raise NotFound(f"there is no kind of channel “{code}”") from None


def _say(channel: Channel, kind: str, by: str, now: datetime) -> None:
    asked = Delivery.objects.filter(
        tenant_id=channel.tenant_id, kind__in=(CHANNEL_CODE, CHANNEL_TEST), created_at__gte=now - timedelta(days=1)
    )
    if asked.count() >= ASKED_A_DAY:
        raise Conflict(f"That was asked for {ASKED_A_DAY} times today; try again tomorrow.")
    key = f"{channel.id}:{now:%Y-%m-%dT%H:%M}"
    notice_id = notice_put(
        tenant_id=channel.tenant_id, kind=KINDS[kind], dedupe_key=key, context={"channel": channel.name, "by": by}
    )
    if notice_id is None:
        raise Conflict("That was asked for just now; wait a minute.")
    Delivery.objects.create(
        tenant_id=channel.tenant_id, notice_id=notice_id, channel_id=channel.id, kind=kind, dedupe_key=key, due_at=now
    )
    lanes_wake(tenant_id=channel.tenant_id, channels=[(channel.id, channel.medium)], now=now)


def _columns(given: Settings) -> dict[str, Any]:
    name = " ".join(given.name.split())
    if not 1 <= len(name) <= 80:
        raise field_refused("name", "Use 1 to 80 characters.")
    quiet_from, quiet_until = quiet_span(given.quiet_from, given.quiet_until)
    kinds = given.kinds
    return {
        "name": name,
        "kinds": None if kinds is None else sorted(code for code in kinds if code in KINDS and KINDS[code].is_listed),
        "quiet_from": quiet_from,
        "quiet_until": quiet_until,
    }


def _get(tenant_id: int, channel_id: int) -> Channel:
    channel = Channel.objects.filter(tenant_id=tenant_id, id=channel_id, is_member=False).first()
    if channel is None:
        raise NotFound(f"there is no channel {channel_id}")
    return channel


def _webhook(tenant_id: int, channel_id: int) -> Channel:
    channel = _get(tenant_id, channel_id)
    if channel.medium != "webhook":
        raise NotFound(f"channel {channel_id} is no webhook")
    return channel


def _secret(channel: Channel) -> dict[str, Any]:
    secret: dict[str, Any] = json.loads(unseal(channel.secret))
    return secret
