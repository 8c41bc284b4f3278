"""A POST with an Idempotency-Key: once within a day, with the same answer, and nothing in plain."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from apps.core.scope import tenant_scope
from apps.limits.models import Rule
from apps.tenants.idempotency.answering import answers_purge
from apps.tenants.idempotency.models import IdempotentAnswer
from tests.api.calling import Caller
from tests.api.test_rules import CHAT, ROOT
from tests.factories import key_make

pytestmark = pytest.mark.django_db(transaction=True)


def rules_count(member):
    with tenant_scope(member.tenant_id):
        return Rule.objects.count()


def test_the_same_request_again_is_the_same_answer_and_one_change(admin, alice):
    first = admin.post(ROOT, CHAT, idempotency_key="one")
    again = admin.post(ROOT, dict(reversed(CHAT.items())), idempotency_key="one")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert [again[name] for name in ("ETag", "Location")] == [first[name] for name in ("ETag", "Location")]
    assert (again["Idempotency-Replayed"], rules_count(alice)) == ("true", 1)
    assert "Idempotency-Replayed" not in first
    with tenant_scope(alice.tenant_id):
        assert "chat" not in IdempotentAnswer.objects.get().sealed


def test_another_request_with_the_key_is_refused(admin, alice):
    admin.post(ROOT, CHAT, idempotency_key="one")
    told = admin.post(ROOT, {**CHAT, "name": "b"}, status=422, idempotency_key="one").json()
    assert told["code"] == "idempotency_key_reused"
    admin.post(f"{ROOT}/validate", CHAT, status=422, idempotency_key="one")
    assert rules_count(alice) == 1


def test_a_key_is_its_callers_own(admin, alice):
    admin.post(ROOT, CHAT, idempotency_key="one")
    other = Caller(key_make(alice.tenant_id, scopes=["admin"]).secret)
    other.post(ROOT, {**CHAT, "name": "b"}, idempotency_key="one")
    assert rules_count(alice) == 2


def test_what_failed_left_nothing_and_is_tried_anew(admin, alice):
    admin.post(ROOT, {**CHAT, "limit": 0}, status=400, idempotency_key="one")
    admin.post(ROOT, CHAT, idempotency_key="one")
    assert rules_count(alice) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_a_key_has_a_form(key, admin):
    admin.post(ROOT, CHAT, status=400, idempotency_key=key)


def test_after_a_day_the_key_is_new_and_the_row_goes(admin, alice):
    admin.post(ROOT, CHAT, idempotency_key="one")
    with tenant_scope(alice.tenant_id):
        IdempotentAnswer.objects.update(created_at=F("created_at") - timedelta(hours=25))
    admin.post(ROOT, {**CHAT, "name": "b"}, idempotency_key="one")
    assert answers_purge(now=timezone.now()) == 0
    assert answers_purge(now=timezone.now() + timedelta(hours=24)) == 1


def test_while_the_first_is_under_way_the_second_is_told_so(admin, alice, monkeypatch):
    """The first waits inside its transaction until the second has its answer."""
    from apps.limits import services

    reached, told, create = Barrier(2, timeout=20), Barrier(2, timeout=20), services.rule_create

    def slowly(**given):
        reached.wait()
        told.wait()
        return create(**given)

    monkeypatch.setattr(services, "rule_create", slowly)
    answers = []

    def first():
        answers.append(admin.call("post", ROOT, CHAT, idempotency_key="one").status_code)
        connection.close()

    thread = Thread(target=first)
    thread.start()
    reached.wait()
    second = admin.post(ROOT, CHAT, status=409, idempotency_key="one").json()
    told.wait()
    thread.join()
    assert (second["code"], answers, rules_count(alice)) == ("idempotency_in_flight", [201], 1)
