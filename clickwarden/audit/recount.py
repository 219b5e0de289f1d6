"""The exact recount: which users are over the threshold of which rule, when.

It is what the detection is judged by and so shares no code with it: the
standard library decodes the clicks one at a time, and plain dictionaries count
every user. That costs some 5 µs a click, and the memory of every user of every
open window.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from clickwarden.audit.allowed import Lists, Standing
from clickwarden.audit.reading import AuditRecord, Click, Ignored, Reader
from clickwarden.detection.rules import Rule
from clickwarden.formats.aside import (
    HEADER_ELEMENT,
    HEADER_OFFSET,
    HEADER_PARTITION,
    HEADER_RULES,
    HEADER_TOPIC,
    HEADER_UNCOUNTED,
    HEADER_UNCOUNTED_WINDOWS,
    HEADER_WINDOWS,
)
from clickwarden.formats.schema import Schema
from clickwarden.settings import Settings


class Case(NamedTuple):
    """One user in one window of one rule, in one partition of the clicks topic."""

    partition: int
    rule: str
    user_id: str
    window: int

    def __str__(self) -> str:
        """Name it for people; a user id is an attacker's text, and so escaped."""
        start = datetime.fromtimestamp(self.window, UTC)
        return f"{self.rule} {start:%Y-%m-%dT%H:%M:%SZ} user {self.user_id!r} partition {self.partition}"


class Count(NamedTuple):
    """Clicks of one case.

    Attributes:
        in_time: that came before the window was closed.
        late: that came when it was, and could still be counted.
        settled: those of the late that nothing more has come behind for so
            long that a correction must have told of them.
    """

    in_time: int
    late: int
    settled: int

    @property
    def total(self) -> int:
        """All that could be counted."""
        return self.in_time + self.late


class Missed(NamedTuple):
    """What the topic of late clicks says of one click: rule and start of windows.

    Older releases named the rules alone, whose windows did not overlap: the
    start is then None.

    Attributes:
        late: that were closed.
        uncounted: that could not count it any more.
    """

    late: frozenset[tuple[str, int | None]]
    uncounted: frozenset[tuple[str, int | None]]


#: Of a click: partition, offset, and which of the things in its record it is, from 0.
Place = tuple[int, int, int]

#: Of a click that the topic of late clicks does not hold.
NOTHING = Missed(frozenset(), frozenset())


