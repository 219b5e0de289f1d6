"""Clicks of suspects that wait to be folded into what is known of them."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import NO_PRODUCT, Selection
from clickwarden.detection.suspect import Suspect


class Gathered:
    """Clicks of suspects in their order, by row, not yet folded into their evidence.

    Attributes:
        events: each distinct event, with its number.
    """

    def __init__(self) -> None:
        self.events: dict[str, int] = {}
        self._clicks = 0
        self._rows = np.empty(0, np.int32)
        self._times = np.empty(0, np.float64)
        self._event = np.empty(0, np.int32)
        self._products = np.empty(0, np.uint64)

    def __len__(self) -> int:
        """How many clicks."""
        return self._clicks

    @property
    def rows(self) -> NDArray[np.int32]:
        """Row of each click's suspect."""
        return self._rows[: self._clicks]

    @property
    def times(self) -> NDArray[np.float64]:
        """When each happened."""
        return self._times[: self._clicks]

    @property
    def event(self) -> NDArray[np.int32]:
        """Number of each one's event."""
        return self._event[: self._clicks]

    @property
    def products(self) -> NDArray[np.uint64]:
        """Hash of each one's product, NO_PRODUCT where it names none, or nobody wants it."""
        return self._products[: self._clicks]

    def add(self, clicks: Selection, rows: NDArray[np.intp], wanted: NDArray[np.bool_]) -> None:
        """Add clicks of these rows, and their products where they are wanted."""
        batch, end = clicks.batch, self._clicks + len(rows)
        if end > len(self._rows):
            for name in ("_rows", "_times", "_event", "_products"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate((column, np.empty(end, column.dtype))))
        new = slice(self._clicks, end)
        number = self.events
        numbers = np.array([number.setdefault(event, len(number)) for event in batch.events], np.int32)
        self._rows[new] = rows
        self._times[new] = batch.times[clicks.positions]
        self._event[new] = numbers[batch.event[clicks.positions]]
        self._products[new] = np.where(wanted, batch.products[clicks.positions], NO_PRODUCT)
        self._clicks = end

    def tell(self, row: int, suspect: Suspect) -> None:
        """Add the clicks of one row to what is known of its suspect."""
        clicks = np.flatnonzero(self.rows == row)
        if not len(clicks):
            return
        times = self.times[clicks].tolist()
        suspect.exact += len(times)
        suspect.first = min(suspect.first, *times)
        suspect.last = max(suspect.last, *times)
        names = list(self.events)
        for event, count in Counter(self.event[clicks].tolist()).items():
            suspect.count_event(names[event], count)
        if suspect.wants_products:
            suspect.see_products(self.products[clicks].tolist())


def runs(ordered: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The distinct ones of some numbers in order, of which there is one at least, and where each begins."""
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[starts], starts


def least(numbers: NDArray[Any], below: int) -> NDArray[Any]:
    """Numbers ``below`` one in the smallest type that holds them, which is the fastest to sort."""
    return numbers.astype(np.min_scalar_type(below))
