"""What a user's id is as an address, and which addresses nobody is to block."""

import ipaddress
import re
from typing import Literal, NamedTuple

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: As CrowdSec calls what a decision is about.
Scope = Literal["Ip", "Range", "Username"]

#: A larger network than these is more than one customer's: it is an address of no user.
LEAST_BITS = {4: 32, 6: 48}
#: This machine, this link, and what is no address of anybody: never blocked.
NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/3",
            "::/64",
            "fe80::/10",
            "ff00::/8",
        ),
    )
)
#: Of one's own network (RFC 1918, 4193), or shared by a provider's customers (RFC 6598).
PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
    )
)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


class Target(NamedTuple):
    """What is blocked.

    Attributes:
        scope: what the value is.
        value: an address or a network as :mod:`ipaddress` writes it; else the user's id, an attacker's text.
        network: None where it is neither.
    """

    scope: Scope
    value: str
    network: Network | None


def target_of(user_id: str) -> Target:
    r"""What to block of a user.

    >>> target_of("2001:DB8:0::7")[:2], target_of("2001:db8:1:2::/64")[:2], target_of("eve")[:2]
    (('Ip', '2001:db8::7'), ('Range', '2001:db8:1:2::/64'), ('Username', 'eve'))
    >>> target_of("::ffff:203.0.113.7")[:2], target_of("0.0.0.0/0").scope, target_of("fe80::1%\n").scope
    (('Ip', '203.0.113.7'), 'Username', 'Username')
    """
    network = network_of(user_id)
    if network is None or network.prefixlen < LEAST_BITS[network.version]:
        return Target("Username", user_id, None)
    if network.prefixlen == network.max_prefixlen:
        return Target("Ip", str(network.network_address), network)
    return Target("Range", str(network), network)


def network_of(text: str) -> Network | None:
    """The network, or the address as one, that a text is; a mapped IPv4 address is of IPv4 (RFC 4291)."""
    # A zone (fe80::1%eth0) may hold any signs, which ipaddress hands on.
    if not re.fullmatch(r"[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?", text):
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        bits = network.prefixlen - _MAPPED.prefixlen
        return ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, bits))
    return network


def is_never(network: Network) -> bool:
    """Whether nobody is to block it."""
    return _meets(network, NEVER)


def is_private(network: Network) -> bool:
    """Whether it is of one's own network."""
    return _meets(network, PRIVATE)


def _meets(network: Network, others: tuple[Network, ...]) -> bool:
    return any(network.version == other.version and network.overlaps(other) for other in others)
