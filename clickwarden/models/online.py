"""Half-space trees, for a pipeline with no history: they learn while they score (Tan, Ting and Liu, 2011)."""

from hashlib import shake_256
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.errors import SnapshotError
from clickwarden.models.calibration import DAY_MS, SHARE
from clickwarden.models.fields import NO_TIME

TREES, DEPTH, WINDOW = 50, 10, 250
#: A node that fewer records of a window have reached says as much as its children would.
FEW = 25
#: Scores by which new ones are judged, the latest.
LATEST = 2_000
#: The most alarms a day: of each of two days twice as many of the highest scores are kept.
BUDGET_MAX = 1_000
_LEAVES = 2**DEPTH
_NODES = 2 * _LEAVES - 1


class Judged(NamedTuple):
    """What is said of some records.

    Attributes:
        scores: float32[n], 0 to 1, higher is more abnormal; NaN while there is nothing to go by.
        p_values: float64[n], the share of the latest records that scored as high or higher; NaN there, too.
        thresholds: float32[n], of an alarm; infinite there.
    """

    scores: NDArray[np.float32]
    p_values: NDArray[np.float64]
    thresholds: NDArray[np.float32]


class _State(msgspec.Struct, array_like=True):
    """What is kept: arrays as bytes in C order, little-endian.

    Masses are of no more than one window, so that each fits into a byte.
    """

    bounds: bytes
    mass: bytes
    growing: bytes
    waiting: bytes
    latest: bytes
    fresh: bytes
    high: list[bytes]
    of: list[int]
    threshold: float
    count: int
    first: int
    last: int


