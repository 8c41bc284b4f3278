"""A delivery's way through a channel: order, retries, crashes, quiet hours."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import transaction

from apps.core.scope import tenant_scope
from apps.notifications import delivering
from apps.notifications.channels.base import Medium, Outcome, Result
from apps.notifications.channels.table import MEDIUMS
from apps.notifications.house.lanes import LEASE
from apps.notifications.house.models import Lane
from apps.notifications.models import Attempt, Channel
from apps.tenants.services import membership_put, membership_remove
from tests.factories import colleague_make, notice_make

pytestmark = pytest.mark.django_db
SENT = Outcome(Result.SENT)
LATER = Outcome(Result.RETRY, "HTTP 500", 500, "oops\0")


class Killed(BaseException):
    """As SIGKILL: nothing after it runs."""


@pytest.fixture
def mails(monkeypatch):
    """E-mail's row with a sender that answers what the test says; `sent` are the envelopes."""
    state = SimpleNamespace(sent=[], answers=[], medium={})

    class Sender:
        def send(self, envelope):
            state.sent.append(envelope)
            answer = state.answers.pop(0) if state.answers else SENT
            if isinstance(answer, type):
                raise answer
            return answer

    def configure(**fields):
        row = MEDIUMS["email"]
        values = {name: getattr(row, name) for name in row.__slots__} | {"sender": Sender()} | fields
        monkeypatch.setitem(MEDIUMS, "email", Medium(**values))

    configure()
    state.configure = configure
    return state


def said(mails):
    return [[message.context["threshold"] for message in envelope.messages] for envelope in mails.sent]


def tell(alice, *thresholds):
    for threshold in thresholds:
        notice_make(alice.tenant_id, dedupe_key=str(threshold), threshold=threshold)


def statuses(rows):
    return [row.status for row in rows.deliveries]


def test_deliveries_of_a_channel_go_in_order_with_ids_of_their_own(alice, mails, run, rows):
    tell(alice, 80, 90, 100)
    assert run() == 3
    assert said(mails) == [[80], [90], [100]]
    assert len({envelope.message.id for envelope in mails.sent}) == 3
    assert mails.sent[0].address == "alice@example.com"
    assert statuses(rows) == ["sent"] * 3
    assert run() == 0


def test_a_failure_is_tried_again_later_and_holds_back_what_follows(alice, mails, run, rows, clock):
    mails.answers = [LATER, LATER]
    tell(alice, 80, 90)
    assert run() == 1
    clock.pass_(seconds=20)
    assert run() == 0
    clock.pass_(seconds=20)
    assert run() == 1
    clock.pass_(seconds=150)
    assert run() == 2
    assert said(mails) == [[80], [80], [80], [90]]
    assert len({envelope.message.id for envelope in mails.sent[:3]}) == 1
    with tenant_scope(alice.tenant_id):
        tries = Attempt.objects.order_by("id").values_list("outcome", "status_code", "response")
        assert list(tries)[:1] == [("retry", 500, "oops")]
        assert len(tries) == 4
        assert Channel.objects.get().failures == 0


def test_what_fails_as_often_as_we_try_is_given_up_and_the_next_goes_on(alice, mails, run, rows, clock):
    mails.configure(retries=(timedelta(seconds=1),))
    mails.answers = [LATER, LATER]
    tell(alice, 80, 90)
    run()
    clock.pass_(seconds=2)
    run()
    assert statuses(rows) == ["failed", "sent"]
    assert rows.deliveries[0].reason == "HTTP 500"


def test_what_is_refused_is_not_tried_again(alice, mails, run, rows):
    mails.answers = [Outcome(Result.REFUSED, "no such address", 550)]
    tell(alice, 80, 90)
    run()
    assert statuses(rows) == ["failed", "sent"]


def test_a_receiver_that_asks_to_be_left_alone_is(alice, mails, run, clock):
    mails.answers = [Outcome(Result.RETRY, "HTTP 429", 429, after=timedelta(minutes=10))]
    tell(alice, 80)
    run()
    clock.pass_(minutes=9)
    assert run() == 0
    clock.pass_(minutes=2)
    assert run() == 1


