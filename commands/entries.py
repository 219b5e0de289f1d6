"""What the terminal shows of incidents: one entry each, however many windows an incident lasts."""

import sys
from collections.abc import Iterable, Iterator

from clickwarden.alerts.stories import KEEP, WINDOWS
from clickwarden.detection.anomaly import Anomaly, Status
from clickwarden.times import epoch


class Entry:
    """An incident, as far as it is known.

    Attributes:
        worst: what holds of its window with the highest count, of several the first.
        windows: how many.
        window_start: of its first window, ISO-8601 UTC.
        window_end: of its last window, the first second behind it.
        times: how many times the threshold is known to be broken in one of its windows, in the steps of
            :data:`~clickwarden.detection.steps.STEPS`.
    """

    def __init__(self, anomaly: Anomaly) -> None:
        self.worst = anomaly
        self.times = anomaly.times
        self.windows = 0
        self.window_start = anomaly.window_start
        self.window_end = anomaly.window_end
        self._statuses: dict[str, Status] = {}  # by start of the window; of those that are over the newest
        self.hear(anomaly)

    @property
    def status(self) -> Status:
        """``ongoing`` while one of its windows is open, ``corrected`` if clicks came late for one."""
        said = set(self._statuses.values())
        return next(status for status in ("ongoing", "corrected", "closed") if status in said)

    def hear(self, anomaly: Anomaly) -> None:
        """Take over a statement that replaces what was known of its window."""
        self.window_start = min(self.window_start, anomaly.window_start)
        self.window_end = max(self.window_end, anomaly.window_end)
        if anomaly.count_high > self.worst.count_high or anomaly.alert_id == self.worst.alert_id:
            self.worst = anomaly
        self.times = max(self.times, anomaly.times)
        self.windows += anomaly.window_start not in self._statuses
        self._statuses[sys.intern(anomaly.window_start)] = anomaly.status
        if len(self._statuses) > WINDOWS:
            over = (start for start, status in self._statuses.items() if status != "ongoing")
            self._statuses.pop(next(over, ""), None)


class Entries:
    """The incidents that were shown, to be shown again when there is news of them."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._shown: dict[str, tuple[Status, int]] = {}

    def hear(self, anomalies: Iterable[Anomaly]) -> list[Entry]:
        """Take over statements, none of them twice; those to be shown, that heard of last at the end.

        They are those that begin, become worse, end, go on, or are corrected afterwards.
        """
        news: dict[str, Entry] = {}
        corrected = set()
        for anomaly in anomalies:
            name = name_of(anomaly)
            entry = self._entries.pop(name, None)
            if entry is None:
                entry = Entry(anomaly)
            else:
                entry.hear(anomaly)
            self._entries[name] = entry
            news.pop(name, None)
            news[name] = entry
            if anomaly.status == "corrected":
                corrected.add(name)
            if len(self._entries) > KEEP:
                forgotten = next(iter(self._entries))
                del self._entries[forgotten]
                self._shown.pop(forgotten, None)
        shown = []
        for name, entry in news.items():
            status, times = self._shown.get(name, ("", 0))
            again = entry.status == "corrected" and name in corrected
            if entry.status != status or entry.times > times or again:
                self._shown[name] = entry.status, entry.times
                shown.append(entry)
        return shown


def entries_of(anomalies: Iterable[Anomaly]) -> Iterator[Entry]:
    """The incidents of closed anomalies, each when it is over.

    Args:
        anomalies: in the order in which their windows end, each once.
    """
    open_entries: dict[str, tuple[Entry, float]] = {}  # and the end of the last window that may be part of it
    now = ""
    for anomaly in anomalies:
        end = epoch(anomaly.window_end)
        if anomaly.window_end != now:
            now = anomaly.window_end
            for name in [name for name, (_, last) in open_entries.items() if last < end]:
                yield open_entries.pop(name)[0]
        name = name_of(anomaly)
        if name in open_entries:
            entry = open_entries[name][0]
            entry.hear(anomaly)
        else:
            entry = Entry(anomaly)
        open_entries[name] = entry, end + end - epoch(anomaly.window_start)
    yield from (entry for entry, _ in open_entries.values())


def name_of(anomaly: Anomaly) -> str:
    """The id of its incident; an anomaly of an older release is one of its own."""
    return anomaly.incident_id or anomaly.alert_id
