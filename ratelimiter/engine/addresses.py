"""IP addresses as rules see them: IPv4-mapped and NAT64 addresses unwrapped, IPv6 counted by network."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_NAT64 = IPv6Network("64:ff9b::/96")


@lru_cache(maxsize=65_536)
def address_parse(text: str) -> IPv4Address | IPv6Address:
    """Raises ValueError. Zone ids are refused: they mean something on one machine only."""
    if "%" in text:
        raise ValueError("an address with a zone")
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


@lru_cache(maxsize=65_536)
def address_key(text: str, ipv6_prefix: int) -> str:
    """The value that an `ip` dimension counts by, for an address that parses."""
    address = address_parse(text)
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((address, ipv6_prefix), strict=False))


def networks_contain(networks: tuple[str, ...], text: str) -> bool:
    address = address_parse(text)
    return any(address in _network(network) for network in networks)


@lru_cache(maxsize=4_096)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)
