"""A real nginx asks /v1/authz before it lets requests through, configured as docs/gateways.md says."""

import http.server
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from ratelimiter.engine.quota import Quota
from ratelimiter.engine.rules import Match, RuleType
from tests.door.rig import HOST, ROOT, Reader, free_port, request_bytes, rule, wait_until

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


class Backend(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"from behind the gateway"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def backend():
    server = http.server.ThreadingHTTPServer((HOST, 0), Backend)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def documented():
    page = (ROOT / "docs" / "gateways.md").read_text()
    return re.search(r"```nginx\n(.*?)```", page, re.DOTALL)[1]


@pytest.fixture
def gateway(door, keyring, backend, tmp_path):
    """Starts nginx for a tenant's key; the documented configuration with this test's addresses in it."""
    running = []

    def start(key):
        port = free_port()
        locations = documented().replace("rl_live_...", key).replace("http://door:8001", f"http://{HOST}:{door.port}")
        locations = locations.replace("http://backend", f"http://{HOST}:{backend}")
        temporary = "".join(
            f"{kind}_temp_path {tmp_path};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        Path(tmp_path / "nginx.conf").write_text(
            f"pid {tmp_path}/nginx.pid;\nerror_log {tmp_path}/error.log;\ndaemon off;\nworker_processes 1;\n"
            f"events {{}}\nhttp {{\n{temporary}access_log off;\n"
            f"server {{\nlisten {HOST}:{port};\n{locations}\n}}\n}}\n"
        )
        process = subprocess.Popen(
            [NGINX, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)], stderr=subprocess.DEVNULL
        )
        running.append(process)
        wait_until(lambda: ask(port, "GET", "/nothing").status > 0, what="nginx's start")
        return port

    yield start
    for process in running:
        process.terminate()
        process.wait()


def ask(port, method, path, **headers):
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(request_bytes(method, path, b"" if method == "POST" else None, headers))
        return Reader(connection).response()


def test_requests_pass_until_the_limit_and_not_beyond(gateway, keyring):
    chat = rule("chat", limit=2, type=RuleType.USER, key=("user",), match=Match(routes=("POST /api/chat",)))
    port = gateway(keyring.key(keyring.tenant(chat)))
    user = {"X-User": "u1"}
    answers = [ask(port, "POST", "/api/chat?stream=1", Authorization="Bearer the-user-s", **user) for _ in range(3)]
    assert [a.status for a in answers] == [200, 200, 429]
    assert answers[0].body == b"from behind the gateway"
    assert int(answers[2].headers["retry-after"]) > 0
    assert ask(port, "GET", "/api/chat", **user).status == 200
    assert ask(port, "POST", "/api/chat", **{"X-User": "u2"}).status == 200


def test_addresses_are_the_client_s_as_nginx_saw_it(gateway, keyring):
    port = gateway(keyring.key(keyring.tenant(rule("ip", limit=1, type=RuleType.IP, key=("ip",)))))
    forged = [ask(port, "GET", "/api/x", **{"X-Forwarded-For": f"10.0.0.{n}"}).status for n in range(3)]
    assert forged == [200, 429, 429]


def test_a_used_up_plan_lets_pass_and_a_wrong_key_does_not(gateway, keyring):
    port = gateway(keyring.key(keyring.tenant(rule(), quota=Quota("p", 1))))
    assert [ask(port, "GET", "/api/x").status for _ in range(3)] == [200] * 3
