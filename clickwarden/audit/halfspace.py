"""Half-space trees (Tan, Ting and Liu, 2011), record by record and tree by tree, in code of its own."""

import math
import struct
from collections.abc import Sequence
from hashlib import shake_256
from typing import NamedTuple

TREES, LEVELS, WINDOW, FEW, LATEST = 50, 10, 250, 25, 2_000
#: The most alarms a day.
MOST = 1_000
DAY = 86_400_000


class Said(NamedTuple):
    """A record's score, the share of the latest that are as high, and from where on one is an anomaly."""

    score: float
    p_value: float
    threshold: float


class _Tree:
    """Halves of halves of space: those of the part with number n have 2 n + 1 and 2 n + 2.

    Args:
        columns: by which each part is divided.
        space: least and most of each column.
    """

    def __init__(self, columns: Sequence[int], space: Sequence[tuple[float, float]]) -> None:
        self.columns = columns
        self.cuts = [0.0] * len(columns)
        self._divide(0, space)
        self.usual = self.now = [0] * (2 * len(columns) + 1)
        self.turn()

    def _divide(self, number: int, space: Sequence[tuple[float, float]]) -> None:
        if number >= len(self.columns):
            return
        column = self.columns[number]
        least, most = space[column]
        cut = self.cuts[number] = (least + most) / 2
        lower, upper = list(space), list(space)
        lower[column], upper[column] = (least, cut), (cut, most)
        self._divide(2 * number + 1, lower)
        self._divide(2 * number + 2, upper)

    def turn(self) -> None:
        """Take the records that were counted for what is usual."""
        self.usual, self.now = self.now, [0] * (2 * len(self.columns) + 1)

    def mass(self, placed: Sequence[float]) -> int:
        """How many usual records are where one is, as if space were even; and count it."""
        number, found = 0, -1
        for level in range(LEVELS + 1):
            self.now[number] += 1
            if found < 0 and (level == LEVELS or self.usual[number] < FEW):
                found = self.usual[number] * 2**level
            if level < LEVELS:
                number = 2 * number + 1 + (placed[self.columns[number]] > self.cuts[number])
        return found


class HalfSpaceReference:
    """One partition's trees.

    Args:
        pipeline: its name.
        partition: its number.
        columns: of the features.
        budget: alarms a day that this partition may have; None for one record in a hundred.
    """

    def __init__(self, pipeline: str, partition: int, columns: int, budget: float | None) -> None:
        inner = 2**LEVELS - 1
        drawn = shake_256(f"{pipeline}/{partition}".encode()).digest(8 * TREES * (inner + columns))
        numbers = struct.unpack(f"<{TREES * (inner + columns)}Q", drawn)
        self._trees: list[_Tree] = []
        for tree in range(TREES):
            chosen = [number % columns for number in numbers[tree * inner : (tree + 1) * inner]]
            begin = TREES * inner + tree * columns
            space = []
            for number in numbers[begin : begin + columns]:
                middle = (number // 2048) / 2**53
                reach = 2 * max(middle, 1 - middle)
                space.append((middle - reach, middle + reach))
            self._trees.append(_Tree(chosen, space))
        self._budget = None if budget is None else min(budget, MOST)
        # Of the day before and of this one: the highest scores, and of how many records.
        self._days: list[tuple[list[float], int]] = [([], 0), ([], 0)]
        self._ranges: list[tuple[float, float]] = []
        self._first_window: list[Sequence[float]] = []
        self._latest: list[float] = []
        self._scores: list[float] = []
        self._threshold = math.inf
        self._seen = 0
        self._begin: int | None = None
        self._end = 0

    def judge(self, values: Sequence[float], event: int | None) -> Said | None:
        """What is said of the next record; None as long as the first window lasts.

        Args:
            values: its features, NaN where missing.
            event: event time behind it, epoch milliseconds; None before that is known.
        """
        said = None
        if self._seen < WINDOW:
            self._first_window.append(values)
        else:
            score = self._score(values)
            self._scores.append(score)
            higher = sum(each >= score for each in self._latest)
            said = Said(score, (1 + higher) / (1 + len(self._latest)), self._threshold)
        self._seen += 1
        if event is not None:
            self._begin = event if self._begin is None else self._begin
            self._end = max(self._end, event)
        if self._seen == WINDOW:
            self._know()
        if self._seen % WINDOW == 0:
            self._turn()
        return said

    def _know(self) -> None:
        """Learn from the first window: the ranges of columns, and what its records score among themselves."""
        for column in zip(*self._first_window, strict=True):
            known = [value for value in column if math.isfinite(value)]
            self._ranges.append((min(known), max(known)) if known else (0.0, 0.0))
        for values in self._first_window:
            self._score(values)
        for tree in self._trees:
            tree.turn()
        self._scores = [self._score(values) for values in self._first_window]
        self._first_window = []

    def _turn(self) -> None:
        for tree in self._trees:
            tree.turn()
        self._latest = (self._latest + self._scores)[-LATEST:]
        days = 0.0 if self._begin is None else (self._end - self._begin) / DAY
        if self._budget is not None:
            if self._days[1][1] * max(days, 1) >= self._seen:
                self._days = [self._days[1], ([], 0)]
            scores, count = self._days[1]
            highest = sorted(scores + self._scores, reverse=True)[: 2 * int(self._budget) + 2]
            self._days[1] = highest, count + len(self._scores)
        self._scores = []
        if self._budget is not None and days:
            known = sorted(self._days[0][0] + self._days[1][0], reverse=True)
            share = min(self._budget * days / self._seen, 1.0)
            allowed = int(share * (self._days[0][1] + self._days[1][1]))
            self._threshold = _above(known[min(allowed, len(known) - 1)])
        else:
            allowed = max(int(0.01 * (1 + len(self._latest))), 1)
            self._threshold = _above(sorted(self._latest, reverse=True)[allowed - 1])

    def _score(self, values: Sequence[float]) -> float:
        """How abnormal a record is by the window before; and count it for the next."""
        placed = [self._placed(value, *bounds) for value, bounds in zip(values, self._ranges, strict=True)]
        total = sum(tree.mass(placed) for tree in self._trees)
        return _single(1 / (1 + total / (TREES * WINDOW)))

    def _placed(self, value: float, low: float, high: float) -> float:
        """Where a value is in its column's range, 0 to 1 within; in the middle where it is missing."""
        if math.isnan(value):
            return 0.5
        width = high - low if high > low else max(abs(low), 1) * 1e-3
        return min(max((value - low) / width, -1e6), 1e6)


def _single(value: float) -> float:
    """The float32 next to a number."""
    found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return found


def _above(value: float) -> float:
    """The next float32 above one that is positive."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    found: float = struct.unpack("<f", struct.pack("<I", bits + 1))[0]
    return found
