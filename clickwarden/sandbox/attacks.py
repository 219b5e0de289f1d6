"""Attacks with a known truth: who, from when to when, doing what.

Each is drawn anew from random numbers within what its docstring says. Users are numbered from 0 in each.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from clickwarden.sandbox.shoppers import PRODUCTS
from clickwarden.sandbox.traffic import ADD_TO_CART, LOGIN_FAILED, VIEW, Traffic

MINUTE = 60
TEN_MINUTES = 600
#: No attack takes longer from the moment it is told to begin, seconds.
LONGEST = 1900
#: What shipped rules allow a user: clicks in a minute, views in ten, logins in a minute.
CLICKS, VIEWS, LOGINS = 50, 200, 15
#: An attacker's click is on its way for so long at least, and at most, seconds.
WAY = (0.02, 0.2)


class Attack(ABC):
    """One kind of attack; its docstring says what is done.

    Attributes:
        owasp: OWASP automated threat that it is closest to.
        users: how many take part.
        cure: what would see it, where nothing that is shipped does.
    """

    owasp: ClassVar[str]
    users: ClassVar[int] = 1
    cure: ClassVar[str]

    @property
    def name(self) -> str:
        """The class's name, in words."""
        return re.sub(r"(?<!^)([A-Z])", r" \1", type(self).__name__).lower()

    @property
    def description(self) -> str:
        """What is done, in one sentence."""
        return " ".join((type(self).__doc__ or "").split())

    @abstractmethod
    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """The clicks, in the order in which Kafka receives them, none of them sent before ``begin``."""


def _sent(
    random: np.random.Generator,
    times: NDArray[np.float64],
    event: int = VIEW,
    users: NDArray[np.int64] | int = 0,
    ahead: NDArray[np.float64] | float = 0.0,
) -> Traffic:
    """Clicks sent at ``times``, by clocks that are so much ahead."""
    count = len(times)
    received = times + random.uniform(*WAY, count)
    products = 1 + (random.integers(PRODUCTS) + np.arange(count)) % PRODUCTS
    if event == LOGIN_FAILED:
        products[:] = 0
    numbers = np.broadcast_to(np.asarray(users, np.int64), count)
    return Traffic.together(
        [Traffic((times + ahead).round(3), received, numbers, np.full(count, event), products)]
    )


def _spread(random: np.random.Generator, count: int, begin: float, span: float) -> NDArray[np.float64]:
    """So many moments in ``[begin, begin + span)``, evenly but for a little chance."""
    return begin + (np.arange(count) + random.uniform(0.05, 0.95, count)) * (span / count)


def _evenly(random: np.random.Generator, pause: float, begin: float, count: int) -> NDArray[np.float64]:
    """So many moments, one pause apart, from the next minute on."""
    return _next(begin, MINUTE) + pause * (np.arange(count, dtype=np.float64) + random.random())


