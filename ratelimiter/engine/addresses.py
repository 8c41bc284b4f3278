"""IP addresses as rules see them: IPv4-mapped and NAT64 addresses unwrapped, IPv6 counted by network."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

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


class Networks:
    """CIDR blocks, asked in as many steps as there are different prefix lengths, however many blocks."""

    __slots__ = ("_by_shift",)

    def __init__(self, blocks: tuple[str, ...]) -> None:
        """Raises ValueError."""
        self._by_shift: dict[tuple[int, int], set[int]] = {}  # (version, bits below the prefix) -> prefixes
        for block in blocks:
            network = ip_network(block)
            shift = network.max_prefixlen - network.prefixlen
            self._by_shift.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)

    def contain(self, text: str) -> bool:
        address = address_parse(text)
        number, version = int(address), address.version
        for (of_version, shift), prefixes in self._by_shift.items():
            if of_version == version and number >> shift in prefixes:
                return True
        return False
