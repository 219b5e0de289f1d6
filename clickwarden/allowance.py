"""How much an address may still do: so much at once, and so much more a second (a token bucket)."""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

#: Addresses remembered; the one that spent longest ago is forgotten first.
ADDRESSES = 10_000


class Allowance:
    """What is left to each address.

    Args:
        burst: what an address may spend at once.
        per_second: how much of it comes back.
        now: a steady clock, seconds.
    """

    def __init__(self, burst: float, per_second: float, now: Callable[[], float] = monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._now = now
        # What an address had left, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def left(self, address: str) -> float:
        """What the address may spend now; negative where it has spent more at once than there was."""
        left, then = self._left.get(address, (self._burst, -math.inf))
        return min(self._burst, left + self._per_second * (self._now() - then))

    def spend(self, address: str, amount: float = 1.0) -> None:
        """Take so much from an address, also where that is more than is left."""
        self._left[address] = self.left(address) - amount, self._now()
        self._left.move_to_end(address)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)

    def wait(self, address: str) -> int:
        """Whole seconds after which the address may spend 1, at least one."""
        return max(1, math.ceil((1 - self.left(address)) / self._per_second))


def network(address: str | None) -> str:
    """What one customer of a network has: an IPv4 address, or a /64 of IPv6.

    >>> network("192.0.2.7"), network("2001:db8::7"), network("fe80::1%eth0"), network(None)
    ('192.0.2.7', '2001:db8::/64', 'fe80::/64', '')
    >>> network("2001:db8::/56"), network("crawler.example.com")
    ('2001:db8::/64', 'crawler.example.com')
    """
    if address is None or ":" not in address:
        return address or ""
    bare = address.partition("%")[0].partition("/")[0]
    return str(ipaddress.ip_network((bare, 64), strict=False))
