"""Stripe's own stripe-mock, built from its Go module: stateless, but it knows which requests Stripe would take."""

import fcntl
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.billing.sandbox.spec import MODULE, SpecMissing

BINARIES = Path.home() / ".cache" / "ratelimiter-tests" / MODULE.rsplit("@", 1)[1]


class StripeMock:
    """Raises SpecMissing where there is no Go, or the module cannot be had."""

    def __init__(self):
        self._process = subprocess.Popen(
            [str(_built()), "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        port = None
        for line in self._process.stdout:
            if "Listening for HTTP at address: 127.0.0.1:" in line:
                port = int(line.rsplit(":", 1)[1])
                break
        assert port, "stripe-mock did not start"
        self.url = f"http://127.0.0.1:{port}"
        self._wait(port)

    def stop(self):
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()

    @staticmethod
    def _wait(port):
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return


def _built():
    """Takes a minute the first time; others wait meanwhile."""
    if not shutil.which("go"):
        raise SpecMissing("stripe-mock is a Go module, and there is no Go here")
    BINARIES.mkdir(parents=True, exist_ok=True)
    binary = BINARIES / "stripe-mock"
    with (BINARIES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if binary.exists():
            return binary
        environment = os.environ | {"GOBIN": str(BINARIES)}
        done = subprocess.run(["go", "install", MODULE], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SpecMissing(f"{MODULE} cannot be built: {done.stderr[-300:]}")
    return binary
