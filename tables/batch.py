"""A batch of clicks, grouped once for all rules."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.clicks import Clicks
from tables.sketch import cells_of, hash_of
from tables.suspects import Evidence


class Batch:
    """Clicks with their users and events numbered in order of appearance.

    Attributes:
        clicks: the columns, length n.
        users: number of each distinct user.
        user: intp[n], the user's number of each click.
        seconds: int64[n], event time in whole seconds.
    """

    def __init__(self, clicks: Clicks) -> None:
        self.clicks = clicks
        self.users = _numbered(clicks.users)
        self.user = np.fromiter(map(self.users.__getitem__, clicks.users), np.intp, len(clicks.users))
        self.seconds = clicks.times.astype(np.int64)
        self._cells: dict[tuple[int, int], NDArray[np.intp]] = {}

    def __len__(self) -> int:
        return len(self.user)

    def cells(self, seed: int, width: int) -> NDArray[np.intp]:
        """Cells of each distinct user by number, shape (DEPTH, users), in sketches of this make."""
        cells = self._cells.get((seed, width))
        if cells is None:
            hashes = np.fromiter((hash_of(user, seed) for user in self.users), np.uint64, len(self.users))
            cells = self._cells[seed, width] = cells_of(hashes, width)
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

    @cached_property
    def events(self) -> dict[str, int]:
        """Number of each distinct event."""
        return _numbered(self.clicks.events)

    @cached_property
    def event(self) -> NDArray[np.intp]:
        """intp[n], the event's number of each click."""
        events = self.clicks.events
        return np.fromiter(map(self.events.__getitem__, events), np.intp, len(events))

    def having(self, events: tuple[str, ...]) -> NDArray[np.intp]:
        """Positions of the clicks with one of these events; of all where none is named."""
        if not events:
            return self._all
        wanted = np.array([event in events for event in self.events], np.bool_)
        return np.flatnonzero(wanted[self.event])

    @cached_property
    def _all(self) -> NDArray[np.intp]:
        return np.arange(len(self), dtype=np.intp)


def _numbered(names: list[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}
