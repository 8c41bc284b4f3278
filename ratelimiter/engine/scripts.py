"""The one Lua script, put together from its parts, with its SHA-1 for EVALSHA."""

from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

from ratelimiter.engine.algorithms.table import LUA_FILES

_PLACE = "--[[ALGORITHMS]]"


class Script(NamedTuple):
    body: bytes
    sha: bytes


@cache
def check_script() -> Script:
    folder = files("ratelimiter.engine") / "lua"
    parts = [(folder / f"{name}.lua").read_text() for name in LUA_FILES]
    body = (folder / "check.lua").read_text().replace(_PLACE, "\n".join(parts)).encode()
    return Script(body, sha1(body, usedforsecurity=False).hexdigest().encode())
