"""What came of a try: sent, again later, given up, or the channel switched off."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from apps.core.scope import tenant_scope
from apps.notifications.auditing import channel_audit
from apps.notifications.channels.base import RESPONSE_KEPT, Envelope, Medium, Outcome, Result
from apps.notifications.kinds import CHANNEL_DISABLED, CHANNEL_TEST, TESTS
from apps.notifications.models import Attempt, Channel, Delivery
from apps.notifications.services import notify

JITTER = 0.2  # a wait is up to so much longer, so that what failed together does not come back together
REASON_KEPT = 200


@dataclass(frozen=True, slots=True)
class Taken:
    """What is being sent. `delivery_ids` are all that go with it, the envelope's own last."""

    envelope: Envelope
    medium: Medium
    delivery_ids: tuple[int, ...]
    had_failed: bool


def delivery_settle(
    *, tenant_id: int, taken: Taken, outcome: Outcome, duration_ms: int, now: datetime, chance: Random
) -> bool:
    """Whether the channel has more to deliver, now or later; False also when it was deleted meanwhile."""
    main_id, channel_id = taken.delivery_ids[-1], taken.envelope.channel_id
    kind = taken.envelope.message.kind.code
    with tenant_scope(tenant_id):
        if outcome.result == Result.SENT:
            is_there = _sent(tenant_id, taken, kind, now)
        else:
            is_there = _not_sent(tenant_id, taken, kind, outcome, now, chance)
        if not is_there:
            return False
        Attempt.objects.create(
            tenant_id=tenant_id, delivery_id=main_id, outcome=outcome.result.value, status_code=outcome.status_code,
            duration_ms=duration_ms, response=_kept(outcome.response, RESPONSE_KEPT),
        )  # fmt: skip
        open_ones = Delivery.objects.filter(
            tenant_id=tenant_id, channel_id=channel_id, status__in=("pending", "sending")
        )
        return open_ones.exists()


def channel_disable(channel: Channel, *, reason: str, now: datetime) -> None:
    """What waits is kept as skipped, and whoever owns the channel hears of it by mail. In the channel's scope."""
    channel.disabled_at, channel.disabled_reason = now, _kept(reason, REASON_KEPT)
    channel.save(update_fields=["disabled_at", "disabled_reason"])
    channel_audit(
        "channel.disabled", channel, before={"disabled_at": None},
        after={"disabled_at": now, "reason": channel.disabled_reason},
    )  # fmt: skip
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


def _sent(tenant_id: int, taken: Taken, kind: str, now: datetime) -> bool:
    main_id, others = taken.delivery_ids[-1], taken.delivery_ids[:-1]
    if not Delivery.objects.filter(id=main_id).update(status="sent", reason="", ended_at=now):
        return False
    if others:
        Delivery.objects.filter(id__in=others).update(status="coalesced", coalesced_into_id=main_id, ended_at=now)
    changed: dict[str, object] = {}
    if taken.had_failed:
        changed["failures"] = 0
    if kind == CHANNEL_TEST:
        changed["verified_at"] = now  # it takes our messages, which is all that a test message can show
    if changed:
        Channel.objects.filter(tenant_id=tenant_id, id=taken.envelope.channel_id).update(**changed)
    return True


def _not_sent(tenant_id: int, taken: Taken, kind: str, outcome: Outcome, now: datetime, chance: Random) -> bool:
    rows, medium, attempt = Delivery.objects.filter(id__in=taken.delivery_ids), taken.medium, taken.envelope.attempt
    reason = _kept(outcome.reason, REASON_KEPT)
    is_asked_for = kind in TESTS  # somebody waits for it and asks again; it says nothing of deliveries
    if outcome.result == Result.UNKNOWN and medium.sends_once:
        changed = rows.update(status="unknown", reason=reason, ended_at=now)
    elif is_asked_for or outcome.result in (Result.REFUSED, Result.GONE) or attempt > len(medium.retries):
        changed = rows.update(status="failed", reason=reason, ended_at=now)
    else:
        wait = medium.retries[attempt - 1] * (1 + JITTER * chance.random())
        due_at = now + max(wait, outcome.after or timedelta(0))
        changed = rows.update(status="pending", reason=reason, due_at=due_at)
    if changed and not is_asked_for:
        _failure_count(tenant_id, taken, outcome, now)
    return bool(changed)


def _failure_count(tenant_id: int, taken: Taken, outcome: Outcome, now: datetime) -> None:
    channel = Channel.objects.select_for_update().get(tenant_id=tenant_id, id=taken.envelope.channel_id)
    channel.failures += 1
    channel.save(update_fields=["failures"])
    is_worn_out = taken.medium.disable_after and channel.failures >= taken.medium.disable_after
    if (outcome.result == Result.GONE or is_worn_out) and channel.disabled_at is None:
        channel_disable(channel, reason=outcome.reason, now=now)


def _kept(text: str, most: int) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\0", "")[:most]
