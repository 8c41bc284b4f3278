"""Hostile addresses get no packet: a listener on this machine counts what comes, an audit hook sees every connect."""

import contextlib
import http.server
import ipaddress
import socket
import sys
import threading
import time
import urllib.request

import pytest

from apps.notifications.outbound import Forbidden, Unreachable, UrlRefused, address_allowed, post, target_of
from tests.notifications import hostile
from tests.notifications.receiver import Receiver

_connects = []
_is_watching = threading.Event()


def _audit(event, arguments):
    if event == "socket.connect" and _is_watching.is_set():
        _connects.append(arguments[1])


sys.addaudithook(_audit)  # cannot be taken away again, hence the switch


@pytest.fixture
def connects():
    _connects.clear()
    _is_watching.set()
    yield _connects
    _is_watching.clear()


class Listener:
    """On every IPv4 and IPv6 address of this machine, and one port."""

    def __init__(self):
        self.heard = []
        self._sockets = [socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)]
        self.port = self._sockets[0].getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, address = self._sockets[0].accept()
                self.heard.append(address)
                connection.close()

    def close(self):
        self._sockets[0].close()


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.close()


@pytest.fixture
def receiver(settings):
    settings.OUTBOUND_ALLOWED = ["127.0.0.1/32"]
    made = Receiver()
    yield made
    made.close()


def test_there_are_many_of_them():
    assert len({*hostile.LITERAL, *hostile.WRITTEN, *hostile.RESOLVED}) >= 130


def test_no_hostile_address_gets_a_packet(listener, connects):
    urls = [f"{scheme}://{host}:{listener.port}/" for host in hostile.LITERAL for scheme in ("https", "http")]
    urls += [url.replace("{port}", str(listener.port)) for url in hostile.WRITTEN]
    for url in urls:
        with pytest.raises((UrlRefused, Forbidden)):
            post(url, body=b"x", headers={}, resolve=lambda host, port: ["127.0.0.1"])
    for address in hostile.RESOLVED:
        for mixed in ([address], ["93.184.216.34", address], [address, "93.184.216.34"]):
            with pytest.raises(Forbidden):
                post(
                    f"https://hooks.example.com:{listener.port}/", body=b"x", headers={},
                    resolve=lambda host, port, mixed=mixed: mixed,
                )  # fmt: skip
    time.sleep(0.05)
    assert connects == []
    assert listener.heard == []


def test_the_listener_would_have_heard_them(listener):
    """Without the guard many of these arrive, so the silence above means something."""
    for host in (
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "0",
    ):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{host}:{listener.port}/", timeout=2):
            pass
    time.sleep(0.05)
    assert len(listener.heard) >= 7


def test_a_name_that_changes_its_mind_is_called_where_it_was_judged(listener, connects, settings):
    """Rebinding: the first answer is judged, and no second one is asked for."""
    settings.OUTBOUND_ALLOWED = ["127.0.0.9/32"]
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return ["127.0.0.9"] if len(asked) == 1 else ["127.0.0.1"]

    with pytest.raises(Unreachable, match="TLS"):
        post(f"https://rebind.example.com:{listener.port}/", body=b"x", headers={}, resolve=rebinding)
    assert asked == ["rebind.example.com"]
    assert connects == [("127.0.0.9", listener.port)]


def test_a_redirect_is_an_answer_and_is_not_followed(receiver, listener, connects):
    for location in (
        f"http://127.0.0.1:{listener.port}/",
        f"http://[::1]:{listener.port}/",
        "//localhost/",
        "file:///etc/passwd",
    ):
        receiver.answers.append((302, {"Location": location}, b"there"))
        answer = post(receiver.url, body=b"x", headers={})
        assert (answer.status, answer.body) == (302, "there")
    assert listener.heard == []
    assert set(connects) == {("127.0.0.1", receiver.port)}


def test_proxies_of_the_environment_are_not_used(receiver, listener, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
    assert post(receiver.url, body=b"x", headers={}).status == 200
    assert listener.heard == []


def test_what_is_sent_and_what_is_kept(receiver):
    receiver.answers = [(500, {"Retry-After": "7"}, b"a" * 5_000)]
    answer = post(receiver.url + "?a=b", body="{“x”}".encode(), headers={"webhook-id": "msg_1"})
    assert (answer.status, len(answer.body), answer.headers["retry-after"]) == (500, 2_048, "7")
    [request] = receiver.requests
    assert request.path == "/hooks?a=b"
    assert request.body == "{“x”}".encode()
    assert (request.headers["webhook-id"], request.headers["Host"]) == ("msg_1", f"127.0.0.1:{receiver.port}")


@pytest.mark.parametrize(
    "url", ["http://hooks.example.com/", "http://93.184.216.34/", "https://intranet/", "https://a_b..c/"]
)
def test_without_tls_or_a_full_name_nothing_is_called(url):
    with pytest.raises(UrlRefused):
        target_of(url)


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com/a?b=c", "https://93.184.216.34:8443/", "https://[2606:4700::1111]/x"]
)
def test_ordinary_addresses_are_taken(url):
    assert target_of(url).scheme == "https"


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001:80b::200e"])
def test_the_internet_is_allowed(address):
    assert address_allowed(ipaddress.ip_address(address))


class Dripping(http.server.BaseHTTPRequestHandler):
    """A byte now and then, for ever: no single read takes long."""

    def do_POST(self):
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"H")
                self.wfile.flush()
                time.sleep(0.05)

    def log_message(self, *args):
        pass


def test_a_receiver_that_drips_is_left_when_the_time_is_over(settings):
    settings.OUTBOUND_ALLOWED = ["127.0.0.1/32"]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="There was no answer within"):
        post(f"http://127.0.0.1:{server.server_address[1]}/", body=b"x", headers={}, total_s=0.5)
    assert time.monotonic() - begun < 5
    server.shutdown()
    server.server_close()


def test_a_name_that_is_never_resolved_is_left_when_the_time_is_over():
    released = threading.Event()
    with pytest.raises(Unreachable, match="not resolved in time"):
        post(
            "https://slow.example.com/", body=b"", headers={}, resolve=lambda *_: released.wait(10) and [], total_s=0.2
        )
    released.set()


def test_a_closed_port_is_said_so(settings):
    settings.OUTBOUND_ALLOWED = ["127.0.0.1/32"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(Unreachable, match="ConnectionRefusedError"):
        post(f"http://127.0.0.1:{port}/", body=b"x", headers={})
