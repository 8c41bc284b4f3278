"""Doors and control plane speak TLS to servers whose certificate they verify.

The Valkey of the tests is built without TLS, so a relay with a certificate stands before each server.
"""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import sys
import threading

import pytest

from ratelimiter.store.client import counters_client
from tests.door.rig import HOST, ROOT, rule, wait_until
from tests.topologies.parts import PASSWORD, Server, Store, free_ports

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


class Relay:
    """Accepts TLS on `port` and passes the bytes on."""

    def __init__(self, certificate, port, target):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._port, self._target = port, target
        self._loop = asyncio.new_event_loop()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._listens.wait(5)

    def stop(self):
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self):
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._stopping = asyncio.Event()
        self._tasks = set()
        server = await asyncio.start_server(self._accept, HOST, self._port, ssl=self._context)
        self._listens.set()
        await self._stopping.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        there, back = await asyncio.open_connection(HOST, self._target)
        with contextlib.suppress(asyncio.CancelledError):  # which is how `stop` ends it
            await asyncio.gather(self._pass_on(reader, back), self._pass_on(there, writer))
        for end in (writer, back):
            end.transport.abort()

    async def _pass_on(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a key and a certificate for 127.0.0.1, signed by itself."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", f"subjectAltName=IP:{HOST}", "-keyout", file, "-out", f"{file}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_text(file.read_text() + file.with_name("both.pem.crt").read_text())
    return file


class Secured(Store):
    """One server behind a relay: by itself, or a cluster of one that announces the relay's port."""

    def __init__(self, folder, certificate, *, clustered):
        port, relayed = free_ports(2)
        options = ["--cluster-enabled", "yes", "--cluster-announce-port", str(relayed)] if clustered else []
        self.server = Server(folder, port, *options)
        self.relay = Relay(certificate, relayed, port)
        self.masters = [self.server]
        if clustered:
            self.server.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
            wait_until(lambda: self.server.client.cluster("INFO")["cluster_state"] == "ok")
        self.place = f"rediss{'+cluster' if clustered else ''}://:{PASSWORD}@{HOST}:{relayed}"
        self.url = f"{self.place}?ca={certificate}"
        self.client = counters_client(self.url, timeout_ms=1_000)

    def stop(self):
        self.client.close()
        self.relay.stop()
        self.server.stop()


@pytest.fixture(params=["standalone", "cluster"])
def secured(request, tmp_path, certificate):
    secured = Secured(tmp_path / "server", certificate, clustered=request.param == "cluster")
    yield secured
    secured.stop()


def test_a_door_checks_over_tls(secured, served):
    house = served(secured)
    key = house.keyring.key(house.keyring.tenant(rule(limit=10)))
    assert [house.door.check(key).json["remaining"] for _ in range(3)] == [9, 8, 7]
    assert house.door.check(key).json["degraded"] is False
    house.door.stop()


def test_a_certificate_that_nobody_vouches_for_is_refused(secured, served):
    script = "import sys; from ratelimiter.store.client import *; counters_client(sys.argv[1], timeout_ms=999).get('x')"
    asked = subprocess.run([sys.executable, "-c", script, secured.place], cwd=ROOT, capture_output=True, check=False)
    assert b"redis.exceptions.ConnectionError" in asked.stderr
    assert b"CERTIFICATE_VERIFY_FAILED" in asked.stderr
    secured.url = secured.place
    house = served(secured, ready=False)
    assert house.door.get("/readyz").status == 503
    assert "CERTIFICATE_VERIFY_FAILED" in house.door.log.read_text()
    house.door.stop()
