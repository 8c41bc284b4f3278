"""A rule's conditions as people write them, turned into the one form that is stored.

Written: `route`/`routes`, `ip`/`ips`, `user`/`users`, each one string or a list of them, and `attributes`: a mapping of
names to a string, a list of strings, or one of {equals: …}, {in: […]}, {prefix: …}.
Stored: `routes`, `ips`, `users`, `attributes`, as ratelimiter.engine.rules.Match has them; conditions that are not made
are left out.
"""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from typing import Any

from ratelimiter.engine.addresses import address_parse
from ratelimiter.engine.conditions import route_pattern
from ratelimiter.engine.wire.decode import MAX_ATTRIBUTE_NAME_BYTES, MAX_ATTRIBUTES, MAX_DIMENSION_BYTES

MAX_ALTERNATIVES = 100
MAX_LISTED = 1_000  # of a rule that allows or denies: its conditions are the list

_PLURALS = {"route": "routes", "ip": "ips", "user": "users"}
_PARTS = (*_PLURALS.values(), "attributes")
_MAPPED_PREFIX = 96  # of the two networks in which IPv6 holds IPv4 addresses: mapped, and NAT64


class MatchInvalid(ValueError):
    """`fields` maps `match.routes` and the like to a sentence."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("the conditions are not valid")
        self.fields = dict(fields)


def match_normalise(written: Any, *, most: int = MAX_ALTERNATIVES) -> dict[str, Any]:
    """`most` alternatives a condition. Raises MatchInvalid with every part at fault."""
    fields: dict[str, str] = {}
    stored: dict[str, Any] = {}
    if not isinstance(written, Mapping):
        raise MatchInvalid({"match": "Must be a mapping of conditions."})
    for name, value in written.items():
        part = _PLURALS.get(name, name)
        field = f"match.{name}"
        if part not in _PARTS:
            fields[field] = f"There is no such condition; there are: {', '.join((*_PLURALS, 'attributes'))}."
        elif part in stored:
            fields[field] = f"Write either {name} or its plural, not both."
        else:
            try:
                cleaned = _attributes(value, most) if part == "attributes" else _texts(value, _CLEANERS[part], most)
                stored[part] = cleaned
            except ValueError as error:
                fields[field] = str(error)
    if fields:
        raise MatchInvalid(fields)
    return {part: stored[part] for part in _PARTS if stored.get(part)}


def _texts(value: Any, clean: Callable[[str], str], most: int) -> list[str]:
    """One string or a list of them, cleaned, each once, in order."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        raise ValueError("Must be a string or a list of strings.")  # noqa: TRY004 - reported to the person who wrote it
    if len(given) > most:
        raise ValueError(f"At most {most:,} alternatives.")
    return list(dict.fromkeys(clean(_text(item)) for item in given))


def _text(item: Any, most: int = MAX_DIMENSION_BYTES) -> str:
    if not isinstance(item, str):
        raise ValueError(f"{item!r} is not a string; put it in quotes.")  # noqa: TRY004
    if not item or len(item.encode(errors="replace")) > most:
        raise ValueError(f"A value has 1 to {most} bytes.")
    if not item.isprintable():
        raise ValueError(f"{item!r} has characters that cannot be printed.")
    return item


def _route(pattern: str) -> str:
    try:
        route_pattern(pattern)
    except ValueError as error:
        sentence = str(error)
        raise ValueError(sentence[0].upper() + sentence[1:] + ".") from None
    return pattern


def network_normalise(text: str) -> str:
    """The network as Python spells it; host bits are dropped, IPv4 inside IPv6 is unwrapped as in addresses.

    Raises ValueError with a sentence.
    """
    try:
        network = ip_network("" if "%" in text else text, strict=False)  # a zone means something on one machine only
    except ValueError:
        raise ValueError(f"“{text}” is no IP address or CIDR block such as 203.0.113.0/24.") from None
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_PREFIX:
        inner = address_parse(str(network.network_address))
        if isinstance(inner, IPv4Address):
            return str(IPv4Network((inner, network.prefixlen - _MAPPED_PREFIX)))
    return str(network)


def _attributes(value: Any, most: int) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise ValueError("Must be a mapping of attribute names to conditions.")  # noqa: TRY004
    if len(value) > MAX_ATTRIBUTES:
        raise ValueError(f"At most {MAX_ATTRIBUTES} attributes.")
    return dict(_attribute_conditions(value, most))


def _attribute_conditions(value: Mapping[Any, Any], most: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, condition in value.items():
        try:
            yield _text(name, MAX_ATTRIBUTE_NAME_BYTES), _condition(condition, most)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def _condition(value: Any, most: int) -> dict[str, Any]:
    """{"equals": …}, {"in": […]} or {"prefix": …}."""
    if isinstance(value, str):
        return {"equals": _text(value)}
    if isinstance(value, list | tuple):
        return {"in": _some(value, most)}
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError("Must be a string, a list, or one of equals, in and prefix.")
    ((operator, operand),) = value.items()
    if operator == "in":
        return {"in": _some(operand, most)}
    if operator in ("equals", "prefix"):
        return {operator: _text(operand)}
    raise ValueError(f"“{operator}” is not a comparison; there are equals, in and prefix.")


def _some(value: Any, most: int) -> list[str]:
    found = _texts(value, str, most)
    if not found:
        raise ValueError("The list is empty, so nothing would match.")
    return found


_CLEANERS: dict[str, Callable[[str], str]] = {"routes": _route, "ips": network_normalise, "users": str}