def test_a_worker_killed_while_sending_is_followed_by_one_that_sends_the_same_message(alice, mails, run, rows, clock):
    mails.answers = [Killed]
    tell(alice, 80, 90)
    with pytest.raises(Killed):
        run()
    assert statuses(rows) == ["sending", "pending"]
    assert run() == 0
    clock.pass_(seconds=LEASE.total_seconds() + 1)
    assert run() == 2
    assert said(mails) == [[80], [80], [90]]
    assert mails.sent[0].message.id == mails.sent[1].message.id
    assert statuses(rows) == ["sent", "sent"]


def test_a_medium_that_must_not_repeat_shows_what_it_does_not_know(alice, mails, run, rows, clock):
    mails.configure(sends_once=True)
    mails.answers = [Killed, Outcome(Result.UNKNOWN, "no answer")]
    tell(alice, 80, 90, 100)
    with pytest.raises(Killed):
        run()
    clock.pass_(seconds=LEASE.total_seconds() + 1)
    run()
    assert said(mails) == [[80], [90], [100]]
    assert statuses(rows) == ["unknown", "unknown", "sent"]


def test_a_channel_that_fails_again_and_again_is_switched_off_and_its_owner_hears(alice, mails, run, rows, clock):
    mails.configure(disable_after=2)
    mails.answers = [LATER, LATER]
    tell(alice, 80, 90)
    run()
    clock.pass_(seconds=60)
    run()
    assert [row.kind for row in rows.deliveries] == ["quota.warning", "quota.warning", "channel.disabled"]
    assert rows.channels[0].disabled_at
    assert statuses(rows)[0:2] == ["skipped", "skipped"]
    assert rows.notices[-1].context["failures"] == 2


def quiet(alice, clock, **span):
    """From an hour ago for three hours."""
    minute = clock.now.hour * 60 + clock.now.minute
    with tenant_scope(alice.tenant_id):
        Channel.objects.update(quiet_from=(minute - 60) % 1_440, quiet_until=(minute + 120) % 1_440)


def test_quiet_hours_hold_and_coalesce_all_but_the_critical(alice, mails, run, rows, clock):
    tell(alice, 70)
    run()
    quiet(alice, clock)
    tell(alice, 80, 90)
    notice_make(alice.tenant_id, kind="quota.exceeded", threshold=100)
    run()
    assert said(mails) == [[70], [100]]
    assert [row.is_held for row in rows.deliveries] == [False, True, True, False]
    assert Lane.objects.get().due_at > clock.now + timedelta(minutes=100)
    clock.pass_(minutes=121)
    assert run() == 1
    assert said(mails)[-1] == [80, 90]
    assert statuses(rows) == ["sent", "coalesced", "sent", "sent"]
    assert rows.deliveries[1].coalesced_into_id == rows.deliveries[2].id


def test_held_ones_that_fail_are_tried_together_again(alice, mails, run, rows, clock):
    tell(alice, 70)
    run()
    quiet(alice, clock)
    tell(alice, 80, 90)
    run()
    clock.pass_(minutes=121)
    mails.answers = [LATER]
    assert run() == 1
    clock.pass_(seconds=40)
    assert run() == 1
    assert said(mails) == [[70], [80, 90], [80, 90]]
    assert mails.sent[1].message.id == mails.sent[2].message.id
    assert statuses(rows) == ["sent", "coalesced", "sent"]


def test_who_has_left_hears_nothing_any_more(alice, mails, run, rows):
    with transaction.atomic():
        user_id = colleague_make(alice.tenant_id, "admin")
    tell(alice, 80)
    with transaction.atomic():
        membership_remove(tenant_id=alice.tenant_id, user_id=user_id)
    run()
    assert [envelope.address for envelope in mails.sent] == ["alice@example.com"]
    assert sorted(statuses(rows)) == ["sent", "skipped"]
    membership_put(tenant_id=alice.tenant_id, user_id=user_id, role="owner")


def test_a_tenant_that_is_gone_leaves_no_lane(alice, mails, clock):
    tell(alice, 80)
    lane = Lane.objects.get()
    Lane.objects.update(tenant_id=2**40)
    assert delivering.lane_run(tenant_id=2**40, channel_id=lane.channel_id, medium="email", clock=clock) == 0
    assert not Lane.objects.exists()
