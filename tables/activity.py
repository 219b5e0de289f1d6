"""Activity: what suspects do, by user, for people to look up.

Derived from detection and never needed to recover it.
"""

import heapq
import math
from collections.abc import Iterable

import msgspec

from app.application import app
from app.records import isotime
from tables import partitioned
from tables.detection import Detection
from tables.suspects import Suspect
from tables.windows import Window

#: How long a window is shown after it closed, seconds of event time.
KEEP_SECONDS = 600
#: Users written with one snapshot, the most active first; the others follow with the next.
ROWS_AT_ONCE = 500

activity = partitioned.declare(
    app,
    "activity",
    partitioned.PartitionedTable,
    1 << 20,
    schema=partitioned.raw(value_serializer="json"),
    help="Windows of each suspect, by user_id",
)


class Entry(msgspec.Struct):
    """One user in one window of one rule; times are ISO-8601 UTC."""

    rule: str
    window_start: str
    window_end: str
    open: bool
    count_low: int
    count_high: int
    threshold: int
    first_seen: str
    last_seen: str
    events: dict[str, int]
    distinct_products: int
    expires: float


class Row(msgspec.Struct):
    """One user: its windows, oldest first."""

    user_id: str
    partition: int
    windows: list[Entry]


class Activity:
    """The rows of one partition."""

    def __init__(self, partition: int, rows: Iterable[bytes] = ()) -> None:
        self.partition = partition
        self._users: dict[str, dict[tuple[str, str], Entry]] = {}
        self._expiring: list[tuple[float, str, tuple[str, str]]] = []
        self._changed: set[str] = set()
        for saved in rows:
            row = msgspec.json.decode(saved, type=Row)
            for entry in row.windows:
                self._keep(row.user_id, entry)
        self._changed.clear()

    def _keep(self, user_id: str, entry: Entry) -> None:
        windows = self._users.setdefault(user_id, {})
        name = (entry.window_start, entry.rule)
        if name not in windows:
            heapq.heappush(self._expiring, (entry.expires, user_id, name))
        windows[name] = entry
        self._changed.add(user_id)

    def note(self, window: Window, is_open: bool) -> None:
        """Take over what a window knows of its suspects."""
        start = isotime(window.start)
        for user_id, suspect in window.suspects.items():
            known = self._users.get(user_id, {}).get((start, window.rule.name))
            if known is None or known.open != is_open or known.count_high != suspect.count_high:
                self._keep(user_id, _entry(window, suspect, is_open))

    def rows(self, detection: Detection) -> dict[bytes, bytes | None]:
        """Rows to write: changed since they were last, by key; None where nothing is left."""
        for detector in detection.detectors:
            for window in detector.windows.values():
                self.note(window, is_open=True)
        self._expire(detection.watermark)
        changed = self._changed
        if len(changed) > ROWS_AT_ONCE:
            changed = set(heapq.nlargest(ROWS_AT_ONCE, changed, key=self._most))
        self._changed = self._changed - changed
        return {user_id.encode(): self._row(user_id) for user_id in changed}

    def _expire(self, watermark: float) -> None:
        while self._expiring and self._expiring[0][0] <= watermark:
            _, user_id, name = heapq.heappop(self._expiring)
            windows = self._users[user_id]
            del windows[name]
            if not windows:
                del self._users[user_id]
            self._changed.add(user_id)

    def _most(self, user_id: str) -> float:
        windows = self._users.get(user_id)
        return max(entry.count_high for entry in windows.values()) if windows else math.inf

    def _row(self, user_id: str) -> bytes | None:
        windows = self._users.get(user_id)
        if windows is None:
            return None
        entries = [entry for _, entry in sorted(windows.items())]
        return msgspec.json.encode(Row(user_id, self.partition, entries))


def _entry(window: Window, suspect: Suspect, is_open: bool) -> Entry:
    return Entry(
        rule=window.rule.name,
        window_start=isotime(window.start),
        window_end=isotime(window.end),
        open=is_open,
        count_low=suspect.count_low,
        count_high=suspect.count_high,
        threshold=window.rule.threshold,
        first_seen=isotime(suspect.first),
        last_seen=isotime(suspect.last),
        events=dict(suspect.events),
        distinct_products=suspect.distinct_products,
        expires=window.end + KEEP_SECONDS,
    )
