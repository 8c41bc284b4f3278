"""ANY /v1/authz: the check as gateways ask it, in headers instead of a body.

    ip      X-Forwarded-For, the entry that the outermost trusted proxy wrote (DOOR_TRUSTED_HOPS counts from the right)
    route   X-Forwarded-Method and the path of X-Forwarded-Uri; or the method and the rest of the path of the request
    user    X-RL-User

`?namespace=` and `?cost=` mean what they mean in a check. `?deny=403` is for nginx's auth_request, which takes a 429
for an error. What is no answer about the end user, because a quota is used up or nothing can be judged, lets pass: 200
with `RL-Decision: none`. Mistakes of the gateway's own (key, headers) stay errors.
"""

from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from ratelimiter.door.checks import Checks
from ratelimiter.door.exchange import Exchange
from ratelimiter.door.routes import AUTHZ, path_of
from ratelimiter.engine.decision import Check
from ratelimiter.engine.errors import InvalidRequest
from ratelimiter.engine.interpret import Outcome
from ratelimiter.engine.wire.decode import check_decode
from ratelimiter.engine.wire.render import JSON, NO_DECISION, Answer
from ratelimiter.snapshot.callers import Caller

DENIED, FORBIDDEN = 429, 403
_PASSING = frozenset({402, 503})
_PARAMETERS = ("namespace", "cost", "deny")


class Gateways:
    def __init__(self, checks: Checks, *, trusted_hops: int) -> None:
        self._checks = checks
        self._trusted_hops = trusted_hops

    def handle(self, exchange: Exchange) -> None:
        if exchange.api_key is not None:
            exchange.authorization = None  # the end user's own, passed on by the gateway
        self._checks.admit(exchange, self._judge)

    def _judge(self, exchange: Exchange, caller: Caller) -> None:
        parameters = _parameters(exchange.path)
        # Through the decoder, so that the limits of a check hold and errors name the field.
        check = check_decode(msgspec.json.encode(self._members(exchange, parameters)))
        denial = FORBIDDEN if parameters.get("deny") == "403" else DENIED
        decided = partial(self._decided, exchange, caller, check, denial)
        self._checks.submit(caller, check, decided, exchange.started_ns)

    def _decided(self, exchange: Exchange, caller: Caller, check: Check, denial: int, outcome: Outcome) -> None:
        def make() -> Answer:
            answer = self._checks.decided(caller, check, outcome, started_ns=exchange.started_ns)
            if answer.status == DENIED:
                return answer._replace(status=denial)
            return Answer(200, JSON, NO_DECISION, answer.body) if answer.status in _PASSING else answer

        self._checks.answer_made(exchange, make)

    def _members(self, exchange: Exchange, parameters: dict[str, str]) -> dict[str, Any]:
        said = exchange.gateway or {}
        members: dict[str, Any] = {"route": _route(exchange, said)}
        hops = [hop.strip() for hop in said.get(b"x-forwarded-for", b"").split(b",") if hop.strip()]
        if hops:
            members["ip"] = _text(hops[-min(self._trusted_hops, len(hops))])
        if b"x-rl-user" in said:
            members["user"] = _text(said[b"x-rl-user"])
        if "namespace" in parameters:
            members["namespace"] = parameters["namespace"]
        if "cost" in parameters:
            cost = parameters["cost"]
            members["cost"] = int(cost) if cost.isdecimal() and len(cost) < 12 else cost
        return members


def _route(exchange: Exchange, said: dict[bytes, bytes]) -> str:
    method = said.get(b"x-forwarded-method", exchange.method)
    path = path_of(said[b"x-forwarded-uri"]) if b"x-forwarded-uri" in said else path_of(exchange.path)[len(AUTHZ) :]
    return f"{_text(method)} {_text(path) or '/'}"


def _parameters(target: bytes) -> dict[str, str]:
    found = dict(parse_qsl(_text(target.partition(b"?")[2]), keep_blank_values=True))
    for name in found:
        if name not in _PARAMETERS:
            raise InvalidRequest(f"there is no parameter {name!r}; there are: {', '.join(_PARAMETERS)}")
    if found.get("deny", "429") not in ("403", "429"):
        raise InvalidRequest("deny must be 403 or 429")
    return found


def _text(raw: bytes) -> str:
    """Raises InvalidRequest."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("a header or the query is not UTF-8") from None
