"""HTTP to addresses that customers chose, without letting them reach what only we can reach.

The URL is read once, strictly. The name is resolved once, every address that it has is judged, and the connection goes
to one that was judged: what the name says a moment later does not matter. No redirects, no proxies, no retries, no
cookies; 15 seconds for everything, however slowly the other side speaks; the first 2 KB of the answer are kept.

requests-hardened does some of this; here all addresses are judged instead of the first, addresses within addresses
(NAT64, 6to4, Teredo, IPv4-compatible) are refused, and the time is for the whole, not for each read.
"""

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings

TOTAL_S = 15.0
CONNECT_S = 5.0
KEPT_BYTES = 2_048
MAX_URL = 2_000
TRIED_ADDRESSES = 2
USER_AGENT = "Ratelimiter/1"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

# What Python's is_global lets through, at least in some of the versions that we run on.
_FORBIDDEN = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
        "192.175.48.0/24", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
        "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
        "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
        "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
_LABEL = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_URL = re.compile(r"https?://[!-~]+")  # printable ASCII without spaces
_resolving = ThreadPoolExecutor(max_workers=256, thread_name_prefix="resolve")  # a lookup may outlive its request


class UrlRefused(ValueError):
    """No URL that we call; the text says why."""


class Unreachable(OSError):
    """Nobody answered, or not in time; the text says what happened. `may_have_arrived`: the request was under way."""

    def __init__(self, text: str, *, may_have_arrived: bool = False) -> None:
        super().__init__(text)
        self.may_have_arrived = may_have_arrived


class Forbidden(Unreachable):
    """The name leads to an address that we do not call."""


@dataclass(frozen=True, slots=True)
class Target:
    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` by lower-case name, `body` at most KEPT_BYTES."""

    status: int
    headers: Mapping[str, str]
    body: str


def target_of(url: str) -> Target:
    """Raises UrlRefused for everything that two readers of URLs might read differently."""
    if len(url) > MAX_URL or not _URL.fullmatch(url) or "\\" in url:
        raise UrlRefused("Use an address like https://example.com/path, in plain ASCII.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UrlRefused("This is not an address.") from None
    if "@" in parts.netloc:
        raise UrlRefused("Leave user and password out of the address.")
    host = (parts.hostname or "").lower()
    literal = _literal(host, is_bracketed="[" in parts.netloc)
    if literal is None and ("." not in host or not _NAME.fullmatch(host)):
        raise UrlRefused("The host must be a full name, such as hooks.example.com.")
    port = port if port is not None else 443 if parts.scheme == "https" else 80
    if port not in (80, 443) and not 1_024 <= port <= 65_535:
        raise UrlRefused("The port must be 443, 80, or 1024 and above.")
    if parts.scheme != "https" and not (literal is not None and _is_exempt(literal)):
        raise UrlRefused("Use https.")
    if literal is not None and not address_allowed(literal):
        raise UrlRefused("This address is not one that can be reached from the internet.")
    return Target(parts.scheme, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def address_allowed(address: Address) -> bool:
    if _is_exempt(address):
        return True
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_IPV6:
        return False
    return not any(address in network for network in _FORBIDDEN if network.version == address.version)


def is_exempt_host(host: str) -> bool:
    """An address in a network that the operator let in."""
    try:
        return _is_exempt(ipaddress.ip_address(host))
    except ValueError:
        return False


def post(
    url: str, *, body: bytes, headers: Mapping[str, str], resolve: Resolver | None = None, total_s: float = TOTAL_S
) -> Answer:
    """Raises UrlRefused, Forbidden, Unreachable. Any status is an answer."""
    target = target_of(url)
    deadline = time.monotonic() + total_s
    addresses = _resolved(target, resolve or _lookup, deadline)
    connection = _connected(target, addresses, deadline)
    watch = threading.Timer(max(0.0, deadline - time.monotonic()), _hang_up, [connection])
    watch.daemon = True
    watch.start()
    try:
        return _exchange(connection, target, body, headers)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() >= deadline:
            raise Unreachable(f"There was no answer within {total_s:g} s.", may_have_arrived=True) from None
        words = f"The answer could not be read: {type(error).__name__}."
        raise Unreachable(words, may_have_arrived=True) from None
    finally:
        watch.cancel()
        connection.close()


def _exchange(connection: socket.socket, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
    client = http.client.HTTPConnection(target.host, target.port)
    client.sock = connection
    default = 443 if target.scheme == "https" else 80
    host = f"[{target.host}]" if ":" in target.host else target.host
    client.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
    client.putheader("Host", host if target.port == default else f"{host}:{target.port}")
    for name, value in {
        "User-Agent": USER_AGENT,
        "Content-Length": str(len(body)),
        "Connection": "close",
        **headers,
    }.items():
        client.putheader(name, value)
    client.endheaders(body)
    response = client.getresponse()
    try:
        kept = response.read(KEPT_BYTES)
    except (OSError, http.client.HTTPException):
        kept = b""  # the status is what counts, and it has come
    fields = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, fields, kept.decode("utf-8", "replace"))


def _resolved(target: Target, resolve: Resolver, deadline: float) -> list[str]:
    try:
        found = _resolving.submit(resolve, target.host, target.port).result(max(0.0, deadline - time.monotonic()))
    except FutureTimeout:
        raise Unreachable("The name was not resolved in time.") from None
    except (OSError, UnicodeError):
        raise Unreachable("The name could not be resolved.") from None
    addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
    if not addresses:
        raise Unreachable("The name could not be resolved.")
    if not all(address_allowed(address) for address in addresses):
        raise Forbidden("The name leads to an address that cannot be reached from the internet.")
    return [str(address) for address in addresses]


def _connected(target: Target, addresses: Sequence[str], deadline: float) -> socket.socket:
    reason = "OSError"
    for address in addresses[:TRIED_ADDRESSES]:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            plain = socket.create_connection((address, target.port), timeout=min(CONNECT_S, left))
        except OSError as error:
            reason = type(error).__name__
            continue
        plain.settimeout(max(0.1, deadline - time.monotonic()))
        if target.scheme != "https":
            return plain
        try:
            return _tls().wrap_socket(plain, server_hostname=target.host)
        except (OSError, ValueError) as error:
            plain.close()
            detail = getattr(error, "verify_message", "") or type(error).__name__
            raise Unreachable(f"TLS failed: {detail}.") from None
    raise Unreachable(f"The receiver could not be reached: {reason}.")


def _lookup(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _literal(host: str, *, is_bracketed: bool) -> Address | None:
    """The address that a host is. Raises UrlRefused for what only some readers take for one (0177.1, 2130706433)."""
    last = host.rpartition(".")[2]
    if not is_bracketed and not (last.isdigit() or last.startswith("0x")):
        return None
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        raise UrlRefused("Write the host as a name, or as an address in full.") from None


def _is_exempt(address: Address) -> bool:
    """In a network that the operator let in."""
    return any(
        address in network
        for network in _exempt(tuple(settings.OUTBOUND_ALLOWED))
        if network.version == address.version
    )


@cache
def _exempt(networks: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(network) for network in networks)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _hang_up(connection: socket.socket) -> None:
    """Wakes whoever reads from it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already