class Recount:
    """Counts clicks exactly.

    Args:
        settings: names of the fields, lateness and skew.
        rules: what is abnormal, in partitions of which nothing else is told.
        adoptions: since which offset a partition is counted by which rules, the first first, by partition.
        excused: what only the worker knows of a click (see :func:`excuses`),
            by partition, offset and element: that wall clock had closed its
            window, or that it came too late to be counted at all.
        begins: first offset the topic still holds, by partition; 0 where not
            given. What came before it is lost to the recount, so windows it
            may have reached into are not judged.
        schemas: finds a schema of the topic's registry by its number; None where that knows none.
        lists: the allow-lists, and since which offset a partition is told of by which.

    Attributes:
        accepted: clicks that every rule they match counted in time.
        late: clicks whose window was closed under at least one rule they match.
        excused: those of them that were late by a decision of the wall clock.
        uncounted: those of them that a rule could not count any more.
        rejected: what is no click.
        ignored: tombstones, and what else says that nothing was clicked.
        further: all that records held beside the first thing.
    """

    def __init__(
        self,
        settings: Settings,
        rules: Iterable[Rule],
        excused: Mapping[Place, Missed] | None = None,
        begins: Mapping[int, int] | None = None,
        *,
        adoptions: Mapping[int, Sequence[tuple[int, Sequence[Rule]]]] | None = None,
        compacted: bool = False,
        schemas: Callable[[int], Schema | None] | None = None,
        lists: tuple[Lists, Mapping[int, Sequence[tuple[int, int]]]] | None = None,
    ) -> None:
        self._rules = list(rules)
        self._adoptions = adoptions or {}
        self._lists, self._told_lists = lists or (Lists(), {})
        self.begins = begins or {}
        self.accepted = self.late = self.excused = self.uncounted = self.rejected = self.ignored = 0
        self.further = 0
        self._settings = settings
        self._read = Reader(settings, schemas).read
        self._excused = excused or {}
        self._compacted = compacted
        self._partitions = {number: self._partition(number) for number in self.begins}

    def _partition(self, number: int) -> "_Partition":
        adoptions = self._adoptions.get(number) or [(0, self._rules)]
        told = self._told_lists.get(number, ())
        standing = Standing(told, self._settings.lateness, self._settings.idle_timeout)
        return _Partition(number, self.begins.get(number, 0), adoptions, standing)

    def add(self, number: int, records: Iterable[AuditRecord]) -> list[list[str]]:
        """Count the records that come next in this partition.

        Returns what became of all that each holds: accepted, late, uncounted, rejected or ignored.
        """
        if number not in self._partitions:
            self._partitions[number] = self._partition(number)
        return [self._add(self._partitions[number], record) for record in records]

    def _add(self, partition: "_Partition", record: AuditRecord) -> list[str]:
        partition.adopt(record.offset)
        partition.standing.reach(record, partition.newest, partition.watermark, partition.crossings)
        partition.end = record.offset + 1
        partition.records += 1
        partition.born = min(partition.born, record.timestamp / 1000.0)
        received = record.timestamp / 1000.0 if record.timestamp_type == 1 else None
        fates = []
        for element, thing in enumerate(self._read(record)):
            if isinstance(thing, Click):
                missed = self._excused.get((partition.number, record.offset, element), NOTHING)
                fates.append(self._count(partition, *thing, received, missed))
            elif isinstance(thing, Ignored):
                self.ignored += 1
                fates.append("ignored")
            else:
                self.rejected += 1
                fates.append("rejected")
        self.further += len(fates) - 1
        return fates

    def _count(
        self,
        partition: "_Partition",
        user: str,
        event: str,
        time: float,
        received: float | None,
        missed: Missed,
    ) -> str:
        late = excused = uncounted = False
        lateness = self._settings.lateness
        watermark = partition.watermark
        partition.advance(time, received, lateness)
        for tally in partition.tallies:
            if tally.events and event not in tally.events:
                continue
            for start in tally.starts_with(int(time)):
                if not tally.since <= start < tally.until:
                    continue
                by_the_clicks = start + tally.window <= watermark
                if not by_the_clicks and not _names(missed.late, tally.name, start):
                    tally.count(user, start, lateness)
                    continue
                late = True
                excused = excused or not by_the_clicks
                if _names(missed.uncounted, tally.name, start):
                    uncounted = True
                else:
                    tally.count_late(user, start, partition.now)
        self.late += late
        self.excused += excused
        self.uncounted += uncounted
        self.accepted += not late
        return "uncounted" if uncounted else "late" if late else "accepted"

    @property
    def produced(self) -> int:
        """Offsets read: records, and what transactions and compaction leave of them."""
        return sum(partition.end - partition.begin for partition in self._partitions.values())

    def over(self) -> dict[Case, Count]:
        """Clicks of every user over a threshold, in windows that can be judged."""
        return {
            case: count
            for partition in self._partitions.values()
            for tally in partition.tallies
            for case, count in tally.over(partition.now, self._settings.lateness)
            if self.whole(case)
        }

    def windows(self) -> Iterator[tuple[str, int, dict[int, Mapping[str, int]]]]:
        """Of each rule and window: each partition's clicks by user, whether in time or late."""
        found: dict[tuple[str, int], dict[int, Mapping[str, int]]] = {}
        for number, partition in self._partitions.items():
            for tally in partition.tallies:
                for start in tally.starts:
                    found.setdefault((tally.name, start), {})[number] = tally.clicks(start)
        for (rule, start), partitions in found.items():
            yield rule, start, partitions

    def born(self) -> dict[int, float]:
        """When each partition got its first record, epoch seconds: -inf where that is lost, inf: never."""
        return {number: partition.born for number, partition in self._partitions.items()}

    def rule(self, case: Case) -> Rule | None:
        """The rule as it was when the window opened; None where there was none."""
        tally = self._tally(case)
        return tally.rule if tally else None

    def _tally(self, case: Case) -> "_Tally | None":
        partition = self._partitions.get(case.partition)
        tallies = partition.tallies if partition else ()
        # Some of a name may have had no window at all.
        return next((tally for tally in tallies if tally.holds(case)), None)

    def threshold(self, case: Case) -> int:
        """Of its rule when the window opened."""
        rule = self.rule(case)
        return rule.threshold if rule else 0

    def closed(self, case: Case) -> bool:
        """Whether the clicks themselves have closed the window."""
        rule = self.rule(case)
        end = case.window + (rule.window if rule else 0)
        return end <= self._partitions[case.partition].watermark

    def crossed(self, case: Case) -> int | None:
        """Its number, ascending as those of the partition went over in time; None: it never did."""
        tally = self._tally(case)
        return tally.crossed(case) if tally else None

    def allowed(self, case: Case, status: str, *, exact: bool) -> set[str]:
        """What may be said of whether the user was allowed to; one thing, as a rule (:class:`Standing`)."""
        rule, standing = self.rule(case), self._partitions[case.partition].standing
        end, crossed = case.window + (rule.window if rule else 0), self.crossed(case)
        if status == "ongoing":
            numbers = standing.ongoing(case.window, crossed, exact=exact)
        else:
            numbers = standing.closed(end, crossed) if status == "closed" else standing.corrected(end)
        return {self._lists.reason(number, case.user_id, case.window) for number in numbers}

    def leaders(self, number: int, rule: str, windows: int) -> list[tuple[str, int, int]]:
        """Who has most clicks in the last windows of a rule in a partition, the oldest window first.

        Of each window: the user, the user's clicks, and everybody's; of those that came in time.
        """
        tallies = self._partitions[number].tallies
        in_force = (tally for tally in tallies if tally.name == rule and tally.until == math.inf)
        return next((tally.leaders(windows) for tally in in_force), [])

    @property
    def gone(self) -> dict[int, int]:
        """Offsets that hold no record any more, by partition of a compacted topic."""
        partitions = self._partitions.items() if self._compacted else ()
        return {number: partition.holes for number, partition in partitions if partition.holes}

    def whole(self, case: Case) -> bool:
        """Whether no click of the window can be among those the topic has lost."""
        partition = self._partitions.get(case.partition)
        if partition and partition.holes and self._compacted:
            return False
        tally = self._tally(case)
        return tally is None or case.window >= tally.whole_from


