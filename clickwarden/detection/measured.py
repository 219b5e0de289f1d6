"""What the clicks of a batch say of suspects where more than their number counts."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import Batch
from clickwarden.detection.measure import Distinct, Portion
from clickwarden.detection.rules import Rule
from clickwarden.detection.suspect import Suspect
from clickwarden.detection.windows import Share

#: Different values kept of one suspect, at least; one more than the threshold where that is higher.
VALUES_MAX = 4096


class Measuring:
    """Of a rule that counts clicks: each counts, and nothing else is looked at."""

    def __init__(self, rule: Rule) -> None:
        self.threshold = rule.threshold

    def counted(self, suspect: Suspect, clicks: list[int], room: int) -> list[int]:
        """Those of a suspect's clicks that count, ``room`` being places for further values."""
        return clicks

    def note(self, suspect: Suspect, clicks: Sequence[int], room: int) -> int:
        """Add what clicks that count say beside their number; returns how many places that took."""
        return 0

    def over(self, suspect: Suspect) -> bool:
        """Whether what is known of a user in a window is too much."""
        return suspect.count_high > self.threshold

    def needed(
        self, here: Suspect, elsewhere: Iterable[Share], clicks: Sequence[int], room: int
    ) -> int | None:
        """How many of the clicks it takes until a user is over the threshold; None if all are not enough.

        Args:
            here: the user in the pane of the clicks.
            elsewhere: what is known in the other panes of the window.
            clicks: that count.
            room: places for further values.
        """
        window = here.figures()
        for suspect, high in elsewhere:
            if suspect is None:
                window.promoted += high
            else:
                window.join(suspect)
        here = here.figures()
        for number, click in enumerate(clicks, 1):
            room -= self._count(here, window, click, room)
            if self.over(window):
                return number
        return None

    def _count(self, here: Suspect, window: Suspect, click: int, room: int) -> int:
        window.exact += 1
        return self.note(window, [click], room)


class _Values(Measuring):
    """Of a rule that counts different values: a click counts whose value the suspect has not had.

    A value for which there is no place counts with each of its clicks.
    """

    def __init__(self, rule: Rule, values: NDArray[np.uint64]) -> None:
        super().__init__(rule)
        self._values = values
        self._most = max(VALUES_MAX, rule.threshold + 1)

    def counted(self, suspect: Suspect, clicks: list[int], room: int) -> list[int]:
        assert suspect.values is not None
        room = min(room, self._most - len(suspect.values))
        new: set[int] = set()
        counted = []
        for click, value in zip(clicks, self._values[clicks].tolist(), strict=True):
            if value in suspect.values or value in new:
                continue
            counted.append(click)
            if len(new) < room:
                new.add(value)
        return counted

    def note(self, suspect: Suspect, clicks: Sequence[int], room: int) -> int:
        assert suspect.values is not None
        before = len(suspect.values)
        room = min(room, self._most - before)
        suspect.values.update(self._values[list(clicks[: max(0, room)])].tolist())
        return len(suspect.values) - before

    def _count(self, here: Suspect, window: Suspect, click: int, room: int) -> int:
        taken = self.note(here, [click], room)
        value = int(self._values[click])
        assert window.values is not None
        if not taken or value not in window.values:
            window.exact += 1
        if taken:
            window.values.add(value)
        return taken


class _Shares(Measuring):
    """Of a rule that wants a share, which must be reached, too."""

    def __init__(self, rule: Rule, share: Portion, batch: Batch) -> None:
        super().__init__(rule)
        self._share, self._part = share, frozenset(share.part)
        self._events = batch.evidence.events

    def note(self, suspect: Suspect, clicks: Sequence[int], room: int) -> int:
        suspect.part += sum(count for event, count in self._events(clicks).items() if event in self._part)
        return 0

    def over(self, suspect: Suspect) -> bool:
        high = suspect.count_high
        return high > self.threshold and self._share.reached(suspect.part_high, high)


def measuring_of(rule: Rule, batch: Batch, seed: int) -> Measuring:
    """What a rule looks at in the clicks of a batch; values are known by their hashes with the seed."""
    measure = rule.measure
    if isinstance(measure, Distinct):
        return _Values(rule, batch.values(measure.field, seed))
    return _Shares(rule, measure, batch) if isinstance(measure, Portion) else Measuring(rule)
