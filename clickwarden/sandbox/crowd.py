"""A large shop's honest traffic over days: people in a hurry, and programs that mean no harm, among them.

:class:`~clickwarden.sandbox.shoppers.Shoppers` cannot click faster than a rule allows; this crowd can, and
how often it does is a question to measure. What is known of people is taken from publications:

* how many clicks a session has: the inverse Gaussian of Huberman et al., *Strong regularities in World Wide
  Web surfing*, Science 280, 1998;
* how long a page is looked at: Weibull with a shape below 1, Liu et al., *Understanding web browsing
  behaviors through Weibull analysis of dwell time*, SIGIR 2010;
* pages opened in tabs one after the other: Huang & White, *Parallel browsing behavior on the web*, HT 2010.

The parameters are ours, chosen to be on the busy side: a twentieth of the sessions is of keen shoppers, and
the fastest take less than six seconds a page for as long as they stay, tabs aside.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from clickwarden.sandbox.shoppers import PRODUCTS, popularity, walk
from clickwarden.sandbox.traffic import LOGIN, LOGIN_FAILED, VIEW, Traffic

HOUR = 3600.0
#: Made at a time, seconds.
STEP = 600
#: The rate at each hour of the day (UTC), relative to one another: a shop whose customers sleep at night.
DAY = (
    40,
    24,
    16,
    13,
    13,
    18,
    32,
    52,
    74,
    92,
    104,
    112,
    122,
    118,
    110,
    108,
    112,
    122,
    138,
    160,
    178,
    170,
    128,
    78,
)

#: Clicks of a session, an inverse Gaussian: mean and shape, of most shoppers and of keen ones; and at most.
SESSION = (5.0, 4.0)
KEEN_SESSION = (40.0, 30.0)
KEEN = 0.05
SESSION_MAX = 600
#: Seconds that a shopper looks at a page, Weibull: median of the shoppers' scales, their spread (log-normal),
#: and the least; and the shape.
PACE, PACE_SPREAD, PACE_MIN = 20.0, 0.6, 5.0
DWELL_SHAPE = 0.8
DWELL_MIN = 0.25
#: How often a page is opened in a tab, and the next one so many seconds later, at most.
TABS = 0.15
TAB_MAX = 2.0
#: How many passwords are mistyped.
MISTYPED = 0.1

#: A click is on its way for so long at least, and on average, seconds; and how many are held up, up to.
WAY_MIN, WAY = 0.05, 0.3
HELD_UP, HELD_UP_MAX = 0.01, 120.0
#: Clocks: how far off most are (standard deviation, seconds), the share of wrong ones and how far those are,
#: and the share of those that are FAST seconds fast.
CLOCK, WRONG, WRONG_MAX = 0.3, 0.02, 30.0
FAST_SHARE, FAST = 0.001, 55.0

#: Share of the shop's sessions that come from one address, when people work: a large office behind one.
OFFICE = 0.003
OFFICE_HOURS = (8, 18)
#: A partner who compares prices reads a page every so many seconds, and the shop's own monitoring, too.
PARTNER_SECONDS, MONITOR_SECONDS = 2.0, 10.0
OTHERS = ("office", "partner", "monitor")


class Crowd:
    """Clicks of one shopper a click of an hour, and of :data:`OTHERS`, from ``start`` on.

    Iterate over it for what Kafka receives in one step of :data:`STEP` seconds after the other, without end,
    in order. The same arguments give the same traffic.

    Args:
        rate: clicks an hour, the day's average.
        seed: of the random numbers.
        start: epoch seconds, a whole multiple of :data:`STEP`.

    Attributes:
        names: of the users, by number: shoppers, then the others.
    """

    def __init__(self, rate: float, seed: int, start: int) -> None:
        self._rate = rate
        self._start = start
        self._random = random = np.random.default_rng(seed)
        self._shoppers = shoppers = round(rate)
        self.names = [*(f"shopper-{number}" for number in range(1, shoppers + 1)), *OTHERS]
        active = random.lognormal(size=shoppers)
        self._active = np.cumsum(active / active.sum())
        self._clocks = random.normal(0, CLOCK, len(self.names))
        for share, low, high in ((WRONG, -WRONG_MAX, WRONG_MAX), (FAST_SHARE, FAST, FAST)):
            wrong = random.random(shoppers) < share
            self._clocks[:shoppers][wrong] = random.uniform(low, high, int(wrong.sum()))
        self._popular = popularity()
        # Rounded up, a session has half a click more.
        mean = (1 - KEEN) * SESSION[0] + KEEN * KEEN_SESSION[0] + 0.5
        self._sessions = rate / HOUR / mean

    def __iter__(self) -> Iterator[Traffic]:
        """What Kafka receives, a step at a time; the shop is open when it begins."""
        begin = self._start - STEP * 6
        ahead = self._sent(begin)
        while True:
            begin += STEP
            here, ahead = ahead.before(begin)
            if begin > self._start:
                yield here
            ahead = Traffic.together([ahead, self._sent(begin)])

    def _sent(self, begin: int) -> Traffic:
        """The clicks of the sessions that begin in a step, and of the programs during it."""
        random = self._random
        times, users, events, products = self._walks(begin)
        programs = [np.arange(begin, begin + STEP, every) for every in (PARTNER_SECONDS, MONITOR_SECONDS)]
        first = self._shoppers + 1
        times = np.concatenate([times, *programs])
        users = np.concatenate([users, *(np.full(len(one), first + at) for at, one in enumerate(programs))])
        read = sum(map(len, programs))
        events = np.concatenate([events, np.full(read, VIEW)])
        products = np.concatenate([products, 1 + np.arange(read) % PRODUCTS])
        way = WAY_MIN + random.exponential(WAY - WAY_MIN, len(times))
        held_up = random.random(len(times)) < HELD_UP
        way[held_up] += random.uniform(0, HELD_UP_MAX, int(held_up.sum()))
        claimed = (times + self._clocks[users]).round(3)
        return Traffic.together([Traffic(claimed, times + way, users, events, products)])

    def _walks(
        self, begin: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Time, user, event and product of each click of the sessions that begin in a step."""
        random = self._random
        count = random.poisson(self._sessions * STEP * rhythm(begin + STEP / 2))
        keen = random.random(count) < KEEN
        drawn = np.where(keen, random.wald(*KEEN_SESSION, count), random.wald(*SESSION, count))
        lengths = np.minimum(np.ceil(drawn), SESSION_MAX).astype(np.int64)
        firsts = lengths.cumsum() - lengths
        visitors = np.searchsorted(self._active[:-1], random.random(count))
        if OFFICE_HOURS[0] <= begin / HOUR % 24 < OFFICE_HOURS[1]:
            visitors[random.random(count) < OFFICE] = self._shoppers

        clicks = int(lengths.sum())
        pace = np.maximum(PACE * random.lognormal(0, PACE_SPREAD, count), PACE_MIN)
        gaps = random.weibull(DWELL_SHAPE, clicks) * np.repeat(pace, lengths)
        tabs = random.random(clicks) < TABS
        gaps[tabs] = random.uniform(0, TAB_MAX, int(tabs.sum()))
        left = np.maximum(gaps, DWELL_MIN).cumsum()
        opened = begin + random.random(count) * STEP
        times = left + np.repeat(opened - left[firsts], lengths)

        events, products = walk(random, firsts, lengths, self._popular)
        events[(events == LOGIN) & (random.random(clicks) < MISTYPED)] = LOGIN_FAILED
        return times, np.repeat(visitors, lengths), events, products


def rhythm(moment: float) -> float:
    """The rate at a time of the day (UTC), relative to the day's average."""
    hours = np.arange(len(DAY) + 1) + 0.5
    there = (moment / HOUR - 0.5) % len(DAY) + 0.5
    return float(np.interp(there, hours, (*DAY, DAY[0]))) * len(DAY) / sum(DAY)
