"""Other limits for some key values, found in as many steps as there are shapes of patterns, however many patterns.

A shape says how each dimension's value is cut before it is looked up: not at all (exact), to a prefix of so many
characters, to a network of so many bits, or away (any). The most particular pattern wins: exact before network and
prefix, longer before shorter, earlier dimensions before later ones.
"""

from collections.abc import Callable, Iterable, Sequence
from socket import AF_INET, AF_INET6, inet_pton

from ratelimiter.engine.addresses import address_parse
from ratelimiter.engine.rules import Override

MAX_SHAPES = 64
ANY = "*"
IP = "ip"

Cut = Callable[[str], object]
Shape = tuple[tuple[int, int, int], ...]  # per dimension: rank, length, IP version

_EXACT, _NETWORK, _PREFIX, _ANY = 3, 2, 1, 0


class Overrides:
    __slots__ = ("_tables",)

    def __init__(self, key: Sequence[str], overrides: Iterable[Override]) -> None:
        """Raises ValueError for a pattern that is none."""
        tables: dict[Shape, dict[tuple[object, ...], Override]] = {}
        for override in overrides:
            shape, cut = pattern_parse(key, override.values)
            tables.setdefault(shape, {})[cut] = override
        self._tables = [
            (tuple([_cutter(rank, length, version) for rank, length, version in shape]), tables[shape])
            for shape in sorted(tables, reverse=True)
        ]

    def find(self, values: Sequence[str]) -> Override | None:
        """`values` are what the counter is keyed by, in the order of the rule's key."""
        for cutters, table in self._tables:
            found = table.get(tuple([cut(value) for cut, value in zip(cutters, values, strict=True)]))
            if found is not None:
                return found
        return None


def pattern_parse(key: Sequence[str], values: Sequence[str]) -> tuple[Shape, tuple[object, ...]]:
    """The pattern's shape and what it is looked up by. Raises ValueError with a sentence."""
    if len(values) != len(key):
        raise ValueError(f"the rule has {len(key)} dimensions and the override {len(values)} values")
    shape, cut = [], []
    for dimension, text in zip(key, values, strict=True):
        kind, value = _ip_pattern(text) if dimension == IP else _text_pattern(text)
        shape.append(kind)
        cut.append(value)
    return tuple(shape), tuple(cut)


def _text_pattern(text: str) -> tuple[tuple[int, int, int], object]:
    if text == ANY:
        return (_ANY, 0, 0), None
    if text.endswith("\\*"):
        return (_EXACT, 0, 0), text[:-2] + "*"
    if text.endswith("*"):
        return (_PREFIX, len(text) - 1, 0), text[:-1]
    return (_EXACT, 0, 0), text


def _ip_pattern(text: str) -> tuple[tuple[int, int, int], object]:
    if text == ANY:
        return (_ANY, 0, 0), None
    address, _, bits = text.partition("/")
    version, raw = (6, inet_pton(AF_INET6, address)) if ":" in address else (4, inet_pton(AF_INET, address))
    length = int(bits) if bits else 8 * len(raw)
    return (_NETWORK, length, version), int.from_bytes(raw) >> (8 * len(raw) - length)


def _cutter(rank: int, length: int, version: int) -> Cut:
    if rank == _NETWORK:
        return lambda value: _network_of(value, length, version)
    if rank == _PREFIX:
        return lambda value: value[:length]
    return (lambda value: value) if rank == _EXACT else (lambda _: None)


def _network_of(value: str, length: int, version: int) -> int | None:
    """`value` is an address, or the network that IPv6 addresses are counted by; that lies in any wider one."""
    text, _, bits = value.partition("/")
    address = address_parse(text)
    if address.version != version or (bits and int(bits) < length):
        return None
    return int(address) >> (address.max_prefixlen - length)
