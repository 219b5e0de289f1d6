"""Activity: what suspects do, by user, for people to look up.

Derived from detection and never needed to recover it.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.detection.suspect import Suspect
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


class Sighting(NamedTuple):
    """A suspect in a window of its."""

    rule: Rule
    start: int
    open: bool
    suspect: Suspect

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

    Of windows of a rule that overlap, the one is shown in which the user has most clicks.

    Args:
        partition: of the clicks topic.
        rows: keys of the rows that an earlier owner of the partition left.
    """

    def __init__(self, partition: int, rows: Iterable[bytes] = ()) -> None:
        self.partition = partition
        self._closed: dict[str, list[Sighting]] = {}
        self._expiring: list[tuple[int, str]] = []
        self._changed: set[str] = set()
        self._written: dict[str, int] = {}
        self._shown = {key.decode() for key in rows}

    def close(self, window: Window) -> None:
        """Look at the suspects of a window for the last time."""
        for user_id, suspect in window.suspects.items():
            if user_id not in self._closed:
                heapq.heappush(self._expiring, (window.end + KEEP_SECONDS, user_id))
            sightings = self._closed.get(user_id, [])
            self._closed[user_id] = _apart([*sightings, Sighting(window.rule, window.start, False, suspect)])
        self._changed.update(window.suspects)

    def rows(self, detection: Detection) -> dict[bytes, bytes | None]:
        """Rows to write: changed since they were last, by key; None where nothing is left."""
        self._expire(detection.watermark)
        open_ = list(detection.open_windows())
        clicks, most = Counter[str](), Counter[str]()
        for pane in detection.panes():
            for user_id, suspect in pane.suspects.all().items():
                clicks[user_id] += suspect.exact
                most[user_id] = max(most[user_id], suspect.exact)
        for user_id in self._changed & self._closed.keys():
            most[user_id] = max(most[user_id], *(each.suspect.exact for each in self._closed[user_id]))
        self._changed.update(user for user, exact in clicks.items() if exact != self._written.get(user))
        self._changed &= most.keys()

        gone = {user_id for user_id in self._shown if user_id not in self._closed and user_id not in clicks}
        rows: dict[bytes, bytes | None] = {user_id.encode(): None for user_id in gone}
        self._shown -= gone
        for user_id in heapq.nlargest(ROWS_AT_ONCE, self._changed, key=most.__getitem__):
            rows[user_id.encode()] = self._row(user_id, open_)
            self._changed.discard(user_id)
            self._shown.add(user_id)
            self._written[user_id] = clicks[user_id]
        self._written = {user_id: exact for user_id, exact in self._written.items() if user_id in clicks}
        return rows

    def _expire(self, watermark: float) -> None:
        while self._expiring and self._expiring[0][0] <= watermark:
            _, user_id = heapq.heappop(self._expiring)
            ends = [each.start + each.rule.window + KEEP_SECONDS for each in self._closed[user_id]]
            kept = [each for each, end in zip(self._closed[user_id], ends, strict=True) if end > watermark]
            if len(kept) < len(ends):
                self._changed.add(user_id)
            if kept:
                self._closed[user_id] = kept
                heapq.heappush(self._expiring, (min(end for end in ends if end > watermark), user_id))
            else:
                del self._closed[user_id]

    def _row(self, user_id: str, open_: Sequence[Window]) -> bytes:
        known = [(window, window.suspect(user_id)) for window in open_]
        now = [Sighting(window.rule, window.start, True, found) for window, found in known if found]
        sightings = _apart([*self._closed.get(user_id, ()), *now])
        sightings.sort(key=lambda each: (each.start, each.rule.name))
        row = Row(user_id, self.partition, [sighting.entry for sighting in sightings])
        return msgspec.json.encode(row)


def _apart(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Of those in windows of one rule that overlap, the ones with most clicks."""
    kept: list[Sighting] = []
    for sighting in sorted(sightings, key=lambda each: -each.suspect.count_high):
        rule, start = sighting.rule, sighting.start
        if not any(each.rule.name == rule.name and abs(each.start - start) < rule.window for each in kept):
            kept.append(sighting)
    return kept
