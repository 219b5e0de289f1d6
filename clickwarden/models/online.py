"""Half-space trees, for a pipeline with no history: they learn while they score (Tan, Ting and Liu, 2011)."""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.errors import SnapshotError
from clickwarden.models.calibration import limit_of
from clickwarden.models.fields import NO_TIME

#: What a pipeline calls it.
ONLINE = "online"
TREES, DEPTH, WINDOW = 50, 10, 250
#: A node that fewer records of a window have reached says as much as its children would.
FEW = 25
#: Scores by which new ones are judged, the latest.
LATEST = 2_000
_NODES = 2 ** (DEPTH + 1) - 1


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


class _State(NamedTuple):
    """What is kept: arrays as bytes in C order."""

    bounds: bytes
    mass: bytes
    growing: bytes
    waiting: bytes
    latest: bytes
    fresh: bytes
    threshold: float
    seen: int
    first: int
    last: int


class HalfSpaceTrees:
    """Scores by how few of the 250 records of the window before have been in the same part of space.

    Cuts are in the middle of what is left of a column's range, which is that of the first window around a
    random middle: they look at no value, so that nothing has to be learnt again. A record is judged by whole
    windows before it, and so alike in any batches. What comes often within a window is usual, whatever it is;
    and so is all of the first one.
    """

    def __init__(self, columns: int, seed: int, budget: float | None) -> None:
        """Begin with no record; ``budget`` is alarms a day, None for one record in a hundred."""
        random = np.random.default_rng(seed)
        self._columns, self._budget = columns, budget
        self._column = random.integers(0, columns, (TREES, 2**DEPTH - 1))
        self._cut = _cuts(self._column, random.random((TREES, columns)))
        self._bounds = np.zeros((2, columns))
        self._mass = np.zeros((TREES, _NODES), np.int64)
        self._growing = np.zeros((TREES, _NODES), np.int64)
        self._waiting = np.zeros((0, columns), np.float32)
        self._latest = self._fresh = np.zeros(0, np.float32)
        self._threshold = np.inf
        self._count, self._first, self._last = 0, NO_TIME, NO_TIME

    def judge(self, values: NDArray[np.float32], times: NDArray[np.int64]) -> Judged:
        """Score the next records, and learn from them.

        Args:
            values: float32[n, d], NaN where missing.
            times: int64[n], epoch milliseconds; NO_TIME where they have none.
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
            self._mass, self._fresh = self._growing.copy(), np.zeros(0, np.float32)
            self._growing[:] = 0
            self._learn(self._waiting)
            self._waiting = self._waiting[:0]
        self._mass, self._growing = self._growing, np.zeros_like(self._growing)
        self._latest = np.append(self._latest, self._fresh)[-LATEST:]
        self._fresh = np.zeros(0, np.float32)
        span = 0 if self._first == NO_TIME else self._last - self._first
        share = limit_of(self._budget, self._count, span).share
        allowed = max(int(share * (1 + len(self._latest))), 1)
        highest = np.sort(self._latest)[-allowed]
        self._threshold = float(np.nextafter(highest, np.float32(np.inf)))

    def _learn(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of records by the window before, and count them for the next."""
        low, high = self._bounds
        width = np.where(high > low, high - low, np.maximum(np.abs(low), 1) * 1e-3)
        placed = np.clip((values.astype(np.float64) - low) / width, -1e6, 1e6)
        placed = np.where(np.isnan(placed), 0.5, placed)
        every, node = np.arange(TREES), np.zeros((len(values), TREES), np.int64)
        seen = np.zeros((len(values), TREES))
        open_ = np.ones((len(values), TREES), bool)
        for depth in range(DEPTH + 1):
            np.add.at(self._growing, (np.broadcast_to(every, node.shape), node), 1)
            mass = self._mass[every, node]
            seen = np.where(open_, mass * 2.0**depth, seen)
            open_ &= mass >= FEW
            if depth < DEPTH:
                column = self._column[every, node]
                above = placed[np.arange(len(values))[:, None], column] > self._cut[every, node]
                node = 2 * node + 1 + above
        usual = seen.sum(1) / (TREES * WINDOW)
        scores: NDArray[np.float32] = (1 / (1 + usual)).astype(np.float32)
        self._fresh = np.append(self._fresh, scores)
        return scores

    def encode(self) -> bytes:
        """All that was learnt, for :meth:`restore`."""
        state = _State(
            self._bounds.tobytes(),
            self._mass.tobytes(),
            self._growing.tobytes(),
            self._waiting.tobytes(),
            self._latest.tobytes(),
            self._fresh.tobytes(),
            self._threshold,
            self._count,
            self._first,
            self._last,
        )
        return msgspec.msgpack.encode(state)

    def restore(self, data: bytes) -> None:
        """Go on where what :meth:`encode` gave had ended; with the same columns, seed and budget.

        Raises:
            SnapshotError: it is broken, or of other columns.
        """
        try:
            state = msgspec.msgpack.decode(data, type=_State)
            self._bounds = np.frombuffer(state.bounds).reshape(2, self._columns).copy()
            self._mass = np.frombuffer(state.mass, np.int64).reshape(TREES, _NODES)
            self._growing = np.frombuffer(state.growing, np.int64).reshape(TREES, _NODES).copy()
            self._waiting = np.frombuffer(state.waiting, np.float32).reshape(-1, self._columns)
            self._latest = np.frombuffer(state.latest, np.float32)
            self._fresh = np.frombuffer(state.fresh, np.float32)
        except (msgspec.DecodeError, ValueError) as error:
            raise SnapshotError(f"online: cannot be read: {error}; it is of another pipeline") from None
        self._threshold, self._count, self._first, self._last = state[-4:]


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
