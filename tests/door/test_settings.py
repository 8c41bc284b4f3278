"""A door that cannot work as told does not start, and says why in one sentence."""

import os
import socket
import subprocess
import sys

import pytest

from tests.door.rig import HOST, PEPPERS, ROOT

GOOD = {"COUNTERS_URL": f"redis://{HOST}:1", "KEY_PEPPERS": PEPPERS}


def start_and_fail(**environment):
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | environment
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "python:ratelimiter.door.gunicorn", "--log-level", "critical"],
        cwd=ROOT, env=own, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"COUNTERS_URL": ""}, "COUNTERS_URL"),
        ({"COUNTERS_URL": "http://:secret@x"}, "COUNTERS_URL"),
        ({"COUNTERS_URL": "redis://:secret@x/nought"}, "COUNTERS_URL"),
        ({"KEY_PEPPERS": "secret"}, "KEY_PEPPERS"),
        ({"KEY_PEPPERS": "1:secret"}, "KEY_PEPPERS"),
        ({"DOOR_WORKERS": "many"}, "DOOR_WORKERS"),
        ({"DOOR_WORKERS": "0"}, "DOOR_WORKERS"),
        ({"SPOOL_MAX_BYTES": "1"}, "SPOOL_MAX_BYTES"),
    ],
)
def test_a_wrong_variable_is_named(wrong, named):
    assert named in start_and_fail(**(GOOD | wrong))


def test_a_taken_metrics_port_is_named():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        assert "METRICS_PORT" in start_and_fail(**GOOD, METRICS_PORT=str(taken.getsockname()[1]), DOOR_BIND=f"{HOST}:0")
