"""Shoppers, and somebody who is none: made-up traffic with a known truth.

Sessions begin at random (Poisson). A session belongs to a shopper who is not
in another one, and is a walk through the shop by a Markov chain, with a think
time after every click. Products are as popular as Zipf's law says; the hour of
the day moves the rate by a fifth.

No shopper crosses a rule of rules.toml: the least think time allows
15 clicks in a minute and 147 in ten.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.clicks import Clicks
from clickwarden.errors import ClickwardenError

#: Think time in seconds: at least THINK_MIN, THINK on average.
THINK_MIN = 4.1
THINK = 7.0
#: Clicks of a session: on average (geometric), and at most.
SESSION = 8
SESSION_MAX = 24
SESSION_MEAN = SESSION * (1 - (1 - 1 / SESSION) ** SESSION_MAX)
PRODUCTS = 5_000
RHYTHM = 0.2
PEAK_HOUR = 20
#: A shopper is busy for THINK seconds a click; the rest covers the peak hour and chance.
USERS_PER_RATE = 10

EVENTS = ("view", "search", "add_to_cart", "purchase", "login")
VIEW, SEARCH, ADD_TO_CART, PURCHASE, LOGIN = range(len(EVENTS))
#: After the event of the row, the event of the column: probabilities, cumulated.
# fmt: off
NEXT = np.cumsum(
    [   # view search add_to_cart purchase login
        [0.68, 0.18, 0.14, 0.00, 0.00],  # view
        [0.90, 0.10, 0.00, 0.00, 0.00],  # search
        [0.52, 0.10, 0.08, 0.27, 0.03],  # add_to_cart
        [0.85, 0.15, 0.00, 0.00, 0.00],  # purchase
        [0.50, 0.20, 0.00, 0.30, 0.00],  # login
    ],
    axis=1,
)[:, :-1]
FIRST = np.cumsum([0.55, 0.35, 0.00, 0.00, 0.10])[:-1]
# fmt: on

MINUTE = 60.0
#: The attack: begins so many seconds after the start, and takes so many.
ATTACK_DELAY = 5.0
ATTACK_SPAN = 15.0
#: Clicks a second, at most; a bigger attack takes longer.
ATTACK_RATE = 20_000.0


class Shoppers:
    """Traffic of ``users`` shoppers at ``rate`` clicks a second from ``start`` on.

    Iterate over it for the clicks of one second after the other, without end,
    each in order of time. The same arguments give the same traffic.

    Args:
        rate: clicks a second, the day's average.
        users: how many shoppers there are.
        seed: of the random numbers.
        start: epoch seconds.

    Raises:
        ClickwardenError: so few users cannot click so often and stay human.
    """

    def __init__(self, rate: float, users: int, seed: int, start: float) -> None:
        if users < users_for(rate):
            raise ClickwardenError(
                f"--users {users}: at --rate {rate:g} so few would click like bots; "
                f"use --users {users_for(rate)} or more, or a lower rate"
            )
        self._rate = rate
        self._start = start
        self._random = np.random.default_rng(seed)
        self._names = [f"shopper-{number}" for number in range(1, users + 1)]
        self._free_at = np.zeros(users)
        self._popularity = popularity()

    def __iter__(self) -> Iterator[Clicks]:
        """The clicks, a second at a time; an empty shop fills before the first."""
        # Columns: time, shopper, event, product. Whoever came before the start is still in the shop.
        ahead = np.empty((0, 4))
        second = self._start - SESSION_MAX * THINK
        while True:
            ahead = np.concatenate([ahead, self._sessions(second)])
            second += 1
            due = ahead[:, 0] < second
            now, ahead = ahead[due], ahead[~due]
            if second > self._start:
                now = now[now[:, 0] >= self._start]
                yield self._columns(now[np.argsort(now[:, 0], kind="stable")])

    def _columns(self, rows: NDArray[np.float64]) -> Clicks:
        shoppers, events, products = rows[:, 1:].astype(int).T.tolist()
        return Clicks(
            users=[self._names[shopper] for shopper in shoppers],
            events=[EVENTS[event] for event in events],
            products=[f"product-{rank}" if rank else None for rank in products],
            times=rows[:, 0].round(3),
        )

    def _sessions(self, second: float) -> NDArray[np.float64]:
        """The sessions that begin in one second: their clicks, session by session."""
        random = self._random
        arrivals = random.poisson(self._rate * rhythm(second) / SESSION_MEAN)
        shoppers = random.permutation(np.flatnonzero(self._free_at <= second))[:arrivals]
        lengths = np.minimum(random.geometric(1 / SESSION, len(shoppers)), SESSION_MAX)
        firsts = lengths.cumsum() - lengths
        think = THINK_MIN + random.exponential(THINK - THINK_MIN, lengths.sum())
        leave = think.cumsum()
        begin = second + random.random(len(shoppers)) - (leave[firsts] - think[firsts])
        leave += np.repeat(begin, lengths)
        self._free_at[shoppers] = leave[firsts + lengths - 1]
        events, products = walk(random, firsts, lengths, self._popularity)
        return np.stack([leave - think, np.repeat(shoppers, lengths), events, products], axis=1)


def popularity() -> NDArray[np.float64]:
    """How many of the views are of a product or a more popular one, by rank: Zipf's law."""
    weights = 1.0 / np.arange(1, PRODUCTS + 1)
    return np.cumsum(weights / weights.sum())


