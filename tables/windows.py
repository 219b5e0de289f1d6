"""One window of one rule: a sketch, and the suspects it brought up."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.rules import Rule
from tables.batch import Batch
from tables.sketch import SHARING, Sketch
from tables.suspects import Suspect

#: Below so many clicks, one by one is faster than grouping.
FEW = 24


class Crossing(NamedTuple):
    """The moment a user went over the threshold.

    ``suspect`` is what was known at that click; ``click`` its position in the batch.
    """

    click: int
    user_id: str
    suspect: Suspect


class Window:
    """Counts the clicks in ``[start, start + rule.window)``.

    What it holds and reports is a function of its clicks in their order, not
    of how they were cut into batches: a batch leaves the cells, the suspects
    and their evidence as click-by-click counting would (:meth:`_count_each`,
    the reference).
    """

    def __init__(self, start: int, rule: Rule, seed: int, max_suspects: int) -> None:
        self.start = start
        self.rule = rule
        self.seed = seed
        self.max_suspects = max_suspects
        self.clicks = 0
        self.sketch = Sketch(rule.width, ceiling=rule.threshold + 1)
        self.suspects: dict[str, Suspect] = {}

    @property
    def end(self) -> int:
        """First second behind the window."""
        return self.start + self.rule.window

    @property
    def level(self) -> int:
        """Estimate that promotes a user now; with the suspects' places taken,
        only one over the threshold is let in, whom we must report."""
        return self.rule.level if len(self.suspects) < self.max_suspects else self.rule.threshold + 1

    def over(self, suspect: Suspect) -> bool:
        """Whether the suspect is an anomaly."""
        return suspect.count_high > self.rule.threshold

    def count(self, batch: Batch, positions: NDArray[np.intp]) -> list[Crossing]:
        """Count the clicks of the batch at ``positions``, ascending."""
        self.clicks += len(positions)
        crossings: list[Crossing] = []
        if len(positions) < FEW:
            self._count_each(batch, positions, crossings)
        else:
            self._count_grouped(batch, positions, crossings)
            crossings.sort(key=lambda crossing: crossing.click)
        return crossings

    def _count_grouped(self, batch: Batch, positions: NDArray[np.intp], crossings: list[Crossing]) -> None:
        user = batch.user[positions]
        clicks = np.bincount(user, minlength=len(batch.users))
        clicks_of = _ClicksOf(user, positions, clicks)
        for user_id in self.suspects.keys() & batch.users.keys():
            number = batch.users[user_id]
            self._profile(user_id, batch, clicks_of(number), crossings)
            clicks[number] = 0

        fresh = np.flatnonzero(clicks)
        if clicks.sum() > self.sketch.room:
            # It is one click that doubles the width, and the next uses it.
            self._count_each(batch, positions[_belonging(user, fresh)], crossings)
            return
        cells = batch.cells(self.seed, self.sketch.width)[:, fresh]
        shares = SHARING.among(cells, len(self.sketch.cells))
        level = self.level
        before = self.sketch.estimate(cells)
        after = before + clicks[fresh]
        rises = (after >= level) & ~shares
        if len(self.suspects) < self.max_suspects < len(self.suspects) + rises.sum() + shares.sum():
            # The last places go to whom the order of the clicks brings up first.
            self._count_each(batch, positions[_belonging(user, fresh)], crossings)
            return

        # A promoted user's clicks enter the sketch up to the one that promotes it.
        after[rises] = np.maximum(before[rises] + 1, level)
        self.sketch.raise_to(cells[:, ~shares], before[~shares], after[~shares])
        names = list(batch.users) if rises.any() else []
        for number, old, new in zip(fresh[rises], before[rises], after[rises], strict=True):
            self.suspects[names[number]] = Suspect(promoted=int(new))
            self._profile(names[number], batch, clicks_of(number)[new - old - 1 :], crossings)
        if shares.any():
            self._count_each(batch, positions[_belonging(user, fresh[shares])], crossings)

    def _count_each(self, batch: Batch, positions: NDArray[np.intp], crossings: list[Crossing]) -> None:
        for position in positions.tolist():
            user_id = batch.clicks.users[position]
            if user_id not in self.suspects:
                cells = batch.cells(self.seed, self.sketch.width)
                estimate = self.sketch.add(cells[:, batch.user[position]])
                if estimate < self.level:
                    continue
                self.suspects[user_id] = Suspect(promoted=estimate)
            self._profile(user_id, batch, [position], crossings)

    def _profile(
        self, user_id: str, batch: Batch, positions: Sequence[int], crossings: list[Crossing]
    ) -> None:
        suspect = self.suspects[user_id]
        if not (suspect.exact and self.over(suspect)):
            # Promoted over the threshold at once, it crosses with its first click.
            crossing = max(1, self.rule.threshold + 1 - suspect.count_high)
            if crossing <= len(positions):
                suspect.add(batch.evidence, positions[:crossing])
                crossings.append(Crossing(positions[crossing - 1], user_id, suspect.copy()))
                positions = positions[crossing:]
        if positions:
            suspect.add(batch.evidence, positions)


def _belonging(user: NDArray[np.intp], users: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which clicks, by the number of their user, are of these users."""
    member = np.zeros(user.max() + 1, np.bool_)
    member[users] = True
    return member[user]


class _ClicksOf:
    """Positions of one user's clicks in the batch; sorts when first asked."""

    def __init__(self, user: NDArray[np.intp], positions: NDArray[np.intp], clicks: NDArray[np.intp]) -> None:
        self._user = user
        self._positions = positions
        self._ends = np.cumsum(clicks).tolist()

    @cached_property
    def _sorted(self) -> list[int]:
        positions: list[int] = self._positions[np.argsort(self._user, kind="stable")].tolist()
        return positions

    def __call__(self, number: int) -> list[int]:
        first = self._ends[number - 1] if number else 0
        return self._sorted[first : self._ends[number]]
