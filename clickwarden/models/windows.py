"""Statistics of windows, from whole numbers until the last step, by IEEE 754's basic operations alone.

So no order of adding, no cut into batches and no mathematical library can change them.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.models.histories import Ints, View
from clickwarden.models.kinds import Stat

#: A number that is missing, on its grid; and the hash of a text that is.
NO_NUMBER = -(2**31)
NO_TEXT = 0

_LOW = 2**32 - 1


class Sums(NamedTuple):
    """What a field adds up to: of single records, or up to each place.

    A sum of squares may need more than 63 bits. Its halves do not, and both are exact as floats.

    Attributes:
        counts: how many have it.
        totals: in steps of the grid.
        high: of the squares, without their lower 32 bits.
        low: of the lower 32 bits of the squares.
    """

    counts: Ints
    totals: Ints
    high: Ints
    low: Ints

    @classmethod
    def of(cls, steps: NDArray[np.int32]) -> "Sums":
        """Of single records, from their numbers on the grid."""
        there = steps != NO_NUMBER
        values = np.where(there, steps, 0).astype(np.int64)
        squares = values * values
        return cls(there.astype(np.int64), values, squares >> 32, squares & _LOW)

    def running(self) -> "Sums":
        """Up to each place, one more than there are."""
        return Sums(*map(running, self))


class Numbers:
    """Statistics of a number over any stretch of a view."""

    def __init__(self, own: NDArray[np.int32], sums: Sums) -> None:
        """Begin.

        Args:
            own: int32[m], of each record in the order of the view; NO_NUMBER where it is missing.
            sums: up to each place of the view.
        """
        self._own = np.where(own == NO_NUMBER, np.nan, own.astype(np.float64))
        self._sums = sums

    def stats(
        self, begin: Ints, end: Ints, step: float, wanted: tuple[Stat, ...]
    ) -> list[NDArray[np.float64]]:
        """float64[m] of each statistic, over the stretches from ``begin`` up to ``end``."""
        sums = self._sums
        count = (sums.counts[end] - sums.counts[begin]).astype(np.float64)
        at_least_one = np.maximum(count, 1.0)
        total = (sums.totals[end] - sums.totals[begin]).astype(np.float64)
        mean = total / at_least_one
        found: list[NDArray[np.float64]] = []
        for stat in wanted:
            match stat:
                case "count":
                    found.append(count)
                case "sum":
                    found.append(total * step)
                case "mean":
                    found.append(mean * step)
                case "std":
                    low = sums.low[end] - sums.low[begin]
                    high = sums.high[end] - sums.high[begin] + (low >> 32)
                    squares = high.astype(np.float64) * 2.0**32 + (low & _LOW).astype(np.float64)
                    variance = np.maximum(squares / at_least_one - mean * mean, 0.0)
                    found.append(np.sqrt(variance) * step)
                case _:
                    usual = np.where(total == 0, 1.0, mean)
                    ratio = np.where(total == 0, 1.0, self._own / usual)
                    found.append(np.where(np.isnan(self._own), np.nan, ratio))
        return found


class Texts:
    """Which values of a field are the same, over any stretch of a view."""

    def __init__(self, view: View, hashes: NDArray[np.uint32]) -> None:
        there = hashes != NO_TEXT
        self._counts = np.arange(len(hashes) + 1) if there.all() else running(there)
        places = np.flatnonzero(there)
        packed = np.sort(hashes[places].astype(np.uint64) << np.uint64(32) | places.astype(np.uint64))
        place = (packed & np.uint64(_LOW)).astype(np.int64)
        value = packed >> np.uint64(32)
        again = np.flatnonzero((value[1:] == value[:-1]) & (place[:-1] >= view.owner[place[1:]]))
        #: Where each value was before, of the same key; -1 where it was not.
        self._before = np.full(len(hashes), -1)
        self._before[place[again + 1]] = place[again]
        self._repeats = np.flatnonzero(self._before >= 0)
        self._own = self._before[view.place]
        self._missing = ~there[view.place]

    def stats(self, begin: Ints, end: Ints, wanted: tuple[Stat, ...]) -> list[NDArray[np.float64]]:
        """float64[m] of each statistic, over the stretches from ``begin`` to ``end``; neither goes back."""
        found: list[NDArray[np.float64]] = []
        for stat in wanted:
            match stat:
                case "count":
                    found.append((self._counts[end] - self._counts[begin]).astype(np.float64))
                case "distinct":
                    count = self._counts[end] - self._counts[begin] - self._repeated(begin, end)
                    found.append(count.astype(np.float64))
                case _:
                    found.append(np.where(self._missing, np.nan, (self._own >= begin).astype(np.float64)))
        return found

    def _repeated(self, begin: Ints, end: Ints) -> Ints:
        """How many in each stretch have their value before them in it.

        A repeat counts for the stretches that end behind it and begin no later than where its value was
        before. These follow each other, since no stretch begins or ends before the one before.
        """
        first = np.searchsorted(end, self._repeats, side="right")
        behind = np.searchsorted(begin, self._before[self._repeats], side="right")
        some = behind > first
        size = len(end) + 1
        steps = np.bincount(first[some], minlength=size) - np.bincount(behind[some], minlength=size)
        counts: Ints = np.cumsum(steps)[:-1]
        return counts


def running(values: NDArray[Any]) -> Ints:
    """int64[n + 1], sums of what is before each place; differences are exact, also where these overflow."""
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:], dtype=np.int64)
    return sums