def walk(
    random: np.random.Generator,
    firsts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    popular: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Walk through the shop: event and product (its rank from 1; 0: none) of each click of some sessions.

    Args:
        random: makes the choices.
        firsts: position of each session's first click; sessions follow one another.
        lengths: clicks of each session.
        popular: see :func:`popularity`.
    """
    dice = random.random((lengths.sum(), 1))
    found = 1 + np.searchsorted(popular[:-1], random.random(len(dice)))
    events = np.empty(len(dice), np.int64)
    products = np.empty(len(dice), np.int64)
    for step in range(lengths.max(initial=0)):
        at = firsts[lengths > step] + step
        odds = NEXT[events[at - 1]] if step else FIRST
        events[at] = (dice[at] >= odds).sum(axis=1)
        # What goes into the cart and is bought is what was viewed last.
        before = products[at - 1] if step else 0
        products[at] = np.where(events[at] == VIEW, found[at], before)
    products[(events == SEARCH) | (events == LOGIN)] = 0
    return events, products


def users_for(rate: float) -> int:
    """The fewest shoppers who click so often together and stay human."""
    return math.ceil(rate * USERS_PER_RATE)


def rhythm(moment: float) -> float:
    """The rate at an hour of the day (UTC), relative to the day's average."""
    hour = moment / 3600 % 24
    return 1 + RHYTHM * math.cos((hour - PEAK_HOUR) / 24 * math.tau)


def attack(clicks: int, attacker: str, now: float) -> Clicks:
    """Somebody who reads page after page, all of it within one minute.

    It begins a few seconds from now, or with the next minute where this one
    has not enough left: the minute's count is exactly ``clicks``.

    Raises:
        ClickwardenError: so many clicks do not fit in one minute.
    """
    span = max(ATTACK_SPAN, clicks / ATTACK_RATE)
    if span > MINUTE:
        raise ClickwardenError(
            f"--attack {clicks}: more than fit in one minute; use {ATTACK_RATE * MINUTE:.0f} or fewer"
        )
    begin = now + ATTACK_DELAY
    end_of_minute = (begin // MINUTE + 1) * MINUTE
    if begin + span > end_of_minute:
        begin = end_of_minute
    times = begin + np.arange(clicks) * (span / max(clicks, 1))
    return Clicks(
        users=[attacker] * clicks,
        events=["view"] * clicks,
        products=[f"product-{1 + click % PRODUCTS}" for click in range(clicks)],
        times=np.floor(times * 1000) / 1000,
    )
