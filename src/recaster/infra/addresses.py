"""Which IP addresses may be contacted: public ones, and those that the operator allows. Pure functions, no network.

`ipaddress` alone does not decide it: its `is_global` is true for NAT64 and 6to4 forms of loopback, for multicast and for
site-local addresses, and its `is_private` is false for carrier-grade NAT. So embedded IPv4 addresses are taken out first
and then compared with the tables here (IANA special-purpose registries, RFC 6890 and its successors).

Whoever connects checks the very address it connects to: a name may resolve differently a moment later.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REFUSED_V4: Final = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "carrier-grade NAT",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "6to4 relay",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
"""IPv4 networks that are not the public internet, with the reason."""

REFUSED_V6: Final = {
    "2001::/23": "protocol assignments, Teredo included",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "3fff::/20": "documentation",
}
"""Networks inside the global unicast range `2000::/3` that are not the public internet; all outside it is refused."""

_V4: Final = tuple((IPv4Network(network), why) for network, why in REFUSED_V4.items())
_V6: Final = tuple((IPv6Network(network), why) for network, why in REFUSED_V6.items())
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")


def reached(address: Address) -> Address:
    """Return the address that is reached in the end: the IPv4 address inside an IPv4-mapped or a NAT64 one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def refusal(address: Address, allowed: Iterable[Network] = ()) -> str | None:
    """Say why an address must not be contacted (`"loopback"`), or return None where it may.

    `allowed` are networks that the operator opens in addition, in either form of an embedded address.
    """
    final = reached(address)
    if is_allowed(address, allowed):
        return None
    if isinstance(final, IPv4Address):
        return next((why for network, why in _V4 if final in network), None)
    if final not in _GLOBAL_UNICAST:
        return "outside the global unicast range"
    return next((why for network, why in _V6 if final in network), None)


def is_allowed(address: Address, allowed: Iterable[Network]) -> bool:
    """Tell whether one of the networks that the operator opened holds the address, or the one inside it."""
    forms = {address, reached(address)}
    return any(form.version == network.version and form in network for network in allowed for form in forms)


def parse_address(text: str) -> Address:
    """Read an address as the resolver gives it; a zone (`fe80::1%eth0`) is cut off.

    Raises:
        ValueError: it is none.
    """
    return ip_address(text.partition("%")[0])


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read a list of networks, separated by commas or spaces: `127.0.0.0/8, ::1/128`.

    Raises:
        ValueError: one of them is no network.
    """
    return tuple(ip_network(part) for part in text.replace(",", " ").split())
