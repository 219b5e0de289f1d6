"""Count-Min sketch with conservative update."""

import hashlib
import math
from collections.abc import Collection
from itertools import repeat
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

DEPTH = 4
#: Clicks a cell of a row at which the width doubles.
LOAD = 8
#: Cells a row at most: 8 MiB a sketch of one byte a cell.
WIDTH_MAX = 2**21
_ROWS = np.arange(DEPTH, dtype=np.uint64)[:, None]
_HALF = np.uint64(0xFFFF_FFFF)
_SHIFT = np.uint64(32)
_ONE = np.uint64(1)


def hashes_of(names: Collection[str], seed: int) -> NDArray[np.uint64]:
    """The 64-bit hash (XXH3) of each name, unpredictable without the seed."""
    digests = map(xxhash.xxh3_64_intdigest, map(str.encode, names), repeat(seed))
    return np.fromiter(digests, np.uint64, len(names))


def digest_of(seed: int) -> bytes:
    """What tells a seed from others without giving it away, 16 bytes.

    >>> digest_of(7) == digest_of(7), digest_of(7) == digest_of(8)
    (True, False)
    """
    return hashlib.blake2b(seed.to_bytes(8), digest_size=16, person=b"clickwarden seed").digest()


def cells_of(hashes: NDArray[np.uint64], width: int) -> NDArray[np.intp]:
    """Which cells of a sketch n users have: shape (DEPTH, n)."""
    low, high = hashes & _HALF, (hashes >> _SHIFT) | _ONE
    columns = (low + _ROWS * high) & np.uint64(width - 1)
    return (columns + _ROWS * np.uint64(width)).astype(np.intp)


class Sketch:
    """Approximate counts of many users in ``DEPTH`` rows of ``width`` cells.

    A click raises only those of its user's cells that hold the minimum, so an
    estimate is never below the truth and exceeds it only where all cells of a
    user are shared with others. Cells saturate; ``ceiling`` is the largest
    count that must be told from the next.

    The error depends on how many clicks share the sketch, not on how active
    one user is: with 8 clicks a cell of a row, all of different users, the
    mean estimate is 3.5 and the largest 6. So that a flood of users cannot
    raise it at will, the width doubles whenever it has taken ``LOAD`` clicks
    a cell, up to ``WIDTH_MAX``; each half of the new cells starts as the old
    ones were, which keeps every estimate.

    The weakness: what is cheap for a window of many users is wasteful for one
    of few, and nothing can be taken out again.

    Cormode & Muthukrishnan, *An improved data stream summary: the count-min
    sketch*, 2005; conservative update: Estan & Varghese, *New directions in
    traffic measurement and accounting*, 2002; indexes by double hashing:
    Kirsch & Mitzenmacher, *Less hashing, same performance*, 2006.

    >>> sketch = Sketch(width=1024, ceiling=51)
    >>> cells = cells_of(hashes_of(["ann", "bob"], seed=7), 1024)
    >>> before = sketch.estimate(cells)
    >>> sketch.raise_to(cells, before, before + [3, 1])
    >>> sketch.estimate(cells).tolist(), sketch.add(cells[:, 1].tolist())
    ([3, 1], 2)
    """

    __slots__ = ("_full", "_scalar", "cells", "clicks")

    def __init__(self, width: int, ceiling: int) -> None:
        self._take(np.zeros(DEPTH * width, np.min_scalar_type(ceiling)), 0)

    def _take(self, cells: NDArray[Any], clicks: int) -> None:
        self.cells = cells
        self.clicks = clicks
        # One cell at a time, a memoryview is three times as fast as numpy.
        self._scalar = memoryview(cells.data)
        self._full = LOAD * self.width if self.width < WIDTH_MAX else math.inf

    @property
    def width(self) -> int:
        """Cells a row."""
        return len(self.cells) // DEPTH

    @property
    def room(self) -> float:
        """Clicks until the width doubles."""
        return self._full - self.clicks

    def restore(self, cells: bytes, clicks: int) -> None:
        """Take the state of another sketch of the same make.

        Raises:
            ValueError: it is of another make.
        """
        restored = np.frombuffer(bytearray(cells), self.cells.dtype)
        width = len(restored) // DEPTH
        if width < self.width or width & (width - 1) or len(restored) % DEPTH:
            raise ValueError(f"{len(restored)} cells are no sketch of width {self.width} or its doubles")
        self._take(restored, clicks)

    def estimate(self, cells: NDArray[np.intp]) -> NDArray[np.int64]:
        """Upper bound of each user's count, from its cells of shape (DEPTH, n)."""
        estimates: NDArray[np.int64] = self.cells[cells].min(axis=0).astype(np.int64)
        return estimates

    def raise_to(self, cells: NDArray[np.intp], before: NDArray[np.int64], after: NDArray[np.int64]) -> None:
        """Add clicks for which there is room, of users none of whom is :meth:`~Sharing.entangled`.

        ``before`` and ``after``, shape (n,), are their estimates; the
        difference is their clicks. Leaves the cells as adding click by click
        would, in whatever order.
        """
        largest = np.iinfo(self.cells.dtype).max
        raised = np.minimum(after, largest).astype(self.cells.dtype)
        # Flat: numpy 2.4's ufunc.at reads past the end of values that it has to broadcast.
        np.maximum.at(self.cells, cells.ravel(), np.tile(raised, DEPTH))
        self.clicks += int((after - before).sum())
        self._widen()

    def add(self, cells: list[int]) -> int:
        """Add one click of one user, by its ``DEPTH`` cells; its new estimate."""
        values = self._scalar
        old = min([values[index] for index in cells])
        new: int = min(old + 1, (1 << 8 * values.itemsize) - 1)
        for index in cells:
            if values[index] < new:
                values[index] = new
        self.clicks += 1
        if self.clicks >= self._full:
            self._widen()
        return new

    def _widen(self) -> None:
        """Double the width as often as it has no room left."""
        while self.room <= 0:
            rows = self.cells.reshape(DEPTH, -1)
            self._take(np.concatenate((rows, rows), axis=1).ravel(), self.clicks)


