"""Said once, in the caller's transaction, to whom it concerns."""

import threading

import pytest
from django.db import connection, transaction

from apps.core.errors import NotFound
from apps.core.scope import tenant_scope
from apps.notifications.house.models import Lane
from apps.notifications.kinds import KINDS, ContextWrong
from apps.notifications.preferences import matrix_set, own_mails_set
from apps.notifications.selectors import matrix_of
from apps.notifications.services import notify
from tests.factories import colleague_make, notice_make

pytestmark = pytest.mark.django_db(transaction=True)


@transaction.atomic
def join(tenant_id, role):
    return colleague_make(tenant_id, role)


def test_a_notice_becomes_a_delivery_a_member_and_wakes_their_lanes(alice, rows, sent):
    join(alice.tenant_id, "developer")
    join(alice.tenant_id, "viewer")  # hears nothing of quotas
    assert notice_make(alice.tenant_id)
    assert [(row.kind, row.status) for row in rows.deliveries] == [("quota.warning", "pending")] * 2
    assert [channel.medium for channel in rows.channels] == ["email", "email"]
    assert sorted(sent[-2:], key=str) == sorted(
        (
            ("notifications.email", {"tenant_id": alice.tenant_id, "channel_id": row.channel_id})
            for row in rows.deliveries
        ),
        key=str,
    )


def test_the_same_thing_is_said_once(alice, rows, sent):
    assert notice_make(alice.tenant_id)
    before = len(sent)
    assert notice_make(alice.tenant_id) is None
    assert notice_make(alice.tenant_id, dedupe_key="another")
    assert notice_make(alice.tenant_id, kind="quota.exceeded")
    assert len(rows.deliveries) == len(rows.notices) == 3
    assert len(sent) == before + 2


def test_what_rolls_back_was_never_said(alice, rows, sent):
    before = len(sent)

    def fail():
        with transaction.atomic():
            notice_make(alice.tenant_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert rows.notices == rows.deliveries == []
    assert not Lane.objects.exists()
    assert len(sent) == before
    assert notice_make(alice.tenant_id)


def test_of_many_who_say_it_at_once_one_does(alice, rows):
    results = []
    gate = threading.Barrier(6)

    def say():
        try:
            gate.wait()
            results.append(notice_make(alice.tenant_id))
        finally:
            connection.close()

    threads = [threading.Thread(target=say) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([notice for notice in results if notice]) == 1
    assert len(results) == 6
    assert len(rows.deliveries) == 1


def test_an_unknown_kind_or_other_fields_are_refused(alice):
    with pytest.raises(NotFound):
        notify(tenant_id=alice.tenant_id, kind="no.such", dedupe_key="x", context={})
    with pytest.raises(ContextWrong):
        notify(tenant_id=alice.tenant_id, kind="quota.warning", dedupe_key="x", context={})


def test_the_matrix_decides_per_role_but_not_over_what_must_be_said(alice, rows):
    join(alice.tenant_id, "viewer")
    chosen = {("quota.warning", "email", "viewer")}
    with tenant_scope(alice.tenant_id):
        matrix_set(tenant_id=alice.tenant_id, chosen=chosen)
        matrix = {row.kind.code: row.cells for row in matrix_of(alice.tenant_id)}
    on = {(code, cell.medium, cell.role) for code, cells in matrix.items() for cell in cells if cell.is_on}
    assert {entry for entry in on if KINDS[entry[0]].is_mutable} == chosen
    notice_make(alice.tenant_id)
    assert [channel.owner_id == alice.user_id for channel in rows.channels] == [False]
    notice_make(alice.tenant_id, kind="billing.payment_failed")
    assert {channel.owner_id for channel in rows.channels} > {alice.user_id}


def test_a_member_who_muted_a_kind_gets_the_others_and_what_cannot_be_muted(alice, rows):
    with tenant_scope(alice.tenant_id):
        own_mails_set(
            tenant_id=alice.tenant_id,
            user_id=alice.user_id,
            muted=["quota.warning", "billing.payment_failed", "nonsense"],
        )
    for kind in ("quota.warning", "quota.exceeded", "billing.payment_failed"):
        notice_make(alice.tenant_id, kind=kind)
    assert [row.kind for row in rows.deliveries] == ["quota.exceeded", "billing.payment_failed"]
    assert len(rows.notices) == 3  # the inbox has it all the same
