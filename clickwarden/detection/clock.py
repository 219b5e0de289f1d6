"""How far event time has got in one partition."""

import math
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

#: Clicks that are asked for the time together, and how many of them must have got there.
RECENT = 20
AGREE = 5
#: A click that Kafka received so soon after it says it happened is taken for live, seconds.
LIVE_SECONDS = 60.0
#: Where Kafka does not say when it receives, a click takes so long at least, seconds. A power of two, whose
#: sums are exact: the same in every order.
TICK_SECONDS = 2**-7
#: For so long, and at most twice that, a delay is remembered, seconds.
SPAN_SECONDS = 600


class Passage(NamedTuple):
    """What the clock showed while some clicks came.

    Attributes:
        time: float64[n + 1], event time before each click, and behind the last.
        received: float64[n], what Kafka's clock showed when each came; -inf where it had not said yet.
        now: float64[n], the same; where Kafka does not say, event time, and at least a little for each click.
    """

    time: NDArray[np.float64]
    received: NDArray[np.float64]
    now: NDArray[np.float64]


class EventClock:
    """Event time that no minority of the clicks can move.

    A click's *moment* is what it claims, but no later than when Kafka received
    it. Where most of the last :data:`RECENT` clicks are live, Kafka's own
    clock vouches for them and the newest live moment is the time. Where they
    are not (a backlog, a replay, a file, or a topic whose time stamps are a
    producer's word), the time is the fifth newest moment of the last twenty.
    It never goes back.

    *No fast clock closes anybody's window early.* Live: the time is at most
    Kafka's, so a click that reaches Kafka within the lateness of when it says
    it happened is never late, whatever others claim. Otherwise: at most four
    of any twenty clicks, a fifth, cannot bring the fifth newest moment beyond
    the newest of the others.

    The weakness: a burst of five clicks within twenty does move it where
    clicks are not live; what is late because of that is counted all the same
    (:class:`~clickwarden.detection.closed.ClosedWindow`). And outside of live
    traffic a window closes a few clicks later than the newest click would let it.

    What it says is a function of the clicks in their order, not of how they
    were cut into batches.

    Attributes:
        time: epoch seconds; -inf until it is known.
        newest: the newest moment, which a single click may have claimed; -inf before the first.
        received: when Kafka received what it received last; -inf where it never said.
        now: the same; where Kafka does not say, ``time``, and at least a little more with each click.
        moments: of the last clicks, oldest first, at most RECENT - 1.
        live: whether each of them was.

    >>> clock = EventClock()
    >>> noon = 1_600_000_000.0
    >>> clicks = noon + np.arange(30)
    >>> clicks[7] += 3600
    >>> _ = clock.advance(clicks, np.full(30, np.nan))
    >>> clock.time - noon
    25.0
    """

    def __init__(self) -> None:
        self.time = -math.inf
        self.newest = -math.inf
        self.received = -math.inf
        self.now = -math.inf
        self.moments: list[float] = []
        self.live: list[bool] = []

    def advance(self, claims: NDArray[np.float64], received: NDArray[np.float64]) -> "Passage":
        """Go on by some clicks.

        Args:
            claims: float64[n], n > 0, when they say they happened.
            received: float64[n], when Kafka received them; NaN where it does not say.
        """
        moments = np.concatenate((self.moments, np.fmin(claims, received)))
        live = np.concatenate((self.live, received - claims <= LIVE_SECONDS)).astype(np.bool_)
        known, size = len(self.moments), len(claims)
        self.moments = moments[-RECENT + 1 :].tolist()
        self.live = live[-RECENT + 1 :].tolist()

        time = np.empty(size + 1)
        time[0] = self.time
        if live.all():
            time[1:] = moments[known:]
        else:
            time[1:] = _agreed(moments)[known:]
            if live[known:].any():
                vouched = live[known:] & _mostly(live)[known:]
                np.copyto(time[1:], moments[known:], where=vouched)
        np.maximum.accumulate(time, out=time)
        self.time = float(time[-1])
        self.newest = max(self.newest, float(moments[known:].max()))
        silent = np.isnan(received)
        if silent.any():
            said = _risen(np.where(silent, -math.inf, received), self.received)
            ticks = TICK_SECONDS * np.cumsum(silent)
            now = _risen(np.where(silent, time[1:], received) - ticks, self.now) + ticks
        else:
            said = _risen(received, self.received)
            now = said if self.now == self.received else _risen(received, self.now)
        self.received, self.now = float(said[-1]), float(now[-1])
        return Passage(time, said, now)


def _risen(moments: NDArray[np.float64], before: float) -> NDArray[np.float64]:
    """Of each moment: the latest up to it, or ``before`` where that is later."""
    risen = moments.copy()
    risen[0] = max(risen[0], before)
    np.maximum.accumulate(risen, out=risen)
    return risen


def _mostly(live: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of each click: whether most of the last RECENT up to it were live."""
    so_far = np.cumsum(live)
    before = np.concatenate((np.zeros(RECENT, so_far.dtype), so_far[:-RECENT]))[: len(live)]
    return 2 * (so_far - before) > np.minimum(np.arange(1, len(live) + 1), RECENT)


def _agreed(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each click: the moment that AGREE of the last RECENT up to it had reached.

    -inf before there are so many.
    """
    padded = np.concatenate((np.full(RECENT - 1, -math.inf), moments))
    if (padded[1:] >= padded[:-1]).all():
        return padded[RECENT - AGREE :][: len(moments)]
    recent = sliding_window_view(padded, RECENT)
    agreed: NDArray[np.float64] = np.partition(recent, RECENT - AGREE, axis=1)[:, RECENT - AGREE]
    return agreed


class Delays:
    """How unevenly event time has arrived lately, in one partition.

    A collector that ships a file every 90 s brings clicks that are up to 90 s
    old: whoever saw them arrive knows that a silence of 90 s is none. Looked
    at are the clicks that moved the clock: one phone's slow clock is no delay.

    Attributes:
        spans: the last two spans of SPAN_SECONDS of Kafka's clock in which there was such a click: number of
            the span, least and greatest delay in it, seconds.
    """

    def __init__(self) -> None:
        self.spans: list[tuple[int, float, float]] = []

    def note(self, passage: Passage, received: NDArray[np.float64]) -> None:
        """Learn from clicks that came with this passage; ``received`` is NaN where Kafka does not say."""
        moved = (passage.time[1:] > passage.time[:-1]) & ~np.isnan(received)
        received = received[moved]
        delays = received - passage.time[1:][moved]
        while len(received):
            span = int(received[0] // SPAN_SECONDS)
            here = (received >= span * SPAN_SECONDS) & (received < (span + 1) * SPAN_SECONDS)
            self._add(span, float(delays[here].min()), float(delays[here].max()))
            received, delays = received[~here], delays[~here]

    def _add(self, span: int, least: float, greatest: float) -> None:
        for index, (known, low, high) in enumerate(self.spans):
            if known == span:
                self.spans[index] = span, min(low, least), max(high, greatest)
                return
        self.spans = [*self.spans, (span, least, greatest)][-2:]

    @property
    def spread(self) -> float:
        """Seconds between the least and the greatest delay."""
        if not self.spans:
            return 0.0
        return max(high for _, _, high in self.spans) - min(low for _, low, _ in self.spans)
