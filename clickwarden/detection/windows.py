"""One window of one rule: a sketch, and the suspects it brought up."""

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import Batch
from clickwarden.detection.rules import Rule
from clickwarden.detection.sketch import SHARING, Sketch
from clickwarden.detection.suspects import Crossing, Suspects

#: Below so many clicks, one by one is faster than grouping.
FEW = 128


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
        self.suspects = Suspects(rule.threshold)

    @property
    def end(self) -> int:
        """First second behind the window."""
        return self.start + self.rule.window

    @property
    def full(self) -> bool:
        """Whether the places for suspects are taken."""
        return len(self.suspects) >= self.max_suspects

    @property
    def level(self) -> int:
        """Estimate that promotes a user now; with the suspects' places taken,
        only one over the threshold is let in, whom we must report."""
        return self.rule.threshold + 1 if self.full else self.rule.level

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
        known, crossed = self.suspects.add_known(batch, user, positions)
        crossings += crossed
        clicks[known] = 0

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
        if self.suspects.compete(int(rises.sum() + shares.sum()), self.max_suspects):
            # The last places go to whom the order of the clicks brings up first.
            self._count_each(batch, positions[_belonging(user, fresh)], crossings)
            return

        # A promoted user's clicks enter the sketch up to the one that promotes it.
        after[rises] = np.maximum(before[rises] + 1, level)
        self.sketch.raise_to(cells[:, ~shares], before[~shares], after[~shares])
        if rises.any():
            names = batch.users
            for number, old, new in zip(fresh[rises], before[rises], after[rises], strict=True):
                self.suspects.promote(names[number], int(new))
                since = positions[user == number][new - old - 1 :].tolist()
                crossings += self.suspects.add(names[number], batch.evidence, since)
        if shares.any():
            self._count_each(batch, positions[_belonging(user, fresh[shares])], crossings)

    def _count_each(self, batch: Batch, positions: NDArray[np.intp], crossings: list[Crossing]) -> None:
        users, width = batch.users, 0
        theirs = zip(positions.tolist(), batch.user[positions].tolist(), strict=True)
        for click, (position, number) in enumerate(theirs):
            user_id = users[number]
            if user_id not in self.suspects:
                if self.sketch.width != width:
                    width = self.sketch.width
                    cells = batch.cells(self.seed, width)[:, batch.user[positions]].T.tolist()
                estimate = self.sketch.add(cells[click])
                if estimate < self.level:
                    continue
                self.suspects.promote(user_id, estimate)
            crossings += self.suspects.add(user_id, batch.evidence, [position])


def _belonging(user: NDArray[np.intp], users: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which clicks, by the number of their user, are of these users."""
    member = np.zeros(user.max() + 1, np.bool_)
    member[users] = True
    return member[user]
