"""The exact recount: which users are over the threshold of which rule, when.

It is what the detection is judged by and so shares no code with it: the
standard library decodes the clicks one at a time, and every user has an account
(:mod:`clickwarden.audit.accounts`) in a plain dictionary. That costs some 5 µs a
click, and the memory of every user of every open window.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from clickwarden.audit.accounts import Account
from clickwarden.audit.allowed import Lists, Standing
from clickwarden.audit.excuses import NOTHING, Missed, Place, names
from clickwarden.audit.reading import AuditRecord, Click, Ignored, Reader
from clickwarden.audit.tally import Case, Count, Tally, slide_of
from clickwarden.detection.rules import Rule
from clickwarden.formats.schema import Schema
from clickwarden.settings import Settings


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
        told = (rules for adoptions in self._adoptions.values() for _, rules in adoptions)
        asked = {field for rules in (self._rules, *told) for rule in rules for field in rule.fields}
        self._read = Reader(settings, schemas, asked).read
        self._excused = excused or {}
        self._compacted = compacted
        self._partitions = {number: self._partition(number) for number in self.begins}

    def _partition(self, number: int) -> "_Partition":
        adoptions = self._adoptions.get(number) or [(0, self._rules)]
        told = self._told_lists.get(number, ())
        standing = Standing(told, self._settings.lateness, self._settings.idle_timeout)
        begin = self.begins.get(number, 0)
        return _Partition(number, begin, adoptions, standing, self._settings.max_suspects)

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
                fates.append(self._count(partition, thing, received, missed))
            elif isinstance(thing, Ignored):
                self.ignored += 1
                fates.append("ignored")
            else:
                self.rejected += 1
                fates.append("rejected")
        self.further += len(fates) - 1
        return fates

    def _count(self, partition: "_Partition", click: Click, received: float | None, missed: Missed) -> str:
        late = excused = uncounted = False
        lateness = self._settings.lateness
        watermark = partition.watermark
        partition.advance(click.time, received, lateness)
        for tally in partition.tallies:
            if not tally.matches(click):
                continue
            for start in tally.starts_with(int(click.time)):
                if not tally.since <= start < tally.until:
                    continue
                by_the_clicks = start + tally.window <= watermark
                if not by_the_clicks and not names(missed.late, tally.name, start):
                    tally.count(click, start, lateness)
                    continue
                late = True
                excused = excused or not by_the_clicks
                if names(missed.uncounted, tally.name, start):
                    uncounted = True
                else:
                    tally.count_late(click, start, partition.now)
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
        """What every user comes to who is over a threshold, or doubtful, in windows that can be judged."""
        return {
            case: count
            for partition in self._partitions.values()
            for tally in partition.tallies
            for case, count in tally.over(partition.now, self._settings.lateness)
            if self.whole(case)
        }

    def windows(self) -> Iterator[tuple[str, int, dict[int, Mapping[str, Account]]]]:
        """Of each rule and window: each partition's accounts by user, whether in time or late."""
        found: dict[tuple[str, int], dict[int, Mapping[str, Account]]] = {}
        for number, partition in self._partitions.items():
            for tally in partition.tallies:
                for start in tally.starts:
                    found.setdefault((tally.name, start), {})[number] = tally.accounts(start)
        for (rule, start), partitions in found.items():
            yield rule, start, partitions

    def born(self) -> dict[int, float]:
        """When each partition got its first record, epoch seconds: -inf where that is lost, inf: never."""
        return {number: partition.born for number, partition in self._partitions.items()}

    def rule(self, case: Case) -> Rule | None:
        """The rule as it was when the window opened; None where there was none."""
        tally = self._tally(case)
        return tally.rule if tally else None

    def _tally(self, case: Case) -> "Tally | None":
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

    def allowed_since(self, case: Case) -> set[str]:
        """What may be said of whether a user is allowed to who comes to a further step after going over."""
        rule, standing = self.rule(case), self._partitions[case.partition].standing
        end = case.window + (rule.window if rule else 0)
        numbers = standing.further(end, self.crossed(case))
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
        self,
        number: int,
        begin: int,
        adoptions: Sequence[tuple[int, Sequence[Rule]]],
        standing: Standing,
        max_suspects: int,
    ) -> None:
        self.number = number
        self.standing = standing
        self._max_suspects = max_suspects
        self.begin = self.end = begin
        self.records = 0
        self.born = -math.inf if begin else math.inf
        self.newest = -math.inf
        self.watermark = -math.inf
        self.now = -math.inf
        self._time = -math.inf
        self.tallies: list[Tally] = []
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
            since = self._next(slide_of(rule))
            for tally in self.tallies:
                if tally.name == rule.name:
                    tally.until = min(tally.until, since)
            tally = Tally(self.number, rule, since, self._cross, self._max_suspects, lost=lost)
            self.tallies.append(tally)

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
