"""An override as somebody asks for it: another limit for some of the values that a rule counts by.

Values are written as ratelimiter.engine.overrides reads them: exact, `prefix*`, for ip an address or a block, `*` for
any. IPv6 is counted by network, so what is narrower than the rule's network stands for all of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv6Network, ip_network
from typing import Protocol

from apps.core.errors import Invalid
from apps.limits.matches import network_normalise
from apps.limits.specs import Problem, counting_problems
from ratelimiter.engine.overrides import ANY, IP, pattern_parse
from ratelimiter.engine.rules import MAX_UNITS
from ratelimiter.engine.wire.decode import MAX_DIMENSION_BYTES

MAX_NOTE = 200


@dataclass(frozen=True, slots=True)
class OverrideSpec:
    """`limit` 0 blocks, None is unlimited; `burst` 0 is the limit; `expires_at` None is never."""

    values: tuple[str, ...]
    limit: int | None
    burst: int = 0
    expires_at: datetime | None = None
    note: str = ""


class Overridable(Protocol):
    """What RuleInfo and a verified RuleSpec have in common."""

    @property
    def key(self) -> Sequence[str] | None: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def window_ms(self) -> int: ...
    @property
    def ipv6_prefix(self) -> int: ...


def override_verify(spec: OverrideSpec, rule: Overridable) -> OverrideSpec:
    """The spec with its values in the form that is stored. Raises Invalid with every field at fault.

    A value's field is `values.0` and so on, in the order of the rule's key.
    """
    key = tuple(rule.key or ())
    fields = dict(_problems(spec, rule))
    values = []
    if not key:
        fields["values"] = "This rule counts everyone together, so there are no values to have another limit."
    elif len(spec.values) != len(key):
        fields["values"] = f"This rule counts by {' and '.join(key)}: {len(key)} values, not {len(spec.values)}."
    else:
        for position, (dimension, text) in enumerate(zip(key, spec.values, strict=True)):
            try:
                values.append(_value(dimension, text, rule.ipv6_prefix))
            except ValueError as error:
                fields[f"values.{position}"] = str(error)
    if fields:
        raise Invalid("The override is not valid.", fields=fields)
    return replace(spec, values=tuple(values))


def _problems(spec: OverrideSpec, rule: Overridable) -> Iterator[Problem]:
    if len(spec.note) > MAX_NOTE:
        yield "note", f"At most {MAX_NOTE} characters."
    if not 0 <= spec.burst <= MAX_UNITS:
        yield "burst", f"Must be between 0 and {MAX_UNITS:,}."
    if not spec.limit:
        if spec.burst:
            yield "burst", "Goes with a limit only."
    elif not 0 <= spec.limit <= MAX_UNITS:
        yield "limit", f"Must be between 0 and {MAX_UNITS:,}."
    else:
        yield from counting_problems(
            algorithm=rule.algorithm, limit=spec.limit, burst=spec.burst, window_ms=rule.window_ms
        )


def _value(dimension: str, text: str, ipv6_prefix: int) -> str:
    if text == ANY:
        return text
    if dimension == IP:
        return _network(text, ipv6_prefix)
    if not text.isprintable():
        raise ValueError(f"{text!r} has characters that cannot be printed.")
    _, (wanted,) = pattern_parse((dimension,), (text,))
    if not 1 <= len(str(wanted).encode()) <= MAX_DIMENSION_BYTES:
        raise ValueError(f"A value has 1 to {MAX_DIMENSION_BYTES} bytes.")
    return text


def _network(text: str, ipv6_prefix: int) -> str:
    network = ip_network(network_normalise(text))
    if isinstance(network, IPv6Network) and network.prefixlen > ipv6_prefix:
        network = network.supernet(new_prefix=ipv6_prefix)
    is_single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if is_single else str(network)
