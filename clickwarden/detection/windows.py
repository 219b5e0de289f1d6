"""One window of one rule: a sketch, and the suspects it brought up."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import Batch, Selection
from clickwarden.detection.rules import Rule
from clickwarden.detection.sketch import SHARING, Sketch
from clickwarden.detection.suspects import Crossing, Suspect, Suspects

#: Below so many clicks, one by one is faster than grouping.
FEW = 128


class WindowName(NamedTuple):
    """Name of a rule and start of a window, which no other window of the partition has."""

    rule: str
    start: int


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
        self.sketch = Sketch(rule.cells, ceiling=rule.threshold + 1)
        self.suspects = Suspects(rule.threshold)

    @property
    def end(self) -> int:
        """First second behind the window."""
        return self.start + self.rule.window

    def suspect(self, user_id: str) -> Suspect | None:
        """What is known of a user but for the newest evidence; None if it is no suspect."""
        return self.suspects.get(user_id)

    @property
    def full(self) -> bool:
        """Whether the places for suspects are taken."""
        return len(self.suspects) >= self.max_suspects

    @property
    def level(self) -> int:
        """Estimate that promotes a user now.

        With the suspects' places taken, only one over the threshold is let
        in, whom we must report.
        """
        return self.rule.threshold + 1 if self.full else self.rule.level

    def count(self, batch: Batch, positions: NDArray[np.intp]) -> list[Crossing]:
        """Count the clicks of the batch at ``positions``, ascending.

        Returns who crossed the threshold, in the order of the clicks.
        """
        self.clicks += len(positions)
        selected = Selection(batch, positions)
        if len(selected) < FEW:
            return self._count_each(selected)
        crossings, rest = self.suspects.add_known(selected)
        crossings += self._count_grouped(rest)
        crossings.sort(key=lambda crossing: crossing.click)
        return crossings

    def _count_grouped(self, selected: Selection) -> list[Crossing]:
        """Count clicks of users who are no suspects: one by one only where their order matters."""
        if len(selected) > self.sketch.room:
            # It is one click that doubles the width, and the next uses it.
            return self._count_each(selected)
        users, clicks = selected.by_user()
        cells = selected.batch.cells(self.seed, self.sketch.width)[:, users]
        shared = selected.batch.shared(self.seed, self.sketch.width)[:, users]
        before = self.sketch.estimate(cells)
        entangled = SHARING.entangled(self.sketch, cells, shared, before)
        after = before + clicks
        level = self.level
        promoted = (after >= level) & ~entangled
        if self.suspects.compete(int((promoted | entangled).sum()), self.max_suspects):
            # The last places go to whom the order of the clicks brings up first.
            return self._count_each(selected)

        # A promoted user's clicks enter the sketch up to the one that promotes it.
        after[promoted] = np.maximum(before[promoted] + 1, level)
        apart = ~entangled
        self.sketch.raise_to(cells[:, apart], before[apart], after[apart])
        crossings = self._promote(selected, users[promoted], before[promoted], after[promoted])
        if entangled.any():
            crossings += self._count_each(selected.of_users(users[entangled]))
        return crossings

    def _promote(
        self,
        selected: Selection,
        users: NDArray[np.intp],
        before: NDArray[np.int64],
        after: NDArray[np.int64],
    ) -> list[Crossing]:
        """Let users in whose clicks the sketch has taken from estimate ``before`` to ``after``.

        The last click it took of a user is the first that is counted exactly.
        """
        crossings: list[Crossing] = []
        for user, old, new in zip(users.tolist(), before.tolist(), after.tolist(), strict=True):
            user_id = selected.batch.users[user]
            self.suspects.promote(user_id, new)
            since = selected.positions[selected.user == user][new - old - 1 :]
            crossings += self.suspects.add(user_id, selected.batch.evidence, since.tolist())
        return crossings

    def _count_each(self, selected: Selection) -> list[Crossing]:
        batch, width, level = selected.batch, 0, self.level
        crossings: list[Crossing] = []
        clicks = zip(selected.positions.tolist(), selected.user.tolist(), strict=True)
        for click, (position, user) in enumerate(clicks):
            user_id = batch.users[user]
            if user_id not in self.suspects:
                if self.sketch.width != width:
                    width = self.sketch.width
                    cells = batch.cells(self.seed, width)[:, selected.user].T.tolist()
                estimate = self.sketch.add(cells[click])
                if estimate < level:
                    continue
                self.suspects.promote(user_id, estimate)
                level = self.level  # which only this can change
            crossings += self.suspects.add(user_id, batch.evidence, [position])
        return crossings
