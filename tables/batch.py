"""A batch of clicks, grouped once for all rules."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.clicks import Clicks
from tables.sketch import cells_of, hashes_of
from tables.suspects import Evidence


class Batch:
    """Clicks with their users and events numbered in order of appearance.

    Attributes:
        clicks: the columns, length n.
        users: number of each distinct user.
        user: intp[n], the user's number of each click.
        events: number of each distinct event.
        event: intp[n], the event's number of each click.
        seconds: int64[n], event time in whole seconds.
    """

    def __init__(self, clicks: Clicks) -> None:
        self.clicks = clicks
        self.users: dict[str, int] = _Numbers()
        self.user = _numbered(clicks.users, self.users)
        self.events: dict[str, int] = _Numbers()
        self.event = _numbered(clicks.events, self.events)
        self.seconds = clicks.times.astype(np.int64)
        self._cells: dict[tuple[int, int], NDArray[np.intp]] = {}

    def __len__(self) -> int:
        return len(self.user)

    def cells(self, seed: int, width: int) -> NDArray[np.intp]:
        """Cells of each distinct user by number, shape (DEPTH, users), in sketches of this make."""
        cells = self._cells.get((seed, width))
        if cells is None:
            cells = self._cells[seed, width] = cells_of(hashes_of(self.users, seed), width)
        return cells

    @cached_property
    def evidence(self) -> Evidence:
        """What the clicks say about suspects."""
        return Evidence(self.clicks)

    @cached_property
    def earliest(self) -> int:
        """Smallest of ``seconds``."""
        return int(self.seconds.min())

    @cached_property
    def latest(self) -> int:
        """Largest of ``seconds``."""
        return int(self.seconds.max())

    def having(self, events: tuple[str, ...]) -> NDArray[np.intp]:
        """Positions of the clicks with one of these events; of all where none is named."""
        if not events:
            return self._all
        wanted = np.array([event in events for event in self.events], np.bool_)
        return np.flatnonzero(wanted[self.event])

    @cached_property
    def _all(self) -> NDArray[np.intp]:
        return np.arange(len(self), dtype=np.intp)


class _Numbers(dict[str, int]):
    """Numbers names in the order in which they are asked for."""

    def __missing__(self, name: str) -> int:
        number = self[name] = len(self)
        return number


def _numbered(names: list[str], numbers: dict[str, int]) -> NDArray[np.intp]:
    return np.fromiter(map(numbers.__getitem__, names), np.intp, len(names))
