"""Activity: what suspects do, by user, for people to look up.

Derived from detection and never needed to recover it.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

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
    """A suspect in a window of its.

    Attributes:
        window: that is open; None where it is over.
        clicks: of the user, at most.
        suspect: what is known since the window is over.
    """

    rule: Rule
    start: int
    clicks: int
    window: Window | None = None
    suspect: Suspect | None = None

    def entry(self, user_id: str) -> UserWindow:
        """What is shown of it."""
        suspect = self.suspect if self.window is None else self.window.suspect(user_id)
        assert suspect is not None
        return UserWindow(
            rule=self.rule.name,
            window_start=isotime(self.start),
            window_end=isotime(self.start + self.rule.window),
            open=self.window is not None,
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
            over = Sighting(window.rule, window.start, suspect.count_high, suspect=suspect)
            self._closed[user_id] = _apart([*sightings, over])
        self._changed.update(window.suspects)

    def rows(self, detection: Detection) -> dict[bytes, bytes | None]:
        """Rows to write: changed since they were last, by key; None where nothing is left."""
        self._expire(detection.watermark)
        clicks, most = Counter[str](), Counter[str]()
        for pane in detection.panes():
            for user_id, suspect in pane.suspects.all().items():
                clicks[user_id] += suspect.exact
                most[user_id] = max(most[user_id], suspect.exact)
        for user_id in self._changed & self._closed.keys():
            known = [each.suspect for each in self._closed[user_id]]
            most[user_id] = max(most[user_id], *(suspect.exact for suspect in known if suspect))
        self._changed.update(user for user, exact in clicks.items() if exact != self._written.get(user))
        self._changed &= most.keys()

        gone = {user_id for user_id in self._shown if user_id not in self._closed and user_id not in clicks}
        rows: dict[bytes, bytes | None] = {user_id.encode(): None for user_id in gone}
        self._shown -= gone
        users = heapq.nlargest(ROWS_AT_ONCE, self._changed, key=most.__getitem__)
        for user_id, now in zip(users, _sightings(detection, users), strict=True):
            rows[user_id.encode()] = self._row(user_id, now)
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

    def _row(self, user_id: str, now: Sequence[Sighting]) -> bytes:
        sightings = _apart([*self._closed.get(user_id, ()), *now])
        sightings.sort(key=lambda each: (each.start, each.rule.name))
        row = Row(user_id, self.partition, [sighting.entry(user_id) for sighting in sightings])
        return msgspec.json.encode(row)


def _sightings(detection: Detection, users: Sequence[str]) -> list[list[Sighting]]:
    """The open windows in which each of the users is a suspect."""
    sightings: list[list[Sighting]] = [[] for _ in users]
    for window, highs in detection.highs(users):
        for place in np.flatnonzero(highs).tolist():
            sightings[place].append(Sighting(window.rule, window.start, int(highs[place]), window))
    return sightings


def _apart(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Of those in windows of one rule that overlap, the ones with most clicks."""
    kept: list[Sighting] = []
    for sighting in sorted(sightings, key=lambda each: -each.clicks):
        rule, start = sighting.rule, sighting.start
        if not any(each.rule.name == rule.name and abs(each.start - start) < rule.window for each in kept):
            kept.append(sighting)
    return kept
