"""redis-py's clients for those who may wait: one for each kind of address, none of which tries anything twice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel

from ratelimiter.store.address import Access, Address, Topology, address_parse


def counters_client(url: str, *, timeout_ms: int) -> Redis:
    """Safe for several threads. Connects when first used; all that goes wrong is a RedisError. Raises ValueError."""
    address = address_parse(url)
    bounds = {"socket_timeout": timeout_ms / 1_000, "socket_connect_timeout": timeout_ms / 1_000, "retry": never()}
    options = _options(address.access) | bounds
    if address.topology is Topology.SENTINEL:
        sentinel = Sentinel(address.nodes, sentinel_kwargs=_options(address.sentinel_access) | bounds, **options)
        return cast("Redis", sentinel.master_for(address.service))
    if address.topology is Topology.CLUSTER:
        return cast("Redis", ClusterClient(lambda: _cluster(address, options)))
    (node,) = address.nodes
    return Redis(host=node.host, port=node.port, **options)


def never() -> Retry:
    """redis-py repeats a timed-out command ten times by default, which would count a check again."""
    return Retry(NoBackoff(), 0)


class ClusterClient:
    """RedisCluster reads the map when it is made and has failures that are no RedisError. This one is made when it is
    first used, and has not.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = Lock()
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        with self._lock, _as_redis_errors():
            if self._made is None:
                self._made = self._make()
        found = getattr(self._made, name)
        return _guarded(found) if callable(found) else found


def _cluster(address: Address, options: dict[str, Any]) -> RedisCluster:
    nodes = [ClusterNode(node.host, node.port) for node in address.nodes]
    return RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options)


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*arguments: Any, **options: Any) -> Any:
        with _as_redis_errors():
            found = method(*arguments, **options)
        return ClusterClient(lambda: found) if isinstance(found, ClusterPipeline) else found

    return guarded


@contextmanager
def _as_redis_errors() -> Iterator[None]:
    try:
        yield
    except RedisClusterException as error:
        raise RedisConnectionError(str(error)) from error


def _options(access: Access) -> dict[str, Any]:
    options: dict[str, Any] = {"username": access.username or None, "password": access.password or None}
    if access.database:
        options["db"] = access.database
    if access.tls:
        options |= {"ssl": True, "ssl_ca_certs": access.authorities or None}
    return options
