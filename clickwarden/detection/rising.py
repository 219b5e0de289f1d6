"""Who may come to a further step in the windows of a stretch, and when that is certain."""

from collections.abc import Iterable

from clickwarden.detection.panes import Pane
from clickwarden.detection.rules import Rule
from clickwarden.detection.steps import reached


class Rising:
    """How many clicks, or different values, are certain of those who may come to a further step.

    A step is reached when the lower bound of a count is there. In an open window that grows by one at a time,
    and never becomes less: so it is known without a note of who was told what, and after a crash again.

    Args:
        rule: of the windows.

    Attributes:
        torn: those of them whose clicks are to be counted one by one, by their numbers in the batch.
    """

    def __init__(self, rule: Rule) -> None:
        self.torn: set[int] = set()
        self._users: set[int] = set()
        self._threshold = rule.threshold
        self._lows: dict[tuple[int, int], int] = {}

    def __contains__(self, user: int) -> bool:
        """Whether a user may, in one of the windows."""
        return user in self._users

    def watch(self, start: int, user: int, low: int, more: int, *, alone: bool) -> None:
        """Follow a user in a window, if that may come to a further step there.

        Args:
            start: of the window.
            user: of the batch, by number.
            low: so much is certain now.
            more: so many clicks may add to it.
            alone: the order of all of these is the order in one pane, where each counts.
        """
        if reached(low + more, self._threshold) == reached(low, self._threshold):
            return
        self._lows[start, user] = low
        self._users.add(user)
        if not alone:
            self.torn.add(user)

    def add(self, start: int, user: int) -> int:
        """Count one that is certain; returns how many steps are reached, where it reaches one, and else 0."""
        low = self._lows.get((start, user))
        if low is None:
            return 0
        self._lows[start, user] = low + 1
        steps = reached(low + 1, self._threshold)
        return steps if steps > reached(low, self._threshold) else 0


def values_in(panes: Iterable[Pane], user_id: str) -> int:
    """How many different values of a user are known in some panes."""
    suspects = (pane.suspects.get(user_id) for pane in panes)
    return len(set().union(*(suspect.values or () for suspect in suspects if suspect is not None)))
