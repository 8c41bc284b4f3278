"""The door's environment variables; see ratelimiter.environ for how they are read."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ratelimiter.environ import EnvironmentInvalid, environ_read
from ratelimiter.snapshot.keyring import Pepper
from ratelimiter.store.address import Address, address_parse, tls_context


class DoorSettings(msgspec.Struct, frozen=True):
    counters_url: Annotated[str, Meta(description="where counters and snapshots live; see docs/operating.md")]
    key_peppers: Annotated[str, Meta(description="version:hex, comma-separated; what key digests are made with")]
    spool_dir: Annotated[str, Meta(description="folder of the event spool, local and durable")] = "var/spool"
    spool_max_bytes: Annotated[int, Meta(ge=1_048_576, description="the oldest events go past this size")] = 2**30
    door_bind: Annotated[str, Meta(description="host:port that checks are answered on")] = "127.0.0.1:8001"
    door_workers: Annotated[int, Meta(ge=1, le=64, description="processes that answer checks")] = 2
    door_max_connections: Annotated[int, Meta(ge=1, description="per process; more are turned away")] = 10_000
    door_head_timeout_s: Annotated[int, Meta(ge=1, description="from a request's first byte to its last header")] = 10
    door_body_timeout_s: Annotated[int, Meta(ge=1, description="from the last header to the body's last byte")] = 10
    door_idle_timeout_s: Annotated[int, Meta(ge=1, description="a connection without requests is closed after")] = 75
    door_trusted_hops: Annotated[
        int, Meta(ge=1, le=16, description="proxies in front of /v1/authz whose X-Forwarded-For entries are believed")
    ] = 1
    door_drain_s: Annotated[int, Meta(ge=1, description="the longest that a stopping process finishes its work")] = 20
    metrics_host: Annotated[str, Meta(description="where /metrics is served")] = "127.0.0.1"
    metrics_port: Annotated[int, Meta(ge=0, le=65_535, description="0 picks a free one")] = 8002

    def address(self) -> Address:
        try:
            address = address_parse(self.counters_url)
            tls_context(address.access)
        except ValueError as error:
            raise EnvironmentInvalid(f"COUNTERS_URL: {error}") from None
        return address

    def peppers(self) -> list[Pepper]:
        """Newest first."""
        try:
            found = [_pepper(part) for part in self.key_peppers.split(",")]
        except ValueError:
            raise EnvironmentInvalid("KEY_PEPPERS: must look like 1:hexdigits,2:hexdigits") from None
        return sorted(found, reverse=True)

    def spool_folder(self) -> Path:
        return Path(self.spool_dir)


def settings_read() -> DoorSettings:
    """Raises EnvironmentInvalid: nothing that a worker would stumble over is left for the worker."""
    settings = environ_read(DoorSettings, os.environ)
    settings.address()
    settings.peppers()
    return settings


def _pepper(text: str) -> Pepper:
    version, _, secret = text.strip().partition(":")
    if not secret:
        raise ValueError(text)
    return Pepper(int(version), bytes.fromhex(secret))
