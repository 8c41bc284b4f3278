"""A rule as the data plane sees it: plain frozen values, compiled by the control plane, carried in snapshots.

Sizes: limit and burst 1…2^31-1; window_ms 1 000…34 560 000 000 (1 s to 400 d), whole seconds; burst at most
MAX_BURST_FACTOR times the limit, and times the window in ticks at most 2^53 (algorithms/token_bucket.py); the limit of
sliding_log and concurrency at most MAX_LOGGED. The control plane sees to that before anything is stored; the data plane
trusts what it finds in a snapshot.
"""

from enum import StrEnum

import msgspec

MAX_UNITS = 2**31 - 1  # limits, bursts and costs; keeps every product in Lua below 2^53
MAX_BUCKET_TICKS = 2**53  # burst times window, so that the script's doubles count exactly
MAX_BURST_FACTOR = 1_000  # a bucket fills within so many windows; keeps every wait far below 2^53 ms
MIN_WINDOW_MS = 1_000
MAX_WINDOW_MS = 400 * 86_400_000
MAX_RULES_PER_CHECK = 10
MAX_LOGGED = 1_000  # sliding_log and concurrency keep what they count one by one


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
    SLIDING_LOG = "sliding_log"
    CONCURRENCY = "concurrency"  # the window is the time after which a slot frees itself


class Action(StrEnum):
    """What a matching rule does: count against its limit, or, without counting, let everything pass or nothing."""

    LIMIT = "limit"
    ALLOW = "allow"
    DENY = "deny"


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


class CalendarUnit(StrEnum):
    DAY = "day"
    MONTH = "month"


class Calendar(msgspec.Struct, frozen=True, omit_defaults=True):
    """Windows that end at midnight in a time zone: every day, or each month on the day `anchor` (1…31).

    A month that is too short for its anchor begins on its last day. `zone` is a name of the IANA database.
    """

    unit: CalendarUnit
    zone: str = "UTC"
    anchor: int = 1


class Escalation(msgspec.Struct, frozen=True):
    """After `breaches` denials within `within_ms`, refuse everything for `block_ms`.

    Whoever is blocked again within as long a time after the block's end is blocked for twice as long as before, up to
    MAX_DOUBLINGS times.
    """

    breaches: int
    within_ms: int
    block_ms: int


class Override(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Another limit for some key values; counters are shared with the rule's own.

    `values` has one pattern per dimension of the rule's key, in its order: an exact value, a `prefix*`, for ip a CIDR
    block, or `*` for any; a backslash before a closing star makes it part of the value. `limit` 0 blocks, UNLIMITED
    lets pass without counting. `burst` as in a rule. `expires_at_ms` is Unix ms, 0 = never.
    """

    values: tuple[str, ...]
    limit: int
    burst: int = 0
    expires_at_ms: int = 0


UNLIMITED = -1  # as an override's limit


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """`key` names the dimensions that get a counter each (ip, route, user, attributes.<name>); () is one for all.

    A rule that allows or denies has no key and counts nothing; its limit is 0. `calendar` goes with fixed_window, whose
    window_ms is then the unit's usual length. `lease` (sliding_window, fixed_window and token_bucket) is how many units
    a door may take ahead for one key, 0 = none.
    """

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
    action: Action = Action.LIMIT
    calendar: Calendar | None = None
    escalation: Escalation | None = None
    lease: int = 0
