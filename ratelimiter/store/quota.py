"""The plan's checks of a period, as lua/check.lua counts them: read for pages, raised to what the ledger says.

The counter may be lost with its Redis, so it is only a floor that is ever set from outside, never a value.
"""

from typing import Protocol

import msgspec

LIFE_MS = 62 * 86_400_000  # as in lua/check.lua: longer than any period

# KEYS the counter; ARGV units, life in ms. RETURN what it holds afterwards.
_RAISE = """
local raw = redis.call('GET', KEYS[1])
local held, units = raw and cmsgpack.unpack(raw) or 0, tonumber(ARGV[1])
if held >= units then return held end
redis.call('SET', KEYS[1], cmsgpack.pack(units), 'PX', ARGV[2])
return units
"""

_decode = msgspec.msgpack.Decoder(int).decode


class Client(Protocol):
    """A plain sync client of the counters' Redis."""

    def eval(self, script: str, numkeys: int, *keys_and_args: str | int) -> object: ...
    def get(self, name: str) -> object: ...


def quota_raise(redis: Client, key: str, units: int) -> int:
    """Raises the counter to `units`, never lowers it. Returns what it holds afterwards. Raises RedisError."""
    return int(str(redis.eval(_RAISE, 1, key, units, LIFE_MS)))


def quota_used(redis: Client, key: str) -> int:
    """Billable checks so far, 0 when nothing is counted there. Raises RedisError."""
    raw = redis.get(key)
    return _decode(raw) if isinstance(raw, bytes) else 0
