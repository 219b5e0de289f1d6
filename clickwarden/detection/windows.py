"""Windows: what the panes know together."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.panes import Pane
from clickwarden.detection.rules import Rule
from clickwarden.detection.sketch import DEPTH, cells_of, hashes_of
from clickwarden.detection.suspect import Suspect


class WindowName(NamedTuple):
    """Name of a rule and start of a window, which no other window of the partition has."""

    rule: str
    start: int


class Share(NamedTuple):
    """What is known of a user in one pane: of a suspect; or of none, and so at most so many clicks."""

    suspect: Suspect | None
    high: int


class Window:
    """The clicks in ``[start, start + rule.window)``, as its panes have counted them until it is asked.

    Args:
        start: first second of the window.
        rule: that it is counted under.
        panes: those of the window that hold clicks, ascending.
    """

    def __init__(self, start: int, rule: Rule, panes: Sequence[Pane]) -> None:
        self.start = start
        self.rule = rule
        self.panes = panes

    @property
    def end(self) -> int:
        """First second behind the window."""
        return self.start + self.rule.window

    @cached_property
    def clicks(self) -> int:
        """How many clicks."""
        return sum(pane.clicks for pane in self.panes)

    @cached_property
    def full(self) -> bool:
        """Whether the places for suspects are taken, in one of the panes."""
        return any(pane.full for pane in self.panes)

    @property
    def seed(self) -> int:
        """Of the users' hashes."""
        return self.panes[0].seed

    @cached_property
    def cells(self) -> NDArray[np.unsignedinteger]:
        """Of a sketch of all panes: their sum, as wide as the widest of them."""
        widest = max(self.panes, key=lambda pane: pane.sketch.width).sketch.cells
        if not self.rule.overlapping:
            return widest  # which no other window changes
        cells = np.zeros((DEPTH, len(widest) // DEPTH), np.int64)
        for pane in self.panes:
            rows = pane.sketch.cells.reshape(DEPTH, -1)
            cells.reshape(DEPTH, -1, rows.shape[1])[:] += rows[:, None]
        return np.minimum(cells, np.iinfo(widest.dtype).max).astype(widest.dtype).ravel()

    @cached_property
    def suspects(self) -> dict[str, Suspect]:
        """Who is a suspect in one of the panes."""
        if not self.rule.overlapping:
            return self.panes[0].suspects.all()
        known = [pane.suspects.all() for pane in self.panes]
        names = list(dict.fromkeys(user_id for suspects in known for user_id in suspects))
        hashes = hashes_of(names, self.seed)
        highs = [pane.sketch.estimate(cells_of(hashes, pane.sketch.width)).tolist() for pane in self.panes]
        shares = [
            map(Share, map(suspects.get, names), estimates)
            for suspects, estimates in zip(known, highs, strict=True)
        ]
        return dict(zip(names, map(together, zip(*shares, strict=True)), strict=True))

    def suspect(self, user_id: str) -> Suspect | None:
        """What is known of one user; None if it is no suspect."""
        found = [pane.suspects.get(user_id) for pane in self.panes]
        if not any(found):
            return None
        hashes = hashes_of([user_id], self.seed)
        cells = {pane.sketch.width: cells_of(hashes, pane.sketch.width) for pane in self.panes}
        highs = [int(pane.sketch.cells[cells[pane.sketch.width]].min()) for pane in self.panes]
        return together(map(Share, found, highs))

    def freeze(self) -> "Window":
        """The window, which stays as it is now, whatever its panes count for others."""
        for name in ("clicks", "full", "cells", "suspects"):
            getattr(self, name)
        return self


def together(shares: Iterable[Share]) -> Suspect:
    """A suspect in a window, from its shares in the panes, ascending, one of which is a suspect's."""
    merged, elsewhere = None, 0
    for suspect, high in shares:
        if suspect is None:
            elsewhere += high
        elif merged is None:
            merged = suspect.copy()
        else:
            merged.merge(suspect)
    assert merged is not None
    merged.promoted += elsewhere
    return merged
