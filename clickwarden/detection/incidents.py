"""Which anomalies of a user are one incident."""

from collections.abc import Sequence

from clickwarden.detection.closed import ClosedWindows
from clickwarden.detection.rule_windows import RuleWindows
from clickwarden.detection.rules import Rule
from clickwarden.detection.windows import WindowName


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

    def join(self, ruled: RuleWindows, start: int, user_id: str, watermark: float) -> int:
        """Start of the window that the incident of a user in the window that begins at ``start`` began with.

        ``watermark`` is what the click met that took the user over the threshold.
        """
        said = ruled.told.incident(start, user_id)
        if said is not None:
            return said
        size = ruled.rule.window
        nearby = range(start - size, start + size + 1, ruled.rule.step)
        known = (self._known(ruled.rule, near, user_id, watermark - size) for near in nearby)
        incident = next((incident for incident in known if incident is not None), start)
        if start + size > watermark - size:
            ruled.told.join(start, user_id, incident)
        return incident

    def _known(self, rule: Rule, start: int, user_id: str, since: float) -> int | None:
        """The incident that a user has in a window, of which none is forgotten that ends after ``since``."""
        if start + rule.window > since:
            for ruled in self._rule_windows:
                incident = ruled.told.incident(start, user_id)
                if incident is not None and ruled.rule.alike(rule):
                    return incident
        closed = self._closed.get(WindowName(rule.name, start))
        suspect = closed.suspect(user_id) if closed is not None and closed.rule.alike(rule) else None
        return None if suspect is None else suspect.incident
