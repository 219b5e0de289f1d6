"""One pane of one rule: a sketch, and the suspects it brought up."""

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import Batch
from clickwarden.detection.roster import Roster
from clickwarden.detection.rules import Rule
from clickwarden.detection.sketch import Sketch
from clickwarden.detection.suspects import Suspects


class Pane:
    """What is known of the clicks in ``[start, start + rule.step)``.

    Windows are made of panes: of one where they lie side by side, and where
    they overlap of those that they have in common with others. A click is
    counted in one pane only. What is known of a user in a window is the sum of
    what is known in its panes; of one who is no suspect there, at most the
    estimate of the sketch and at least nothing.
    """

    def __init__(self, start: int, rule: Rule, seed: int, max_suspects: int, roster: Roster) -> None:
        self.start = start
        self.rule = rule
        self.seed = seed
        self.max_suspects = max_suspects
        self.clicks = 0
        self.sketch = Sketch(rule.cells, ceiling=rule.threshold + 1)
        self.suspects = Suspects(roster, rule)
        self.measure = rule.measure
        self._level = rule.level

    @property
    def full(self) -> bool:
        """Whether the places for suspects are taken."""
        return len(self.suspects) >= self.max_suspects

    @property
    def level(self) -> int:
        """Count in a window that makes its user a suspect now.

        With the suspects' places taken, only one over the threshold is let
        in, whom we must report.
        """
        return self.rule.threshold + 1 if self.full else self._level

    @property
    def certain(self) -> bool:
        """Whether each user is known from the first click on, so that the sketch need not hold it."""
        return self.measure is not None and self.level == 1

    def high(self, batch: Batch, user: int) -> int:
        """At most so many clicks of one user of a batch, by number."""
        high = self.suspects.high(batch.users[user])
        if high is None:
            cells = batch.cells(self.seed, self.sketch.width)[:, user]
            high = int(self.sketch.cells[cells].min())
        return high

    def highs(self, cells: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """At most so many clicks of each of n users.

        ``cells``, of shape (DEPTH, n), are theirs in a sketch of this width, ``rows`` among the suspects.
        """
        highs = self.sketch.estimate(cells)
        known = np.flatnonzero(rows >= 0)
        highs[known] = self.suspects.highs(rows[known])
        return highs
