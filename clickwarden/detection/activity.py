"""Activity: what suspects do, by user, for people to look up.

Derived from detection and never needed to recover it.
"""

import heapq
from collections.abc import Iterable

import msgspec

from clickwarden.detection.detection import Detection
from clickwarden.detection.suspects import Suspect
from clickwarden.detection.windows import Window
from clickwarden.times import isotime

#: How long a window is shown after it closed, seconds of event time.
KEEP_SECONDS = 600
#: Users written with one snapshot, the most active first; the others follow with the next.
ROWS_AT_ONCE = 100


class UserWindow(msgspec.Struct):
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


class Row(msgspec.Struct):
    """One user: its windows, oldest first."""

    user_id: str
    partition: int
    windows: list[UserWindow]


class Sighting:
    """A suspect in a window, and how much of it was written."""

    __slots__ = ("open", "rule", "start", "suspect", "written")

    def __init__(self, window: Window, suspect: Suspect) -> None:
        self.start = window.start
        self.rule = window.rule
        self.suspect = suspect
        self.open = True
        self.written = 0

    @property
    def entry(self) -> UserWindow:
        """What is shown of it."""
        suspect = self.suspect
        return UserWindow(
            rule=self.rule.name,
            window_start=isotime(self.start),
            window_end=isotime(self.start + self.rule.window),
            open=self.open,
            count_low=suspect.count_low,
            count_high=suspect.count_high,
            threshold=self.rule.threshold,
            first_seen=isotime(suspect.first),
            last_seen=isotime(suspect.last),
            events=suspect.event_mix,
            distinct_products=suspect.distinct_products,
        )


class Activity:
    """The rows of one partition: what changes is written, what is old removed.

    Args:
        partition: of the clicks topic.
        rows: keys of the rows that an earlier owner of the partition left.
    """

    def __init__(self, partition: int, rows: Iterable[bytes] = ()) -> None:
        self.partition = partition
        self._users: dict[str, dict[tuple[int, str], Sighting]] = {}
        self._expiring: list[tuple[int, str, tuple[int, str]]] = []
        self._gone = {key.decode() for key in rows}

    def note(self, window: Window) -> None:
        """Look at the suspects of an open window."""
        name = (window.start, window.rule.name)
        for user_id, suspect in window.suspects.all().items():
            sightings = self._users.setdefault(user_id, {})
            if name not in sightings:
                sightings[name] = Sighting(window, suspect)
                heapq.heappush(self._expiring, (window.end + KEEP_SECONDS, user_id, name))

    def close(self, window: Window) -> None:
        """Look at the suspects of a window for the last time."""
        self.note(window)
        for user_id in window.suspects.all():
            sighting = self._users[user_id][window.start, window.rule.name]
            sighting.open, sighting.written = False, 0

    def rows(self, detection: Detection) -> dict[bytes, bytes | None]:
        """Rows to write: changed since they were last, by key; None where nothing is left."""
        for window in detection.open_windows():
            self.note(window)
        self._expire(detection.watermark)
        changed = {
            user_id: max(sighting.suspect.exact for sighting in sightings.values())
            for user_id, sightings in self._users.items()
            if any(sighting.written != sighting.suspect.exact for sighting in sightings.values())
        }
        rows: dict[bytes, bytes | None] = {
            user_id.encode(): None for user_id in self._gone if user_id not in self._users
        }
        self._gone.clear()
        for user_id in heapq.nlargest(ROWS_AT_ONCE, changed, key=changed.__getitem__):
            rows[user_id.encode()] = self._row(user_id)
        return rows

    def _expire(self, watermark: float) -> None:
        while self._expiring and self._expiring[0][0] <= watermark:
            _, user_id, name = heapq.heappop(self._expiring)
            del self._users[user_id][name]
            if not self._users[user_id]:
                del self._users[user_id]
                self._gone.add(user_id)

    def _row(self, user_id: str) -> bytes:
        sightings = [sighting for _, sighting in sorted(self._users[user_id].items())]
        for sighting in sightings:
            sighting.written = sighting.suspect.exact
        row = Row(user_id, self.partition, [sighting.entry for sighting in sightings])
        return msgspec.json.encode(row)
