"""What the quickstart shows is run as it stands on the page, against the check that Django answers."""

import html
import os
import re
import shutil
import subprocess
import sys

import pytest
from django.utils import timezone

from apps.limits import judge as judging
from apps.limits import publishing
from tests.factories import key_make, rule_make

pytestmark = pytest.mark.django_db(transaction=True)
NODE = shutil.which("node")
COMMAND = f'ratelimiter() {{ {sys.executable} -m ratelimiter.cli "$@"; }}\n'
ALLOWED = {
    "ask-curl": (["sh", "-c"], "", "RL-Decision: allow"),
    "snippet-python": ([sys.executable, "-c"], "", "True"),
    "snippet-node": ([NODE or "node", "--input-type=module", "-e"], "", "true"),
    "snippet-shell": (["sh", "-c"], "", "200"),
    "snippet-cli": (["sh", "-c"], COMMAND, "allow"),
}
DENIED = {"ask-curl": "RL-Decision: deny", "snippet-python": "False", "snippet-node": "false", "snippet-shell": "429"}


@pytest.fixture
def run(alice, counters, anonymous, live_server, settings, tmp_path):
    settings.CHECK_URL, settings.PORTAL_URL = f"{live_server.url}/api/v1/check", live_server.url
    settings.SPOOL_DIR = str(tmp_path / "spool")
    judging.judge.cache_clear()
    page = anonymous.get("/docs/").content.decode()
    secret = key_make(alice.tenant_id).secret

    def run(name):
        code = html.unescape(re.search(rf'id="{name}">(.*?)</code>', page, re.DOTALL)[1])
        command, before, _ = ALLOWED[name]
        publishing.sweep(now=timezone.now())
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RATELIMITER_KEY": secret, "NO_COLOR": "1"}
        done = subprocess.run(
            [*command, before + code], env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr

    yield run
    judging.judge()._spool.close()
    judging.judge.cache_clear()


def _needed(name):
    if name == "snippet-node" and NODE is None:
        pytest.skip("needs node")


@pytest.mark.parametrize("name", ALLOWED)
def test_a_block_of_the_quickstart_lets_pass(name, run):
    _needed(name)
    assert ALLOWED[name][2].lower() in run(name).lower()


@pytest.mark.parametrize("name", DENIED)
def test_a_block_of_the_quickstart_tells_of_a_denial(name, run, alice):
    _needed(name)
    rule_make(alice.tenant_id, name="nobody", type="user", limit=1, window_ms=3_600_000)
    run("ask-curl")
    assert DENIED[name].lower() in run(name).lower()


def test_every_block_that_can_be_copied_is_run(anonymous):
    page = anonymous.get("/docs/").content.decode()
    assert set(re.findall(r'data-copy="#([^"]+)"', page)) == set(ALLOWED)
