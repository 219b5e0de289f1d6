"""Guesses at the token: how many there were, and when there are too many."""

import hmac
import ipaddress
import logging
import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from time import monotonic

log = logging.getLogger(__name__)

#: Wrong tokens of one address that are looked at, and how many more a second.
BURST = 20
PER_SECOND = 1.0
#: Addresses remembered; the one that guessed longest ago is forgotten first.
ADDRESSES = 10_000
#: The log tells of guesses so often, seconds.
TELL_SECONDS = 3600.0


class TooManyGuesses(Exception):
    """The address has sent too many wrong tokens: what it sends now is not looked at."""


class Guesses:
    """Says whether a token is the right one, but not to who tries many.

    An address that guesses is refused whatever it sends, the right token too,
    or the answer would tell it which it is.

    Args:
        token: the right one.
        now: a steady clock, seconds.

    Attributes:
        counts: tokens that were ``wrong``, and those ``refused`` without a look.
    """

    def __init__(self, token: str, now: Callable[[], float] = monotonic) -> None:
        self.counts = Counter({"wrong": 0, "refused": 0})
        self._token = encoded(token)
        self._now = now
        # Of an address, how many of its guesses would be looked at, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._told = -math.inf

    def is_right(self, given: str, address: str | None) -> bool:
        """Whether this is the token, found out in a time that does not tell how much of it is.

        Raises:
            TooManyGuesses: by the address.
        """
        network = _network(address)
        left = self._left_of(network)
        if left < 1:
            self.counts["refused"] += 1
            self._tell(network)
            raise TooManyGuesses
        if hmac.compare_digest(encoded(given), self._token):
            return True
        self.counts["wrong"] += 1
        self._left[network] = left - 1, self._now()
        self._left.move_to_end(network)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)
        return False

    def _left_of(self, network: str) -> float:
        left, then = self._left.get(network, (BURST, -math.inf))
        return min(BURST, left + PER_SECOND * (self._now() - then))

    def _tell(self, network: str) -> None:
        if self._now() - self._told >= TELL_SECONDS:
            self._told = self._now()
            log.warning(
                "Somebody guesses the page's token: %s wrong ones so far, the last from %s. From an address, "
                "%g a second are looked at; /metrics counts all",
                self.counts["wrong"],
                network,
                PER_SECOND,
            )


def encoded(text: str) -> bytes:
    """The text as aiohttp reads headers, whatever bytes they hold."""
    return text.encode(errors="surrogateescape")


def _network(address: str | None) -> str:
    """What one customer of a network has: an IPv4 address, or a /64 of IPv6.

    >>> _network("192.0.2.7"), _network("2001:db8::7"), _network("fe80::1%eth0"), _network(None)
    ('192.0.2.7', '2001:db8::/64', 'fe80::/64', '')
    """
    if address is None or ":" not in address:
        return address or ""
    return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
