"""Users who may go over thresholds: what they do is recorded and tells nobody."""

import re
import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import NamedTuple

import msgspec

#: Bits of an address, and a family of sockets, by whether it is of IPv6.
_BITS = {False: 32, True: 128}
_FAMILY = {False: socket.AF_INET, True: socket.AF_INET6}
#: Bits that an IPv4 address has before it where it stands as one of IPv6 (RFC 4291, ``::ffff:0:0/96``).
_MAPPED_BITS, _MAPPED = 96, 0xFFFF


class Members(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Users by what they are called.

    Attributes:
        users: ids.
        prefixes: what ids begin with.
        networks: what holds the address that an id is, ``ADDRESS/BITS``.
    """

    users: list[str] = []
    prefixes: list[str] = []
    networks: list[str] = []

    @property
    def names(self) -> Iterator[str]:
        """Each of them, as people read it: ``user eve``, ``prefix mon-``, ``network 203.0.113.0/24``."""
        yield from (f"user {user}" for user in self.users)
        yield from (f"prefix {prefix}" for prefix in self.prefixes)
        yield from (f"network {network}" for network in self.networks)


class Allowance(Members, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Users who may go over thresholds.

    Attributes:
        reason: in the words of who allowed them.
        until: windows that begin then or later are not meant, ISO-8601 UTC in whole seconds; empty: for ever.
    """

    reason: str
    until: str = ""


class _Network(NamedTuple):
    is_ipv6: bool
    bits: int
    begin: int


class Term(NamedTuple):
    """What holds from a change on: its number, and see :class:`Allowance`; without a reason, nothing does."""

    since: int
    reason: str
    until: str

    def covers(self, window_start: str) -> bool:
        """Whether a window that begins then is meant."""
        return bool(self.reason) and (not self.until or window_start < self.until)


_Terms = tuple[Term, ...]


class AllowList:
    """The allow-list as of every change of the rules topic.

    Each id, prefix and network stands in it once; allowed again, the newer
    reason and expiry hold. Where several of them are a user's, the id goes
    before the longest prefix, and that before the smallest network; one that
    has expired is passed over.

    A look takes as many steps as prefixes have lengths and networks have
    sizes, however many there are of each.

    Attributes:
        number: of the change that made it as it is; 0 where none has.
    """

    def __init__(self) -> None:
        self.number = 0
        self._users: dict[str, _Terms] = {}
        self._prefixes: dict[int, dict[str, _Terms]] = {}
        self._networks: dict[tuple[bool, int], dict[int, _Terms]] = {}

    def take(self, number: int, removed: Iterable[Members], added: Iterable[Allowance]) -> None:
        """Put the next change into force.

        Raises:
            ValueError: something of it is no network; nothing of it is in force.
        """
        steps = [(members, Term(number, "", "")) for members in removed]
        steps += [(each, Term(number, each.reason, each.until)) for each in added]
        parsed = [(members, list(map(_network, members.networks)), term) for members, term in steps]
        for members, networks, term in parsed:
            self.number = number
            terms = (term,)  # one object, however many have it
            for user in members.users:
                self._users[user] = self._users.get(user, ()) + terms
            for prefix in members.prefixes:
                of_length = self._prefixes.setdefault(len(prefix), {})
                of_length[prefix] = of_length.get(prefix, ()) + terms
            for is_ipv6, bits, begin in networks:
                of_size = self._networks.setdefault((is_ipv6, bits), {})
                of_size[begin] = of_size.get(begin, ()) + terms

    def listed(self) -> dict["Term", Members]:
        """Who is on it, also those who have expired, by since when and why; the first change first."""
        found: dict[Term, Members] = {}
        # Of copies, which are made at once: a thread may ask for this while a change comes.
        for user, terms in list(self._users.items()):
            _of(terms, found).users.append(user)
        for of_length in list(self._prefixes.values()):
            for prefix, terms in list(of_length.items()):
                _of(terms, found).prefixes.append(prefix)
        for (is_ipv6, bits), of_size in list(self._networks.items()):
            of_family = IPv6Network if is_ipv6 else IPv4Network
            for begin, terms in list(of_size.items()):
                _of(terms, found).networks.append(str(of_family((begin, bits))))
        return dict(sorted((term, members) for term, members in found.items() if term.reason))

    def reason(self, number: int, user_id: str, window_start: str) -> str:
        """Why a user was allowed by the list that a change had made; empty where it was not.

        Args:
            number: of that change; 0: nobody is allowed.
            user_id: as it stands in the clicks.
            window_start: of the window the user went over a threshold in, ISO-8601 UTC.
        """
        term = self.term(number, user_id, window_start) if number else None
        return term.reason if term else ""

    def term(self, number: int, user_id: str, window_start: str) -> Term | None:
        """What a user was allowed by, asked as :meth:`reason`; None where they were not."""
        for terms in self._terms(user_id):
            term = next((term for term in reversed(terms) if term.since <= number), None)
            if term is not None and term.covers(window_start):
                return term
        return None

    def _terms(self, user_id: str) -> Iterator[_Terms]:
        """What is told of a user, of the closest first."""
        yield self._users.get(user_id, ())
        for length in sorted(self._prefixes, reverse=True):
            yield self._prefixes[length].get(user_id[:length], ())
        if self._networks and (address := _network_of(user_id)):
            sizes = (bits for is_ipv6, bits in self._networks if is_ipv6 == address.is_ipv6)
            for bits in sorted(sizes, reverse=True):
                if bits <= address.bits:
                    begin = _masked(address, bits)
                    yield self._networks[address.is_ipv6, bits].get(begin, ())


def _masked(network: _Network, bits: int) -> int:
    """The first address of the network of so many bits that holds this one."""
    rest = _BITS[network.is_ipv6] - bits
    return network.begin >> rest << rest


def _network(text: str) -> _Network:
    """The network that is written so; one of mapped IPv4 addresses is of IPv4.

    Raises:
        ValueError: it is none.
    """
    address, _, written = text.partition("/")
    is_ipv6 = ":" in address
    bits = _number(written)
    if not 0 < bits <= _BITS[is_ipv6]:
        raise ValueError(f"{text!r} is no network")
    try:
        packed = socket.inet_pton(_FAMILY[is_ipv6], address)
    except (OSError, UnicodeError):
        raise ValueError(f"{text!r} is no network") from None
    network = _unmapped(_Network(is_ipv6, bits, int.from_bytes(packed)))
    return network._replace(begin=_masked(network, network.bits))


def _network_of(user_id: str) -> _Network | None:
    """The address, or the network that counts as one client, that a user's id is."""
    address, slash, written = user_id.partition("/")
    try:
        found = ip_address(address)
    except ValueError:
        return None
    is_ipv6 = found.version == 6
    bits = _number(written) if slash else _BITS[is_ipv6]
    return _unmapped(_Network(is_ipv6, bits, int(found))) if 0 < bits <= _BITS[is_ipv6] else None


def _number(text: str) -> int:
    """Of bits; 0 where it is none."""
    return int(text) if re.fullmatch("[0-9]{1,3}", text) else 0


def _of(terms: _Terms, found: dict[Term, Members]) -> Members:
    return found.setdefault(terms[-1], Members(users=[], prefixes=[], networks=[]))


def _unmapped(network: _Network) -> _Network:
    if network.is_ipv6 and network.bits > _MAPPED_BITS and network.begin >> 32 == _MAPPED:
        return _Network(False, network.bits - _MAPPED_BITS, network.begin & 0xFFFFFFFF)
    return network
