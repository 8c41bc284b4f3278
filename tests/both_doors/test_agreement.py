"""The fast door and the Django endpoint give the same answers: status, headers and body, ids and times aside."""

import re
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.test import Client

from apps.core.counters import counters
from apps.limits import judge as judging
from tests.both_doors.cases import CASES
from tests.door.rig import OLD_PEPPER, DoorProcess, Keyring

OF_THE_CONTRACT = ("content-type", "ratelimit-policy", "ratelimit", "rl-decision", "retry-after", "www-authenticate")
TIMES = re.compile(r'"(reset_ms|retry_after_ms)":\d+|t=\d+|in \d+ ms')


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    redis = counters()
    redis.flushall()
    valkey = SimpleNamespace(client=redis, url=settings.COUNTERS_URL)
    keyring = Keyring(valkey)
    peppers = ",".join(f"{version}:{secret}" for version, secret in settings.KEY_PEPPERS)
    door = DoorProcess(valkey, folder / "spool", key_peppers=peppers)
    judging.judge.cache_clear()
    yield keyring, door
    door.stop()
    judging.judge.cache_clear()


def comparable(status, headers, body):
    kept = {name: TIMES.sub("TIME", headers[name]) for name in OF_THE_CONTRACT if name in headers}
    if "retry-after" in kept and int(kept["retry-after"]) > 1:
        kept["retry-after"] = "SECONDS"
    text = TIMES.sub("TIME", body.decode())
    return status, kept, re.sub(r"chk_[0-9a-f]+", "chk", text)


def through_the_door(door, key, ask):
    headers = ask.headers if ask.anonymous else {"Authorization": f"Bearer {key}", **ask.headers}
    response = door.request(ask.method, "/v1/check", ask.raw, headers)
    return comparable(response.status, response.headers, response.body)


def through_django(key, ask):
    headers = ask.headers if ask.anonymous else {"Authorization": f"Bearer {key}", **ask.headers}
    response = Client().generic(ask.method, "/api/v1/check", ask.raw, content_type="application/json", headers=headers)
    return comparable(
        response.status_code, {name.lower(): value for name, value in response.headers.items()}, response.content
    )


def key_of(keyring, case):
    tenant = keyring.tenant(*case.rules, suspended=case.suspended)
    return keyring.key(tenant, live=case.live, scopes=case.scopes, pepper=OLD_PEPPER)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_doors_answer_alike(house, settings, tmp_path, case):
    settings.SPOOL_DIR = str(tmp_path / "spool")
    keyring, door = house
    one, other = key_of(keyring, case), key_of(keyring, case)
    for ask in case.asks:
        expected = through_the_door(door, one, ask)
        assert through_django(other, ask) == expected