class _Partition:
    """One partition: its tallies, and how far its time has got.

    The time is, live, what the newest click says, and otherwise what five of
    the last twenty have reached; no click moves it beyond when Kafka received
    it. Late clicks are told of by Kafka's clock, or where it does not say, by
    event time and 1/128 s a click. (See "Time" in docs/how-it-works.md.)
    """

    def __init__(
        self, number: int, begin: int, adoptions: Sequence[tuple[int, Sequence[Rule]]], standing: Standing
    ) -> None:
        self.number = number
        self.standing = standing
        self.begin = self.end = begin
        self.records = 0
        self.born = -math.inf if begin else math.inf
        self.newest = -math.inf
        self.watermark = -math.inf
        self.now = -math.inf
        self._time = -math.inf
        self.tallies: list[_Tally] = []
        self.crossings = 0
        # Whatever was counted before the first is told of, it was by that.
        self._ahead = deque([(-1, adoptions[0][1]), *adoptions[1:]])
        self.adopt(begin)
        self._last: deque[tuple[float, bool]] = deque(maxlen=20)

    @property
    def holes(self) -> int:
        """Offsets that hold no record."""
        return self.end - self.begin - self.records

    def adopt(self, offset: int) -> None:
        """Put into force what is told to be from this offset on, or from an earlier one."""
        while self._ahead and self._ahead[0][0] <= offset:
            self._change({rule.name: rule for rule in self._ahead.popleft()[1]})

    def _change(self, rules: dict[str, Rule]) -> None:
        """Begin to count by other rules, each from the first window behind the newest click.

        A rule that goes has the windows that begin before its own next one; one
        that takes its place, all from its own next one on.
        """
        lost = self.begin > 0 and not self.records
        for tally in self.tallies:
            wanted = rules.get(tally.name)
            if tally.until < math.inf:
                continue
            if wanted is None:
                tally.until = self._next(tally.slide)
            elif wanted == tally.rule:
                del rules[tally.name]  # as before
        for rule in rules.values():
            since = self._next(_slide(rule))
            for tally in self.tallies:
                if tally.name == rule.name:
                    tally.until = min(tally.until, since)
            self.tallies.append(_Tally(self.number, rule, since, self._cross, lost=lost))

    def _cross(self) -> int:
        """The number of one more who goes over a threshold."""
        self.crossings += 1
        return self.crossings - 1

    def _next(self, slide: int) -> float:
        """Start of the next window, of which one begins every so many seconds."""
        return self.newest if math.isinf(self.newest) else (int(self.newest) // slide + 1) * slide

    def advance(self, time: float, received: float | None, lateness: float) -> None:
        """Let a click move the time."""
        self.newest = max(self.newest, time)
        live = received is not None and received - time <= 60
        moment = time if received is None else min(time, received)
        self._last.append((moment, live))
        if len(self._last) >= 5:
            self._time = max(self._time, sorted(moment for moment, _ in self._last)[-5])
        if live and sum(live for _, live in self._last) > len(self._last) / 2:
            self._time = max(self._time, moment)
        self.now = max(self.now + 1 / 128, self._time) if received is None else max(self.now, received)
        self.watermark = self._time - lateness


class _Tally:
    """Clicks by window and user, of one rule in one partition, in windows that start in [since, until)."""

    def __init__(
        self, partition: int, rule: Rule, since: float, cross: Callable[[], int], *, lost: bool
    ) -> None:
        self.rule, self.since, self.until = rule, since, math.inf
        self.name, self.window, self.events = rule.name, rule.window, frozenset(rule.events)
        self.slide = _slide(rule)
        self.whole_from = math.inf if lost else -math.inf
        self._partition, self._threshold = partition, rule.threshold
        self._in_time: dict[int, dict[str, int]] = {}
        self._cross = cross
        self._crossed: dict[tuple[int, str], int] = {}
        self._late: dict[int, dict[str, list[float]]] = {}

    def holds(self, case: Case) -> bool:
        """Whether the case is of a window of its own."""
        return self.name == case.rule and self.since <= case.window < self.until

    def starts_with(self, second: int) -> Iterator[int]:
        """Starts of the windows that hold this second, the oldest first."""
        start = second - second % self.slide
        for back in reversed(range(0, self.window, self.slide)):
            yield start - back

    def count(self, user: str, start: int, lateness: float) -> None:
        """Count a click that came in time."""
        users = self._in_time.get(start)
        if users is None:
            users = self._in_time[start] = {}
            # The first click was not late, so those lost before it were earlier than this.
            self.whole_from = min(self.whole_from, start + self.window + lateness)
        users[user] = clicks = users.get(user, 0) + 1
        if clicks == self._threshold + 1:
            self._crossed[start, user] = self._cross()

    def count_late(self, user: str, start: int, came: float) -> None:
        """Count a click that came, by Kafka's clock, when its window was closed."""
        self._late.setdefault(start, {}).setdefault(user, []).append(came)

    def crossed(self, case: Case) -> int | None:
        """Number of the case, ascending as they went over a threshold in time; None: it never did."""
        return self._crossed.get((case.window, case.user_id))

    @property
    def starts(self) -> set[int]:
        """Of the windows that have clicks."""
        return self._in_time.keys() | self._late.keys()

    def clicks(self, start: int) -> Mapping[str, int]:
        """By user, in a window."""
        in_time, late = self._in_time.get(start, {}), self._late.get(start, {})
        if not late:
            return in_time
        return Counter(in_time) + Counter({user: len(came) for user, came in late.items()})

    def leaders(self, windows: int) -> list[tuple[str, int, int]]:
        """Who has most clicks in the last windows: user, the user's clicks, and everybody's."""
        apart = sorted(start for start in self._in_time if start % self.window == 0)
        counts = [Counter(self._in_time[start]) for start in apart[-windows:]]
        return [(*users.most_common(1)[0], users.total()) for users in counts]

    def over(self, now: float, lateness: float) -> Iterator[tuple[Case, Count]]:
        """Who is over the threshold, ``now`` by Kafka's clock."""
        for start in self.starts:
            in_time, late = self._in_time.get(start, {}), self._late.get(start, {})
            for user in in_time.keys() | late.keys():
                came = late.get(user, [])
                settled = sum(moment + max(lateness, self.window) <= now for moment in came)
                count = Count(in_time.get(user, 0), len(came), settled)
                if count.total > self._threshold:
                    yield Case(self._partition, self.name, user, start), count


def _slide(rule: Rule) -> int:
    """Seconds from the start of one window to the next."""
    return rule.slide or rule.window


def excuses(records: Iterable[AuditRecord], topic: str) -> dict[Place, Missed]:
    """What became of late clicks of the topic, by the click's place.

    Args:
        records: of the topic of late clicks.
        topic: the clicks topic.
    """
    missed: dict[Place, Missed] = {}
    for record in records:
        headers = dict(record.headers)
        try:
            element = int(headers.get(HEADER_ELEMENT, b"0"))
            place = int(headers[HEADER_PARTITION]), int(headers[HEADER_OFFSET]), element
            late = _named(headers[HEADER_RULES], headers.get(HEADER_WINDOWS))
            uncounted = _named(headers.get(HEADER_UNCOUNTED, b""), headers.get(HEADER_UNCOUNTED_WINDOWS))
        except (KeyError, ValueError):
            continue  # what says not which click it is excuses none
        if headers.get(HEADER_TOPIC) == topic.encode():
            known = missed.get(place, NOTHING)
            missed[place] = Missed(known.late | late, known.uncounted | uncounted)
    return missed


def _named(rules: bytes, windows: bytes | None) -> frozenset[tuple[str, int | None]]:
    """Windows as the headers have them: rules and, but for older releases, ``RULE/START``."""
    if windows is None:
        return frozenset((rule, None) for rule in rules.decode().split(",") if rule)
    pairs = (window.rpartition("/") for window in windows.decode().split(","))
    return frozenset((rule, int(start)) for rule, _, start in pairs)


def _names(windows: frozenset[tuple[str, int | None]], rule: str, start: int) -> bool:
    return bool(windows) and ((rule, start) in windows or (rule, None) in windows)
