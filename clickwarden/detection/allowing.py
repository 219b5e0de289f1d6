"""Which allow-list what is found in one partition is told by, from which of its offsets on."""

from collections.abc import Iterable

from clickwarden.detection.allowlist import AllowList
from clickwarden.detection.anomaly import Anomaly


class Allowing:
    """Marks what is told of users on the allow-list.

    The list that holds is the one in force at the offset where something is
    told, and not when the window opened: who is allowed at three in the morning
    is allowed at once. A change of it is planned for the end of the partition
    and durable before anything is told by it, as one of the rules.

    Attributes:
        entries: all lists, as far as they are known.
        number: of the change that made the list in force; 0: it is empty.
        changes: numbers of the lists to put into force, and the offset from which on.
    """

    def __init__(self) -> None:
        self.entries = AllowList()
        self.number = 0
        self.changes: list[tuple[int, int]] = []

    def plan(self, number: int, offset: int) -> bool:
        """Put the list that a change has made into force from ``offset`` on; False if that is planned."""
        if (self.changes[-1][1] if self.changes else self.number) == number:
            return False
        self.changes.append((offset, number))
        return True

    def adopt(self, offset: int) -> int | None:
        """Put into force what is planned up to ``offset``; returns the offset of the next change, if any."""
        while self.changes and self.changes[0][0] <= offset:
            self.number = self.changes.pop(0)[1]
        return self.changes[0][0] if self.changes else None

    def mark(self, anomalies: Iterable[Anomaly]) -> None:
        """Say of each anomaly why its user is allowed to, if the list in force has it."""
        if self.number:
            for anomaly in anomalies:
                anomaly.allowed = self.entries.reason(self.number, anomaly.user_id, anomaly.window_start)
