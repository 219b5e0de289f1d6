"""Which anomalies of a user are one incident."""

from collections.abc import Sequence

from clickwarden.detection.closed import ClosedWindow, ClosedWindows
from clickwarden.detection.rule_windows import RuleWindows
from clickwarden.detection.rules import Rule
from clickwarden.detection.windows import Window, WindowName


class Incidents:
    """Gives each user over the threshold in a window the incident that the window is part of.

    An incident goes on in every window that overlaps or adjoins one of its
    own, until the rule is given windows of another length or slide, or goes into
    or out of shadow, and is named after the one that it was first seen in: what was said once stays.
    Where two come to adjoin each other, the earlier one goes on.

    What is open, or was closed so shortly that a click in time can adjoin it,
    :attr:`RuleWindows.told` knows whatever happens; older windows are known
    for as long as they can be corrected.
    """

    def __init__(self, rule_windows: Sequence[RuleWindows], closed: ClosedWindows) -> None:
        self._rule_windows = rule_windows
        self._closed = closed

    def join(self, ruled: RuleWindows, window: Window | ClosedWindow, user_id: str, watermark: float) -> int:
        """Start of the window that the incident of a suspect in this window began with.

        ``watermark`` is what the click met that took the suspect over the threshold.
        """
        suspect = window.suspect(user_id)
        assert suspect is not None
        if suspect.incident is not None:
            return suspect.incident
        size = ruled.rule.window
        for start in range(window.start - size, window.end + 1, ruled.rule.step):
            suspect.incident = self._known(ruled.rule, start, user_id, watermark - size)
            if suspect.incident is not None:
                break
        else:
            suspect.incident = window.start
        if window.end > watermark - size:
            ruled.told.setdefault(window.start, {})[user_id] = suspect.incident
        return suspect.incident

    def _known(self, rule: Rule, start: int, user_id: str, since: float) -> int | None:
        """The incident that a user has in a window, of which none is forgotten that ends after ``since``."""
        for ruled in self._rule_windows:
            if ruled.rule.alike(rule) and start + rule.window > since:
                incident = ruled.told.get(start, {}).get(user_id)
                if incident is not None:
                    return incident
        closed = self._closed.get(WindowName(rule.name, start))
        suspect = closed.suspect(user_id) if closed is not None and closed.rule.alike(rule) else None
        return None if suspect is None else suspect.incident