class HalfSpaceTrees:
    """Scores by how few of the 250 records of the window before have been in the same part of space.

    Cuts are in the middle of what is left of a column's range, which is that of the first window around a
    random middle: they look at no value, so that nothing has to be learnt again. A record is judged by whole
    windows before it, and so alike in any batches. What comes often within a window is usual, whatever it is;
    and so is all of the first one.

    Args:
        columns: of the features.
        seed: what the trees are drawn from; of one seed they are the same everywhere.
        budget: alarms a day; None for one record in a hundred, as it is where records have no time.
    """

    def __init__(self, columns: int, seed: str, budget: float | None) -> None:
        """Begin with no record."""
        self._columns = columns
        self._budget = None if budget is None else min(budget, BUDGET_MAX)
        column, middle = _drawn(seed, columns)
        leaf = ((0, 0), (0, _LEAVES))  # which is not divided
        self._column = np.pad(column, leaf).ravel()
        self._cut = np.pad(_cuts(column, middle), leaf).ravel()
        self._bounds = np.zeros((2, columns))
        self._mass = np.zeros((TREES, _NODES), np.int64)
        # Of the window that goes on: how many records are in each leaf.
        self._growing = np.zeros((TREES, _LEAVES), np.int64)
        self._waiting = np.zeros((0, columns), np.float32)
        self._latest = self._fresh = np.zeros(0, np.float32)
        # The highest scores of the day and of the one before, and of how many records they are.
        self._high = [np.zeros(0, np.float32)] * 2
        self._of = [0, 0]
        self._threshold = np.inf
        self._count, self._first, self._last = 0, NO_TIME, NO_TIME

    @property
    def learning(self) -> int:
        """Records to come before they score."""
        return max(0, WINDOW - self._count)

    def judge(self, values: NDArray[np.float32], times: NDArray[np.int64]) -> Judged:
        """Score the next records, and learn from them.

        Args:
            values: float32[n, d], NaN where missing.
            times: int64[n], event time behind each, epoch milliseconds; NO_TIME where that is not known.
        """
        count, begin = len(values), 0
        nothing = np.full(count, np.nan, np.float32)
        found = Judged(nothing, nothing.astype(np.float64), np.full(count, np.inf, np.float32))
        while begin < count:
            end = min(count, begin + WINDOW - self._count % WINDOW)
            part = slice(begin, end)
            if self._count < WINDOW:
                self._waiting = np.concatenate([self._waiting, values[part]])
            else:
                scores = self._learn(values[part])
                above = len(self._latest) - np.searchsorted(np.sort(self._latest), scores, "left")
                found.scores[part] = scores
                found.p_values[part] = (1 + above) / (1 + len(self._latest))
                found.thresholds[part] = self._threshold
            self._count += end - begin
            if (moments := times[part][times[part] != NO_TIME]).size:
                self._first = int(moments[0]) if self._first == NO_TIME else self._first
                self._last = max(self._last, int(moments.max()))
            if self._count % WINDOW == 0:
                self._turn()
            begin = end
        return found

    def _turn(self) -> None:
        """Take the window that is over for what is usual."""
        if self._count == WINDOW:
            known = np.where(np.isfinite(self._waiting), self._waiting, np.nan)
            there = np.isfinite(known).any(0)
            self._bounds[:, there] = np.nanmin(known[:, there], 0), np.nanmax(known[:, there], 0)
            self._learn(self._waiting)
            self._mass, self._fresh = _masses(self._growing), np.zeros(0, np.float32)
            self._growing[:] = 0
            self._learn(self._waiting)
            self._waiting = self._waiting[:0]
        self._mass = _masses(self._growing)
        self._growing[:] = 0
        self._latest = np.append(self._latest, self._fresh)[-LATEST:]
        days = 0.0 if self._first == NO_TIME else (self._last - self._first) / DAY_MS
        if self._budget is not None:
            self._keep_highest(self._budget, days)
        self._fresh = np.zeros(0, np.float32)
        if self._budget is None or not days:
            among = np.sort(self._latest)[::-1]
            place = max(int(SHARE * (1 + len(among))), 1) - 1
        else:
            among = np.sort(np.concatenate(self._high))[::-1]
            share = min(self._budget * days / self._count, 1.0)
            place = min(int(share * sum(self._of)), len(among) - 1)
        self._threshold = float(np.nextafter(among[place], np.float32(np.inf)))

    def _keep_highest(self, budget: float, days: float) -> None:
        """Keep the highest scores of a day and of the one before.

        A day has as many records as came in one on average.
        """
        if self._of[0] * max(days, 1) >= self._count:
            self._high, self._of = [np.zeros(0, np.float32), self._high[0]], [0, self._of[0]]
        scores = np.sort(np.append(self._high[0], self._fresh))[::-1]
        self._high[0] = scores[: 2 * int(budget) + 2]
        self._of[0] += len(self._fresh)

    def _learn(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of records by the window before, and count them for the next."""
        low, high = self._bounds
        width = np.where(high > low, high - low, np.maximum(np.abs(low), 1) * 1e-3)
        placed = np.clip((values.astype(np.float64) - low) / width, -1e6, 1e6)
        placed = np.where(np.isnan(placed), 0.5, placed).ravel()
        row = (np.arange(len(values)) * self._columns)[:, None]
        # Trees lie one behind the other, so that a node's number in all of them is one number.
        root = np.arange(TREES) * _NODES
        node = np.repeat(root[None], len(values), axis=0)
        seen, masses = np.zeros(node.shape, np.int64), self._mass.ravel()
        open_ = np.ones(node.shape, bool)
        for depth in range(DEPTH + 1):
            mass = masses.take(node)
            np.copyto(seen, mass << depth, where=open_)
            open_ &= mass >= FEW
            if depth < DEPTH:
                above = placed.take(self._column.take(node) + row) > self._cut.take(node)
                node = 2 * node + above + (1 - root)
        leaves = np.bincount(node.ravel(), minlength=TREES * _NODES).reshape(TREES, _NODES)
        self._growing += leaves[:, _LEAVES - 1 :]
        usual = seen.sum(1) / (TREES * WINDOW)
        scores: NDArray[np.float32] = (1 / (1 + usual)).astype(np.float32)
        self._fresh = np.append(self._fresh, scores)
        return scores

    def encode(self) -> bytes:
        """All that was learnt, for :meth:`restore`."""
        return msgspec.msgpack.encode(
            _State(
                self._bounds.astype("<f8").tobytes(),
                self._mass.astype(np.uint8).tobytes(),
                self._growing.astype(np.uint8).tobytes(),
                self._waiting.astype("<f4").tobytes(),
                self._latest.astype("<f4").tobytes(),
                self._fresh.astype("<f4").tobytes(),
                [each.astype("<f4").tobytes() for each in self._high],
                self._of,
                self._threshold,
                self._count,
                self._first,
                self._last,
            )
        )

    def restore(self, data: bytes) -> None:
        """Go on where what :meth:`encode` gave had ended; with the same columns, seed and budget.

        Raises:
            SnapshotError: it is broken, or of other columns.
        """
        try:
            state = msgspec.msgpack.decode(data, type=_State)
            self._bounds = np.frombuffer(state.bounds, "<f8").reshape(2, self._columns).astype(np.float64)
            self._mass = np.frombuffer(state.mass, np.uint8).reshape(self._mass.shape).astype(np.int64)
            growing = np.frombuffer(state.growing, np.uint8).reshape(self._growing.shape)
            self._growing = growing.astype(np.int64)
            waiting = np.frombuffer(state.waiting, "<f4").reshape(-1, self._columns)
            self._waiting = waiting.astype(np.float32)
            self._latest = np.frombuffer(state.latest, "<f4").astype(np.float32)
            self._fresh = np.frombuffer(state.fresh, "<f4").astype(np.float32)
            self._high = [np.frombuffer(each, "<f4").astype(np.float32) for each in state.high]
        except (msgspec.DecodeError, ValueError) as error:
            raise SnapshotError(f"online: cannot be read: {error}; it is of another pipeline") from None
        self._threshold, self._count, self._of = state.threshold, state.count, state.of
        self._first, self._last = state.first, state.last


def seed_of(pipeline: str, partition: int) -> str:
    """What the trees of a pipeline's partition are drawn from."""
    return f"{pipeline}/{partition}"


def _masses(leaves: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[trees, nodes], how many records have reached each; 0 below one with few."""
    levels = [leaves]
    for _ in range(DEPTH):
        levels.append(levels[-1].reshape(TREES, -1, 2).sum(2))
    levels.reverse()
    for above, below in pairwise(levels):
        below[np.repeat(above < FEW, 2, axis=1)] = 0
    return np.concatenate(levels, axis=1)


def _drawn(seed: str, columns: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The column of each inner node, and of each tree the middles of all columns, 0 to 1, by tree.

    Both are of the bytes that SHAKE-256 makes of the seed: the same in every release of every library.
    """
    inner = TREES * (_LEAVES - 1)
    data = shake_256(seed.encode()).digest(8 * (inner + TREES * columns))
    numbers = np.frombuffer(data, "<u8")
    column = (numbers[:inner] % np.uint64(columns)).astype(np.int64).reshape(TREES, -1)
    middle = (numbers[inner:] >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return column, middle.reshape(TREES, columns)


def _cuts(column: NDArray[np.int64], middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[trees, inner nodes], where each cuts its column, in widths of the first window's range."""
    reach = 2 * np.maximum(middle, 1 - middle)
    bounds = {0: (middle - reach, middle + reach)}
    cuts, every = np.zeros(column.shape), np.arange(len(column))
    for node in range(column.shape[1]):
        least, most = bounds.pop(node)
        which = column[:, node]
        cuts[:, node] = (least[every, which] + most[every, which]) / 2
        if 2 * node + 2 < column.shape[1]:
            left, right = most.copy(), least.copy()
            left[every, which] = right[every, which] = cuts[:, node]
            bounds[2 * node + 1], bounds[2 * node + 2] = (least, left), (right, most)
    return cuts
