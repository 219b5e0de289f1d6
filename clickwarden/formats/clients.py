"""Who sent a request: what logs write of it, and what may be believed of that."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from clickwarden.errors import SettingsError

#: Clients that are remembered; beyond that all are forgotten, and learned again.
REMEMBERED = 100_000
#: What nginx calls a client that came through a socket of its own machine.
SOCKET = "unix:"

#: Addresses of one's own machines (RFC 1918, 6598, 4193).
INSIDE = [
    ip_network(own) for own in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]

_PORT = re.compile(r":\d{1,5}$")
_HOST = re.compile(r"(?=.{1,253}$)(?:localhost|(?:[\w-]{1,63}\.)+(?!\d+$)[\w-]{1,63})\.?", re.ASCII)


class Clients:
    """Finds the client's address, or host name, from who was connected and what X-Forwarded-For says.

    Empty where neither is one. A port, brackets, a zone and a leading
    ``::ffff:`` are no part of an address. Whoever is connected is the client,
    as long as it is none of the trusted proxies: then it is the last in
    X-Forwarded-For that is not one either. What stands before that, the client
    may have written. A log that has the header in place of the client is read
    by the same rule, from the end.

    Args:
        trusted: addresses and networks of one's own proxies; ``unix:`` for a socket.
        ipv6_prefix: bits of an IPv6 address that are one client.

    Raises:
        SettingsError: one is neither an address nor a network.

    >>> clients = Clients(["10.0.0.0/8"])
    >>> clients.of(["[2001:db8::7]:443", "shop"])
    ['2001:db8::7', '']
    >>> clients.of(["10.0.0.5", "198.51.100.1"], ["192.0.2.66, 203.0.113.7, 10.0.0.9", "192.0.2.66"])
    ['203.0.113.7', '198.51.100.1']
    """

    def __init__(self, trusted: Iterable[str] = (), ipv6_prefix: int = 128) -> None:
        self._trusted = list(trusted)
        self._ipv6_prefix = ipv6_prefix
        self._networks = [network(given) for given in self._trusted if given != SOCKET]
        self._peers = _Remembered(lambda peer: self._client(peer, ""))
        self._chains = _Remembered(lambda chain: self._client(*chain))

    @property
    def trusting(self) -> bool:
        """Whether there are proxies to believe."""
        return bool(self._trusted)

    def of(self, peers: Sequence[str], forwarded: Sequence[str] | None = None) -> list[str]:
        """The client of each request, from who was connected, and the header where the log has it."""
        if forwarded is None or not self._trusted:
            return list(map(self._peers.__getitem__, peers))
        return list(map(self._chains.__getitem__, zip(peers, forwarded, strict=True)))

    def _client(self, peer: str, forwarded: str) -> str:
        hops = [hop.strip() for hop in peer.split(",")] if peer else []
        if forwarded:
            hops = [hop.replace("%20", " ").strip(" +") for hop in forwarded.split(",")] + hops
        client = ""
        for hop in reversed(hops):
            if hop == SOCKET and SOCKET in self._trusted:
                continue
            found = address(hop)
            if found is None:  # "unknown", or something made up: who is known is the proxy before
                return client or host(hop)
            client = self._name(found)
            if not any(found in trusted for trusted in self._networks):
                break
        return client

    def _name(self, found: IPv4Address | IPv6Address) -> str:
        if found.version == 6 and self._ipv6_prefix < 128:
            return str(IPv6Network((found, self._ipv6_prefix), strict=False))
        return str(found)


class _Remembered(dict[Any, str]):
    """What was found out before."""

    def __init__(self, find: Callable[[Any], str]) -> None:
        self._find = find

    def __missing__(self, key: Any) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        found = self[key] = self._find(key)
        return found


def network(text: str) -> IPv4Network | IPv6Network:
    """A network, or an address as one.

    Raises:
        SettingsError: it is neither.
    """
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise SettingsError(f"{text!r} is neither an address nor a network: 10.0.0.5 or 10.0.0.0/8") from None


def address(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a log writes so; None where it is none.

    >>> address("203.0.113.7:50000"), address("::ffff:203.0.113.7"), address("fe80::1%eth0")
    (IPv4Address('203.0.113.7'), IPv4Address('203.0.113.7'), IPv6Address('fe80::1'))
    """
    bare = text.strip("\"'")
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") in (1, 8) and "::" not in bare:  # a port behind an address written in full
        bare = _PORT.sub("", bare)
    try:
        found = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(maxsize=REMEMBERED)
def is_inside(user: str) -> bool:
    """Whether a client is an address of one's own machines, or a network of such.

    >>> is_inside("10.0.0.5"), is_inside("203.0.113.7"), is_inside("fd00::/64")
    (True, False, True)
    """
    found = address(user.partition("/")[0])
    return found is not None and any(found in own for own in INSIDE)


def host(text: str) -> str:
    """The host name, in small letters; empty where it is none, as a single word is.

    >>> host("Crawler-7.example.com:4711"), host("web-1"), host("1.2.3")
    ('crawler-7.example.com', '', '')
    """
    bare = _PORT.sub("", text)
    return bare.rstrip(".").lower() if _HOST.fullmatch(bare) else ""
