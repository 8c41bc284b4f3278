"""80, 90 and 100 % are said once a period and channel, in order, whoever is killed while saying it."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.billing.quota_notices import quotas_evaluate
from apps.core.scope import tenant_scope
from apps.notifications.delivering import lane_run
from apps.notifications.house.models import Lane
from apps.notifications.models import Channel, Delivery, Notice
from apps.plans.models import TenantPlan
from apps.plans.services import plan_set
from tests.billing.rows import NOW, count
from tests.browser.rig import ROOT
from tests.factories import colleague_make

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = NOW.replace(minute=0, second=0, microsecond=0)
KILLS = int(os.environ.get("QUOTA_KILLS", "20"))


@pytest.fixture
def evaluate(metering):
    return lambda now=NOW: quotas_evaluate(metering, active_since=now - timedelta(hours=1), now=now)


def on_plan(alice, code, **fields):
    plan_set(tenant_id=alice.tenant_id, code=code)
    TenantPlan.objects.filter(tenant_id=alice.tenant_id).update(since_at=HOUR - timedelta(days=3), **fields)


def said(alice):
    with tenant_scope(alice.tenant_id):
        return [(row.kind, row.context["threshold"]) for row in Notice.objects.order_by("id")]


def test_each_threshold_is_said_once_and_only_when_it_is_reached(metering, alice, evaluate):
    on_plan(alice, "startup")
    for checks, expected in (
        (799_999, []), (1, [80]), (50_000, [80]), (49_999, [80]), (1, [80, 90]), (100_000, [80, 90, 100]),
    ):  # fmt: skip
        count(metering, alice.tenant_id, HOUR, checks)
        evaluate()
        assert [threshold for _, threshold in said(alice)] == expected
        assert evaluate() == 0
    assert said(alice) == [("quota.warning", 80), ("quota.warning", 90), ("quota.exceeded", 100)]


def test_a_leap_over_all_thresholds_says_all_of_them_in_order(metering, alice, evaluate):
    on_plan(alice, "startup")
    count(metering, alice.tenant_id, HOUR, 1_200_000)
    assert evaluate() == 3
    assert [threshold for _, threshold in said(alice)] == [80, 90, 100]


def test_a_new_period_and_a_new_plan_begin_again(metering, alice, evaluate):
    on_plan(alice, "startup")
    count(metering, alice.tenant_id, HOUR, 850_000)
    assert evaluate() == 1
    on_plan(alice, "free")
    assert evaluate() == 3
    on_plan(alice, "professional")
    assert evaluate() == 0


@pytest.mark.parametrize(
    ("plan", "fields", "used", "words"),
    [
        ("free", {}, 105_000, "From 110,000 checks on, checks are answered with 402 until the period ends."),
        ("free", {}, 110_000, "Checks are answered with 402 now, until the period ends."),
        ("startup", {}, 120_000_000, "Every further 100,000 checks cost $5."),
        ("startup", {"spend_cap_cents": 1_000}, 1_150_000, "up to your spend cap; from 1,200,000 checks on"),
        ("enterprise", {}, 120_000_000, "Further checks are billed as your contract says."),
    ],
)
def test_the_notice_says_what_happens_if_nothing_is_done(plan, fields, used, words, metering, alice, evaluate):
    on_plan(alice, plan, **fields)
    count(metering, alice.tenant_id, HOUR, used)
    evaluate()
    with tenant_scope(alice.tenant_id):
        context = Notice.objects.get(kind="quota.exceeded").context
    assert words in context["after"]
    assert 26 <= context["days_left"] <= 28


def test_checks_that_are_not_billed_use_no_quota(metering, alice, evaluate):
    on_plan(alice, "free")
    count(metering, alice.tenant_id, HOUR, 0, namespace="test", live=False)
    assert evaluate() == 0
    assert said(alice) == []


EVALUATOR = """
import os, sys, time
from django.conf import settings
import django
django.setup()
from django.db import connection, transaction
connection.settings_dict["NAME"] = sys.argv[1]
settings.DATABASE_INGEST_URL = sys.argv[2]
from config.celery import app
app.loader.import_default_modules()
evaluate = app.tasks["billing.quota_notify"]
print("ready", flush=True)
for line in sys.stdin:          # the parent is this worker's broker, and forks before each task as prefork does
    if os.fork() == 0:
        os.setpgid(0, 0)
        print(os.getpid(), flush=True)
        while True:
            evaluate()
            time.sleep(0.001)
"""


class Evaluators:
    """Real processes that run the task over and over, until they are killed with SIGKILL."""

    def __init__(self, settings):
        arguments = [connection.settings_dict["NAME"], settings.DATABASE_INGEST_URL]
        self._mother = subprocess.Popen(
            [sys.executable, "-c", EVALUATOR, *arguments], cwd=ROOT, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings.test"},
        )  # fmt: skip
        assert self._mother.stdout.readline().strip() == "ready"

    def start(self):
        self._mother.stdin.write("go\n")
        self._mother.stdin.flush()
        return int(self._mother.stdout.readline())

    def close(self):
        self._mother.kill()
        self._mother.wait()
        self._mother.stdin.close()
        self._mother.stdout.close()


def test_driven_from_0_to_120_percent_while_workers_are_killed_each_channel_hears_three_times(
    metering, alice, settings, mailoutbox
):
    """Two beats: two workers evaluate at any time. One of them is killed 20 times, at any moment of its work."""
    on_plan(alice, "startup")
    with transaction.atomic():
        colleague_make(alice.tenant_id, "admin", email="second@alice.example")
    evaluators = Evaluators(settings)
    chance = random.Random(7)
    alive = [evaluators.start(), evaluators.start()]
    try:
        for step in range(KILLS):
            count(metering, alice.tenant_id, HOUR, 1_200_000 // KILLS)
            time.sleep(chance.random() * 0.12)
            os.kill(alive[step % 2], signal.SIGKILL)
            alive[step % 2] = evaluators.start()
        deadline = time.monotonic() + 30
        while len(said(alice)) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        for pid in alive:
            os.kill(pid, signal.SIGKILL)
        evaluators.close()
    assert said(alice) == [("quota.warning", 80), ("quota.warning", 90), ("quota.exceeded", 100)]
    later = timezone.now() + timedelta(minutes=10)
    for lane in list(Lane.objects.all()):
        lane_run(tenant_id=alice.tenant_id, channel_id=lane.channel_id, medium=lane.medium, clock=lambda: later)
    with tenant_scope(alice.tenant_id):
        channels = list(Channel.objects.values_list("id", flat=True))
        heard = {
            channel_id: list(
                Delivery.objects.filter(channel_id=channel_id).order_by("ended_at").values("id", "status", "dedupe_key")
            )
            for channel_id in channels
        }
    assert len(channels) == 2
    for rows in heard.values():
        assert [row["dedupe_key"].rpartition(":")[2] for row in rows] == ["80", "90", "100"]
        assert {row["status"] for row in rows} == {"sent"}
        assert all(first["id"] < second["id"] for first, second in pairwise(rows))
    for address in ("alice@example.com", "second@alice.example"):
        mails = [mail for mail in mailoutbox if mail.to == [address]]
        assert [mail.subject[:12] for mail in mails] == ["Quota 80 % u", "Quota 90 % u", "Quota used u"]
        assert len({mail.extra_headers["Message-ID"] for mail in mails}) == 3