class Sharing:
    """Finds the users of a batch whose updates depend on the order of the clicks.

    Each user writes its number into its cells of a scratch array; a cell in
    which one does not find it again is shared with whoever overwrote it.
    """

    def __init__(self) -> None:
        self._scratch = np.zeros(0, np.uint16)
        self._marked = np.zeros(0, np.bool_)

    def cells(self, cells: NDArray[np.intp], size: int) -> NDArray[np.bool_]:
        """Which of their cells n users share with others; both of shape (DEPTH, n).

        ``size`` is the number of cells of the sketch.

        Raises:
            OverflowError: n is more than 65,536.
        """
        users = np.arange(cells.shape[1])
        if len(users) > np.iinfo(self._scratch.dtype).max + 1:
            raise OverflowError(f"{len(users)} users in one batch: cut it")
        if len(self._scratch) < size:
            self._scratch = np.zeros(size, self._scratch.dtype)
        self._scratch[cells] = users
        return self.marked(cells[self._scratch[cells] != users], cells, size)

    def among(self, cells: NDArray[np.intp], size: int) -> NDArray[np.bool_]:
        """Which of n users, cells of shape (DEPTH, n), share one with another; see :meth:`cells`."""
        sharing: NDArray[np.bool_] = np.any(self.cells(cells, size), axis=0)
        return sharing

    def entangled(
        self, sketch: Sketch, cells: NDArray[np.intp], shared: NDArray[np.bool_], before: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Those of n users whose clicks must be added one by one.

        A user with a minimum, the estimate ``before``, in a cell of its own raises that cell with each
        click: whatever others do to its further cells changes no estimate of it. All others are entangled,
        and so are the users that share a cell with one of them. ``shared`` are the cells of :meth:`cells`
        for these users, or for more.
        """
        users = np.flatnonzero(shared.any(axis=0))
        theirs = cells[:, users]
        own = np.where(shared[:, users], np.iinfo(np.int64).max, sketch.cells[theirs]).min(axis=0)
        entangled = np.zeros(len(before), np.bool_)
        entangled[
            users[self.marked(theirs[:, own > before[users]], theirs, len(sketch.cells)).any(axis=0)]
        ] = True
        return entangled

    def marked(self, marked: NDArray[np.intp], cells: NDArray[np.intp], size: int) -> NDArray[np.bool_]:
        """Which of the cells of a sketch, of so many, are among the marked."""
        if len(self._marked) < size:
            self._marked = np.zeros(size, np.bool_)
        self._marked[marked] = True
        found: NDArray[np.bool_] = self._marked[cells]
        self._marked[marked] = False
        return found


#: One for all: a worker counts one batch at a time.
SHARING = Sharing()