def _next(begin: float, size: int) -> int:
    """The first whole multiple of ``size`` that is not before a moment."""
    return -int(-begin // size) * size


def _either_side(
    random: np.random.Generator, begin: float, size: int, limit: int, span: tuple[float, float]
) -> NDArray[np.float64]:
    """More than ``limit`` moments around an edge of windows of ``size``, no more than it on either side.

    ``span`` is how many seconds they take on either side, at least and at most.
    """
    edge = _next(begin, size) + size
    before = int(random.integers(limit // 2 + 1, limit, endpoint=True))
    behind = int(random.integers(limit + 1 - before, limit, endpoint=True))
    early, late = random.uniform(*span, 2)
    return np.concatenate([_spread(random, before, edge - early, early), _spread(random, behind, edge, late)])


class Burst(Attack):
    """51 to 2,000 views within 5 to 40 seconds, all of one minute of the clock."""

    owasp = "OAT-003"
    cure = "nothing more is needed: the rule is not as shipped"

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """Somewhere within the next minute."""
        count = round(np.exp(random.uniform(np.log(CLICKS + 1), np.log(2000))))
        span = random.uniform(5, 40)
        start = _next(begin, MINUTE) + random.uniform(0, MINUTE - span)
        return _sent(random, _spread(random, count, start, span))


class Edge(Attack):
    """51 to 100 views within a minute, around the edge of two minutes of the clock, at most 50 in either."""

    owasp = "OAT-003"
    cure = "windows that overlap"

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """Around the edge behind the next minute."""
        return _sent(random, _either_side(random, begin, MINUTE, CLICKS, (3, 25)))


class AnyMinute(Attack):
    """51 to 60 views, evenly within 50 seconds that begin anywhere."""

    owasp = "OAT-003"
    cure = "windows that overlap"

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """At once, without a look at the clock."""
        return _sent(random, _spread(random, int(random.integers(51, 60, endpoint=True)), begin, 50))


class Drip(Attack):
    """50 views in every minute, evenly, for half an hour: just what `bot` allows."""

    owasp = "OAT-011"
    cure = "a longer window"

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """From the next minute on."""
        return _sent(random, _evenly(random, MINUTE / CLICKS, begin, 30 * CLICKS))


class Trickle(Attack):
    """20 views in every minute, evenly, for half an hour: just what `slow-scraper` allows."""

    owasp = "OAT-011"
    cure = (
        "a rule with a window of hours (`window = 3600`), or the share of the catalogue that one user reads"
    )

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """From the next minute on."""
        return _sent(random, _evenly(random, TEN_MINUTES / VIEWS, begin, 3 * VIEWS))


class Rotation(Attack):
    """Sixty users take turns, 1,200 views a minute together and 20 each, for ten minutes."""

    owasp = "OAT-011"
    users = 60
    cure = "a count by what the sixty share (network, device, session, products), not by user"

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """One click each, then the next sixty."""
        count = VIEWS * self.users
        times = _evenly(random, TEN_MINUTES / count, begin, count)
        return _sent(random, times, users=np.arange(count) % self.users)


class OneAccount(Attack):
    """The passwords of one account are tried from 200 addresses, three times each, within ten minutes."""

    owasp = "OAT-007"
    users = 200
    cure = (
        "a topic of sign-ins keyed by account, and a second worker whose user is the account "
        "(`CLICKWARDEN_FIELD_USER_ID`)"
    )

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """In any order of the addresses."""
        users = random.permutation(np.repeat(np.arange(self.users), 3))
        return _sent(random, _spread(random, len(users), begin, TEN_MINUTES), LOGIN_FAILED, users)


class FastClock(Attack):
    """60 to 500 views within 10 to 40 seconds of a sender whose clock is 55 seconds fast."""

    owasp = "OAT-003"
    cure = "the time as Kafka has it, `CLICKWARDEN_FIELD_TIMESTAMP=@timestamp`"

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """Within one minute of that clock."""
        ahead, span = 55.0, random.uniform(10, 40)
        start = _next(begin + ahead, MINUTE) + random.uniform(0, MINUTE - span) - ahead
        return _sent(random, _spread(random, int(random.integers(60, 500)), start, span), ahead=ahead)


class ForgedTimes(Attack):
    """150 views within 30 seconds that claim to have happened at any time of the last ten minutes."""

    owasp = "OAT-011"
    cure = "the time as Kafka has it, `CLICKWARDEN_FIELD_TIMESTAMP=@timestamp`, where senders are not trusted"

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """Each claim is another moment of the last ten minutes, in no order."""
        times = _spread(random, 150, begin, 30)
        claimed = random.permutation(_spread(random, len(times), begin - TEN_MINUTES, TEN_MINUTES))
        return _sent(random, times, ahead=claimed - times)


class Stuffing(Attack):
    """16 to 300 refused logins of one client within 5 to 50 seconds, all of one minute of the clock."""

    owasp = "OAT-008"
    cure = "nothing more is needed: the rule is not as shipped"

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """Somewhere within the next minute."""
        count = round(np.exp(random.uniform(np.log(LOGINS + 1), np.log(300))))
        span = random.uniform(5, 50)
        start = _next(begin, MINUTE) + random.uniform(0, MINUTE - span)
        return _sent(random, _spread(random, count, start, span), LOGIN_FAILED)


class StuffingEdge(Attack):
    """16 to 30 refused logins within a minute, around the edge of two minutes, at most 15 in either."""

    owasp = "OAT-008"
    cure = "windows of `credential-stuffing` that overlap"

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """Around the edge behind the next minute."""
        return _sent(random, _either_side(random, begin, MINUTE, LOGINS, (3, 25)), LOGIN_FAILED)


class SlowStuffing(Attack):
    """15 refused logins in every minute, evenly, for half an hour: just what `credential-stuffing` allows."""

    owasp = "OAT-008"
    cure = (
        "a second rule on these events with a longer window (`window = 3600`), or the share that is refused"
    )

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """From the next minute on."""
        return _sent(random, _evenly(random, MINUTE / LOGINS, begin, 30 * LOGINS), LOGIN_FAILED)


class Scraper(Attack):
    """25 to 45 pages in every minute, one after the other, for 20 to 30 minutes."""

    owasp = "OAT-011"
    cure = "a longer window"

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """At a pace of its own."""
        pace, minutes = random.uniform(25, 45), random.uniform(20, 30)
        return _sent(random, _spread(random, round(pace * minutes), begin, minutes * MINUTE))


class ScraperEdge(Attack):
    """201 to 400 pages within ten minutes, around the edge of two windows of ten, at most 200 in either."""

    owasp = "OAT-011"
    cure = "windows of `slow-scraper` that overlap"

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """Around the edge behind the next ten minutes, never 50 in a minute."""
        return _sent(random, _either_side(random, begin, TEN_MINUTES, VIEWS, (270, 295)))


class CartHolder(Attack):
    """30 products into the cart within a minute, every five minutes for half an hour, and no purchase."""

    owasp = "OAT-021"
    cure = 'a rule on `events = ["add_to_cart"]`, at best held against the purchases of the same user'

    def traffic(self, random: np.random.Generator, begin: float) -> Traffic:
        """Six times, as the shop lets go of carts."""
        times = [_spread(random, 30, begin + 300 * again, MINUTE - 5) for again in range(6)]
        return _sent(random, np.concatenate(times), ADD_TO_CART)


ATTACKS: Sequence[Attack] = (
    Burst(),
    Edge(),
    AnyMinute(),
    Drip(),
    Trickle(),
    Rotation(),
    OneAccount(),
    FastClock(),
    ForgedTimes(),
    Stuffing(),
    StuffingEdge(),
    SlowStuffing(),
    Scraper(),
    ScraperEdge(),
    CartHolder(),
)
