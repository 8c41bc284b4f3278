"""A rule as the data plane sees it: plain frozen values, compiled by the control plane, carried in snapshots.

Sizes: limit and burst 1…2^31-1; window_ms 1 000…34 560 000 000 (1 s to 400 d), whole seconds; burst at most
MAX_BURST_FACTOR times the limit, and times the window in ticks at most 2^53 (algorithms/token_bucket.py). The control
plane sees to that before anything is stored; the data plane trusts what it finds in a snapshot.
"""

from enum import StrEnum

import msgspec

MAX_UNITS = 2**31 - 1  # limits, bursts and costs; keeps every product in Lua below 2^53
MAX_BURST_FACTOR = 1_000  # a bucket fills within so many windows; keeps every wait far below 2^53 ms
MIN_WINDOW_MS = 1_000
MAX_WINDOW_MS = 400 * 86_400_000
MAX_RULES_PER_CHECK = 10


class RuleType(StrEnum):
    GLOBAL = "global"
    IP = "ip"
    ROUTE = "route"
    USER = "user"
    CUSTOM = "custom"


class Algorithm(StrEnum):
    SLIDING_WINDOW = "sliding_window"
    FIXED_WINDOW = "fixed_window"
    TOKEN_BUCKET = "token_bucket"  # noqa: S105 - a name


class RuleMode(StrEnum):
    ENFORCE = "enforce"
    SHADOW = "shadow"


class FailurePolicy(StrEnum):
    """What a rule answers while the store cannot: count in this process, let pass, or refuse."""

    LOCAL = "local"
    OPEN = "open"
    CLOSED = "closed"


class AttributeCondition(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Exactly one of the three is set."""

    equals: str | None = None
    one_of: tuple[str, ...] | None = msgspec.field(default=None, name="in")
    prefix: str | None = None


class Match(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Conditions, all of which must hold; inside one list any entry suffices. Empty: every check matches.

    routes: "METHOD /path" or "/path"; "*" is one path segment (or any method), a closing "/**" is any rest.
    ips: CIDR blocks. users: exact ids. attributes: by attribute name.
    """

    routes: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    attributes: dict[str, AttributeCondition] = {}


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """`key` names the dimensions that get a counter each (ip, route, user, attributes.<name>); () is one for all."""

    id: int
    name: str
    type: RuleType
    limit: int
    window_ms: int
    key: tuple[str, ...] = ()
    namespace: str = "default"
    match: Match = Match()
    algorithm: Algorithm = Algorithm.SLIDING_WINDOW
    burst: int = 0  # token_bucket only; 0 means: as large as the limit
    mode: RuleMode = RuleMode.ENFORCE
    on_failure: FailurePolicy = FailurePolicy.LOCAL
    priority: int = 0
    ipv6_prefix: int = 64  # IPv6 addresses are counted by their network of this length
