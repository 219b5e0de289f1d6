"""Who was told of by some rules, and in how many messages."""

from collections.abc import Iterable, Iterator

import msgspec

from clickwarden.detection.allowlist import AllowList
from clickwarden.detection.anomaly import Anomaly
from clickwarden.times import epoch

#: Windows that are kept one by one; of those beyond, only the worst and how many. A draft that tells of so
#: many is wrong anyway, and must not take the machine's memory to say so.
MOST_WINDOWS = 500_000


class Reported(msgspec.Struct, gc=False):
    """What was told of one user under one rule.

    Attributes:
        count: of the worst window, the best estimate: ``count_high``.
        threshold: of the rule in that window.
        worst: its start, epoch seconds.
        windows: how many.
        incidents: how many, of which people are told once each; but for those of who is allowed.
        distinct: the field of which different values were counted; None where clicks were.
    """

    count: int = 0
    threshold: int = 0
    worst: int = 0
    windows: int = 0
    incidents: int = 0
    distinct: str | None = None


class Told:
    """What some rules told of, in windows that begin at a moment or later, once each.

    Attributes:
        allow_list: of whom nobody is told; the newest list holds.
        reported: by rule and user.
    """

    def __init__(self) -> None:
        self.allow_list = AllowList()
        self.reported: dict[tuple[str, str], Reported] = {}
        self._windows: set[str] = set()
        self._incidents: set[str] = set()

    def take(self, anomalies: Iterable[Anomaly], since: float) -> None:
        """Take what was found, in its order."""
        for anomaly in anomalies:
            start = int(epoch(anomaly.window_start))
            if start < since:
                continue
            case = anomaly.rule, anomaly.user_id
            reported = self.reported.get(case)
            if reported is None:
                reported = self.reported[case] = Reported()
            if self._is_new(anomaly):
                reported.windows += 1
                reported.incidents += self._begins(anomaly) and not self._allowed(anomaly)
            if anomaly.count > reported.count:
                reported.count, reported.threshold, reported.worst = anomaly.count, anomaly.threshold, start
                reported.distinct = anomaly.distinct

    def _allowed(self, anomaly: Anomaly) -> bool:
        entries = self.allow_list
        return bool(entries.reason(entries.number, anomaly.user_id, anomaly.window_start))

    def _is_new(self, anomaly: Anomaly) -> bool:
        """Whether nothing was told of the user in this window before."""
        if anomaly.alert_id in self._windows:
            return False
        if len(self._windows) < MOST_WINDOWS:
            self._windows.add(anomaly.alert_id)
            return True
        return anomaly.status == "ongoing" and not anomaly.revision

    def _begins(self, anomaly: Anomaly) -> bool:
        """Whether nothing was told of its incident, which may have begun in windows that are left out."""
        if len(self._incidents) >= MOST_WINDOWS:
            return anomaly.incident_id == anomaly.alert_id
        known = len(self._incidents)
        self._incidents.add(anomaly.incident_id)
        return len(self._incidents) > known

    @property
    def users(self) -> set[str]:
        """All of whom something was told."""
        return {user for _, user in self.reported}

    def of(self, rule: str) -> Iterator[tuple[str, Reported]]:
        """What one rule told, by user."""
        return ((user, reported) for (name, user), reported in self.reported.items() if name == rule)
