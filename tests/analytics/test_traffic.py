"""Traffic for demos: like a day of people, and the same every day."""

import itertools
import random
from collections import Counter

import pytest

from apps.analytics.seeding.traffic import Traffic

DAY_S = 1_000.0


@pytest.fixture
def traffic():
    return Traffic(rate=20, day_s=DAY_S, chance=random.Random(1))


def test_a_day_has_a_night_and_an_afternoon(traffic):
    paces = {share: traffic.pace(share * DAY_S) for share in (0.05, 0.3, 0.55)}
    assert paces[0.05] < 0.3 * 20 < paces[0.3] < 1.5 * 20 < paces[0.55]
    assert traffic.pace(0.3 * DAY_S) == pytest.approx(traffic.pace(3.3 * DAY_S))


def test_on_average_it_is_as_much_as_was_asked_for(traffic):
    asked = [body for step in range(1_000) for body in traffic.checks(step * DAY_S / 1_000, DAY_S / 1_000)]
    attacks = [body for body in asked if body["ip"] == "203.0.113.66"]
    assert len(asked) - len(attacks) == pytest.approx(20 * DAY_S, rel=0.1)
    assert 0.1 < len(attacks) / len(asked) < 0.3


def test_few_people_come_often_and_many_come_once(traffic):
    people = Counter(body.get("user") for _ in range(500) for body in traffic.checks(300, 1))
    [(_, most), *_] = people.most_common(1)
    assert most > 5 * sorted(people.values())[len(people) // 2]


def test_there_is_one_deploy_a_day(traffic):
    moments = [step * DAY_S / 10 for step in range(31)]
    assert sum(traffic.deploys(since, until) for since, until in itertools.pairwise(moments)) == 3
