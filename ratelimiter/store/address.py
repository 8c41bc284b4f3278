"""Where the counters live, as a URL says it.

| form | store |
|---|---|
| `redis://[[user]:password@]host[:port][/database]` | one Redis |
| `redis+sentinel://[[user]:password@]host[:port],…/service[/database]` | the master that these sentinels name |
| `redis+cluster://[[user]:password@]host[:port],…` | a Redis Cluster; any of its nodes will do to find the others |

With `rediss` for `redis` every connection is TLS with a verified certificate; `?ca=path` names the authorities to trust
instead of the system's. `?sentinel_user=` and `?sentinel_password=` are for sentinels that want to be told.
"""

import ssl
from enum import StrEnum
from functools import cache
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

REDIS_PORT = 6379
SENTINEL_PORT = 26379


class Topology(StrEnum):
    STANDALONE = ""
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Node(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Access(msgspec.Struct, frozen=True):
    """What a server is told on every connection. `authorities` is a file's path, '' for the system's."""

    username: str = ""
    password: str = ""
    database: int = 0
    tls: bool = False
    authorities: str = ""


class Address(msgspec.Struct, frozen=True):
    """`nodes` are the Redis itself, its sentinels, or some of the cluster's nodes. `service` is the sentinels' name."""

    topology: Topology
    nodes: tuple[Node, ...]
    access: Access
    service: str = ""
    sentinel_access: Access = Access()


def address_parse(url: str) -> Address:
    """Raises ValueError with a sentence that shows no password. Touches nothing outside."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:  # whose own message may show parts of the password
        raise ValueError("the counters' URL cannot be read") from None
    topology, tls = _scheme(parts.scheme)
    _options_verify(options, topology, tls=tls)
    credentials, _, hosts = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    service, database = _path(parts, topology)
    authorities = options.get("ca", "")
    return Address(
        topology,
        _nodes(hosts, topology),
        Access(unquote(username), unquote(password), database, tls, authorities),
        service,
        Access(options.get("sentinel_user", ""), options.get("sentinel_password", ""), 0, tls, authorities),
    )


@cache
def tls_context(access: Access) -> ssl.SSLContext | None:
    """None without TLS. Raises ValueError when the authorities cannot be read."""
    if not access.tls:
        return None
    try:
        return ssl.create_default_context(cafile=access.authorities or None)
    except OSError:
        raise ValueError(f"the certificates of “{access.authorities}” cannot be read") from None


def _scheme(scheme: str) -> tuple[Topology, bool]:
    protocol, _, kind = scheme.partition("+")
    if protocol not in ("redis", "rediss") or kind not in list(Topology) or scheme.endswith("+"):
        raise ValueError(
            "the counters' URL must begin with redis://, redis+sentinel:// or redis+cluster:// (rediss… for TLS)"
        )
    return Topology(kind), protocol == "rediss"


def _options_verify(options: dict[str, str], topology: Topology, *, tls: bool) -> None:
    known = {"ca"} if tls else set()
    if topology is Topology.SENTINEL:
        known |= {"sentinel_user", "sentinel_password"}
    if not options.keys() <= known:
        raise ValueError(f"after “?” the counters' URL may have only: {', '.join(sorted(known)) or 'nothing'}")


def _nodes(hosts: str, topology: Topology) -> tuple[Node, ...]:
    port = SENTINEL_PORT if topology is Topology.SENTINEL else REDIS_PORT
    nodes = []
    for item in hosts.split(","):
        try:
            parts = urlsplit(f"//{item}")
            node = Node(parts.hostname or "", parts.port or port)
        except ValueError:
            node = Node("", port)
        if not node.host:
            raise ValueError("the counters' URL must name its hosts as host[:port], separated by commas")
        nodes.append(node)
    if topology is Topology.STANDALONE and len(nodes) > 1:
        raise ValueError("several hosts are for redis+sentinel:// and redis+cluster://")
    return tuple(nodes)


def _path(parts: SplitResult, topology: Topology) -> tuple[str, int]:
    """The service and the database."""
    steps = [unquote(step) for step in parts.path.strip("/").split("/")] if parts.path.strip("/") else []
    service = ""
    if topology is Topology.SENTINEL:
        if not steps:
            raise ValueError("a redis+sentinel:// URL must end in /service or /service/database")
        service = steps.pop(0)
    database = steps[0] if steps else "0"
    if len(steps) > 1 or not database.isdecimal():
        raise ValueError("the path of the counters' URL must end in the number of a database")
    if topology is Topology.CLUSTER and int(database):
        raise ValueError("a Redis Cluster has only database 0")
    return service, int(database)
