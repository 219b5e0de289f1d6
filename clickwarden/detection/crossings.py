"""The windows in which a user goes over a threshold, or comes further, with clicks in one pane of them."""

from collections.abc import Iterable, Sequence, Set
from operator import attrgetter, itemgetter
from typing import NamedTuple

from msgspec.structs import replace

from clickwarden.detection.batch import Batch
from clickwarden.detection.measure import Distinct
from clickwarden.detection.measured import measuring_of
from clickwarden.detection.panes import Pane
from clickwarden.detection.rising import Rising
from clickwarden.detection.steps import STEPS
from clickwarden.detection.suspect import Suspect
from clickwarden.detection.told import Told
from clickwarden.detection.windows import Share, together


class Crossing(NamedTuple):
    """The moment a user went over the threshold in a window, or came to a further step.

    ``suspect`` is what was known at that click; ``click`` its position in the batch; ``steps`` how many of
    the :data:`~clickwarden.detection.steps.STEPS` are reached, 0 where the user went over.
    """

    click: int
    start: int
    user_id: str
    suspect: Suspect
    steps: int = 0


class Neighbour(NamedTuple):
    """Another pane of some of a part's windows; ``windows`` says which of them, by their places."""

    pane: Pane
    windows: slice


class Crossings:
    """Finds out in which windows users cross, with clicks that fall into one pane, and what is known then.

    Args:
        batch: that holds the clicks.
        pane: that they fall into.
        windows: starts of those that they count in, ascending.
        neighbours: the other panes of these windows that hold clicks.
        told: who has gone over the threshold.

    Attributes:
        bits: by window, the one that stands for it in the pane's notes of who was told of.
        measuring: of the pane's rule, of this batch.
    """

    def __init__(
        self,
        batch: Batch,
        pane: Pane,
        windows: Sequence[int],
        neighbours: Sequence[Neighbour],
        told: Told,
    ) -> None:
        self.bits = [1 << (pane.start - start) // pane.rule.step for start in windows]
        self.measuring = measuring_of(pane.rule, batch, pane.seed)
        self._batch = batch
        self._pane = pane
        self._windows = windows
        self._neighbours = neighbours
        self._told = told

    def is_open(self, user: int, windows: Iterable[int]) -> bool:
        """Whether there is one of the windows, by their places, that a user has not gone over in."""
        user_id = self._batch.users[user]
        return any((self._windows[window], user_id) not in self._told for window in windows)

    def over(self, user: int, high: int, elsewhere: list[int], clicks: list[int]) -> list[Crossing]:
        """The windows in which a suspect crosses with these clicks, which come on top of ``high``."""
        user_id, suspects = self._batch.users[user], self._pane.suspects
        lacking = self._pane.rule.threshold + 1 - high
        crossings: list[Crossing] = []
        known: dict[int, Suspect] = {}
        shares: dict[int, Share] = {}
        for start, bit, other in zip(self._windows, self.bits, elsewhere, strict=True):
            needed = max(1, lacking - other)
            if needed > len(clicks) or suspects.is_told(user_id, bit):
                continue
            if (start, user_id) not in self._told:
                beside: dict[int, Share] = {}
                if other:
                    shares = shares or self._shares(user)
                    beside = self._within(start, shares)
                enough = self._enough(user, list(beside.values()), clicks, needed)
                if enough is None:
                    continue
                self._told.add(start, user_id)
                here = known.get(enough) or known.setdefault(enough, self._with(user_id, clicks[:enough]))
                suspect = self._together(beside, here) if beside else replace(here)
                crossings.append(Crossing(clicks[enough - 1], start, user_id, suspect))
            suspects.note_told(user_id, bit)
        return crossings

    def _with(self, user_id: str, clicks: list[int]) -> Suspect:
        """What is known of a suspect here with some clicks more."""
        here = self.suspect(user_id).copy()
        here.add(self._batch.evidence, clicks)
        self.measuring.note(here, clicks, self._pane.suspects.room)
        return here

    def _enough(self, user: int, beside: list[Share], clicks: list[int], needed: int) -> int | None:
        """How many of the clicks take a suspect over the threshold of a window.

        By their number alone, so many are ``needed``.
        """
        measure, suspects = self._pane.measure, self._pane.suspects
        if measure is None or (isinstance(measure, Distinct) and not self._pane.rule.overlapping):
            return needed
        here = self.suspect(self._batch.users[user])
        return self.measuring.needed(here, beside, clicks, suspects.room)

    def _together(self, beside: dict[int, Share], here: Suspect) -> Suspect:
        """What is known of a user in a window, of what is known in its other panes, and here."""
        shares = beside | {self._pane.start: Share(here, 0)}
        return together(share for _, share in sorted(shares.items(), key=itemgetter(0)))

    def _shares(self, user: int) -> dict[int, Share]:
        """What is known of a user in the other panes of the windows, by their starts."""
        user_id = self._batch.users[user]
        return {
            pane.start: Share(pane.suspects.get(user_id), pane.high(self._batch, user))
            for pane, _ in self._neighbours
        }

    def _within(self, start: int, shares: dict[int, Share]) -> dict[int, Share]:
        """Those of the shares that are in the window which starts there."""
        end = start + self._pane.rule.window
        return {pane: share for pane, share in shares.items() if start <= pane < end}

    def further(
        self, user: int, climbing: Iterable[tuple[int, int]], clicks: list[int], over: Iterable[Crossing]
    ) -> list[Crossing]:
        """The windows in which a suspect, who has gone over, comes to further steps with clicks.

        Args:
            user: whose clicks they are, by number.
            climbing: starts of windows, and what is certain there before.
            clicks: that are counted exactly, and at once.
            over: the windows that the user went over in with them.
        """
        user_id, threshold = self._batch.users[user], self._pane.rule.threshold
        crossed = {crossing.start: crossing.click for crossing in over}
        reaching = sorted(
            (enough, start, steps)
            for start, low in climbing
            for steps, times in enumerate(STEPS, 1)
            if 0 < (enough := times * threshold - low) <= len(clicks)
            and (start, user_id) in self._told
            and clicks[enough - 1] > crossed.get(start, -1)
        )
        if not reaching:
            return []
        shares, here, added, found = self._shares(user), self.suspect(user_id).copy(), 0, []
        for enough, start, steps in reaching:
            if enough > added:
                here.add(self._batch.evidence, clicks[added:enough])
                self.measuring.note(here, clicks[added:enough], self._pane.suspects.room)
                added = enough
            suspect = self._together(self._within(start, shares), here)
            found.append(Crossing(clicks[enough - 1], start, user_id, suspect, steps))
        return found

    def risen(self, position: int, rising: Rising, crossed: Set[int]) -> list[Crossing]:
        """The windows in which a user comes to a further step with this click, that was added.

        Not those that the user has not crossed in, or with this very click: ``crossed``.
        """
        user = int(self._batch.user[position])
        user_id = self._batch.users[user]
        crossings = []
        for place, start in enumerate(self._windows):
            steps = rising.add(start, user) if self._is_new(position, place) else 0
            if steps and start not in crossed and (start, user_id) in self._told:
                shares = [
                    Share(pane.suspects.get(user_id), pane.high(self._batch, user))
                    for pane in self.panes_of(place)
                ]
                crossings.append(Crossing(position, start, user_id, together(shares), steps))
        return crossings

    def _is_new(self, position: int, window: int) -> bool:
        """Whether a click, whose value is new in the pane, brings a value that is new in a window."""
        measure, rule = self._pane.measure, self._pane.rule
        if not isinstance(measure, Distinct) or not rule.overlapping:
            return True
        value = int(self._batch.values(measure.field, self._pane.seed)[position])
        user_id = self._batch.users[self._batch.user[position]]
        others = (pane.suspects.get(user_id) for pane in self.panes_of(window) if pane is not self._pane)
        return not any(value in (other.values or ()) for other in others if other is not None)

    def panes_of(self, window: int) -> list[Pane]:
        """The panes of a window, by its place, ascending."""
        panes = [pane for pane, windows in self._neighbours if windows.start <= window < windows.stop]
        return sorted([self._pane, *panes], key=attrgetter("start"))

    def suspect(self, user_id: str) -> Suspect:
        """What is known of a suspect in the pane."""
        suspect = self._pane.suspects.get(user_id)
        assert suspect is not None
        return suspect
