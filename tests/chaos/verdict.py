"""The verdict: the exact oracle, under rules that changed on the way."""

import asyncio
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from clickwarden.audit.oracle import Judgement, judge
from clickwarden.audit.reading import AuditRecord
from clickwarden.audit.recount import Case, Count, Recount, excuses
from clickwarden.detection.rules import Rule
from clickwarden.kafka.reader import reader, to_end
from clickwarden.settings import Settings


class Change(NamedTuple):
    """Other thresholds for the same rules, once each partition was counted to an offset.

    They are in force from the first window behind the newest click before it.
    """

    rules: tuple[Rule, ...]
    offsets: Mapping[int, int]


class ChangingRecount(Recount):
    """A recount that holds each window against the threshold it was opened under."""

    def __init__(self, settings: Settings, changes: Sequence[Change], **more: Any) -> None:
        lowest = [
            replace(rule, threshold=min(each.threshold for each in versions), promote=0)
            for rule, *versions in zip(changes[0].rules, *(change.rules for change in changes), strict=True)
        ]
        super().__init__(settings, lowest, **more)
        self._changes = changes
        #: First window under the thresholds of each change so far, by partition and rule.
        self._since: dict[tuple[int, str], list[float]] = {
            (number, rule.name): [] for number in changes[0].offsets for rule in lowest
        }
        self._ahead = {number: list(changes) for number in changes[0].offsets}

    def add(self, number: int, records: Iterable[AuditRecord]) -> list[list[str]]:
        """Count the records that come next in this partition."""
        fates: list[list[str]] = []
        rest, ahead = list(records), self._ahead[number]
        while ahead and rest and rest[-1].offset >= ahead[0].offsets[number]:
            cut = bisect_left(rest, ahead.pop(0).offsets[number], key=lambda record: record.offset)
            fates += super().add(number, rest[:cut])
            rest = rest[cut:]
            newest = self._partitions[number].newest
            for name, rule in self.rules.items():
                window = rule.window
                first = newest if math.isinf(newest) else (int(newest) // window + 1) * window
                self._since[number, name].append(first)
        return fates + super().add(number, rest)

    def over(self) -> dict[Case, Count]:
        """Clicks of every user over the threshold of its window."""
        return {case: count for case, count in super().over().items() if count.total > self.threshold(case)}

    def threshold(self, case: Case) -> int:
        """Of its rule when the window opened."""
        since = self._since[case.partition, case.rule]
        version = max(number for number, window in enumerate(since) if window <= case.window)
        return next(rule for rule in self._changes[version].rules if rule.name == case.rule).threshold


def verdict(settings: Settings, changes: Sequence[Change]) -> Judgement:
    """Recount all clicks and hold the anomalies against them; some 10 µs a click."""
    return asyncio.run(_verdict(settings, changes))


async def _verdict(settings: Settings, changes: Sequence[Change]) -> Judgement:
    async with reader(settings, settings.late_topic) as consumer:
        late = [record async for _, run in to_end(consumer) for record in run]
    begins = dict.fromkeys(range(settings.partitions), 0)
    truth = ChangingRecount(settings, changes, excused=excuses(late, settings.clicks_topic), begins=begins)
    async with reader(settings, settings.clicks_topic) as consumer:
        async for number, run in to_end(consumer):
            truth.add(number, run)
    async with reader(settings, settings.anomalies_topic) as consumer:
        return judge(truth, [record async for _, run in to_end(consumer) for record in run])
