"""What came of a try: sent, again later, given up, or the channel switched off."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from apps.core.scope import tenant_scope
from apps.notifications.channels.base import RESPONSE_KEPT, Medium, Outcome, Result
from apps.notifications.kinds import CHANNEL_DISABLED, CHANNEL_TEST, TESTS
from apps.notifications.models import Attempt, Channel, Delivery
from apps.notifications.services import notify

JITTER = 0.2  # a wait is up to so much longer, so that what failed together does not come back together
REASON_KEPT = 200


def delivery_settle(
    *, tenant_id: int, channel_id: int, delivery_ids: Sequence[int], medium: Medium, outcome: Outcome,
    duration_ms: int, now: datetime, chance: Random,
) -> None:  # fmt: skip
    """The last of `delivery_ids` was sent, with the others in it."""
    with tenant_scope(tenant_id):
        main = Delivery.objects.filter(tenant_id=tenant_id, id=delivery_ids[-1]).first()
        if main is None:
            return  # the channel was deleted meanwhile
        Attempt.objects.create(
            tenant_id=tenant_id, delivery_id=main.id, outcome=outcome.result.value, status_code=outcome.status_code,
            duration_ms=duration_ms, response=_kept(outcome.response, RESPONSE_KEPT),
        )  # fmt: skip
        if outcome.result == Result.SENT:
            _sent(main, delivery_ids[:-1], now)
            return
        if main.kind in TESTS:  # somebody waits for it and asks again; it says nothing of deliveries
            Delivery.objects.filter(id=main.id).update(
                status="failed", reason=_kept(outcome.reason, REASON_KEPT), ended_at=now
            )
            return
        _not_sent(delivery_ids, main, medium, outcome, now, chance)
        channel = Channel.objects.select_for_update().get(tenant_id=tenant_id, id=channel_id)
        channel.failures += 1
        channel.save(update_fields=["failures"])
        is_worn_out = medium.disable_after and channel.failures >= medium.disable_after
        if (outcome.result == Result.GONE or is_worn_out) and channel.disabled_at is None:
            channel_disable(channel, reason=outcome.reason, now=now)


def channel_disable(channel: Channel, *, reason: str, now: datetime) -> None:
    """What waits is kept as skipped, and whoever owns the channel hears of it by mail. In the channel's scope."""
    channel.disabled_at, channel.disabled_reason = now, _kept(reason, REASON_KEPT)
    channel.save(update_fields=["disabled_at", "disabled_reason"])
    Delivery.objects.filter(tenant_id=channel.tenant_id, channel_id=channel.id, status="pending").update(
        status="skipped", reason="The channel was switched off.", ended_at=now
    )
    notify(
        tenant_id=channel.tenant_id, kind=CHANNEL_DISABLED, dedupe_key=f"{channel.id}:{now:%Y-%m-%dT%H:%M:%S}",
        context={
            "channel": channel.name, "label": channel.label, "failures": channel.failures,
            "reason": channel.disabled_reason,
        },
        user_id=channel.owner_id, now=now,
    )  # fmt: skip


def _sent(main: Delivery, others: Sequence[int], now: datetime) -> None:
    Delivery.objects.filter(id=main.id).update(status="sent", reason="", ended_at=now)
    Delivery.objects.filter(id__in=others).update(status="coalesced", coalesced_into_id=main.id, ended_at=now)
    changed: dict[str, object] = {"failures": 0}
    if main.kind == CHANNEL_TEST:
        changed["verified_at"] = now  # it takes our messages, which is all that a test message can show
    Channel.objects.filter(tenant_id=main.tenant_id, id=main.channel_id).update(**changed)


def _not_sent(
    delivery_ids: Sequence[int], main: Delivery, medium: Medium, outcome: Outcome, now: datetime, chance: Random
) -> None:
    rows = Delivery.objects.filter(id__in=delivery_ids)
    reason = _kept(outcome.reason, REASON_KEPT)
    if outcome.result == Result.UNKNOWN and medium.sends_once:
        rows.update(status="unknown", reason=reason, ended_at=now)
    elif outcome.result in (Result.REFUSED, Result.GONE) or main.attempts > len(medium.retries):
        rows.update(status="failed", reason=reason, ended_at=now)
    else:
        wait = medium.retries[main.attempts - 1] * (1 + JITTER * chance.random())
        rows.update(status="pending", reason=reason, due_at=now + max(wait, outcome.after or timedelta(0)))


def _kept(text: str, most: int) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\0", "")[:most]
