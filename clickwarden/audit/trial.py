"""The time machine: clicks counted again, by the rules that were in force and by a draft of others.

It is the worker's own detection, twice over the same batches. What the worker decided by wall clock is
repeated, as far as the topic of late clicks tells of it; see :func:`sealings`.
"""

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import IO, NamedTuple, Protocol

import numpy as np

from clickwarden.audit.excuses import Missed, Place
from clickwarden.audit.told import Told
from clickwarden.detection.adoption import Adoption
from clickwarden.detection.batch import Batch
from clickwarden.detection.clock import RECENT
from clickwarden.detection.detection import Detection, Findings, Parameters
from clickwarden.detection.rules import Rule, fields_of
from clickwarden.detection.whole import WholeDetection
from clickwarden.detection.windows import WindowName

#: A silence that is over every window, seconds: the history has ended.
FOREVER = 1e12


class Sides(NamedTuple):
    """What was told of by the rules that were in force, and what the draft would have told of."""

    before: Told
    draft: Told


class Sealing(NamedTuple):
    """A window that was closed when the record at this offset came."""

    offset: int
    window: WindowName


def sealings(missed: Mapping[Place, Missed]) -> dict[int, list[Sealing]]:
    """The windows that clicks came late for, by partition, each with the first such click.

    Where the clicks themselves had not closed it by then, wall clock had: when, matters no more.

    Args:
        missed: by the place of each late click, its windows (:func:`clickwarden.audit.recount.excuses`).
    """
    first: dict[tuple[int, WindowName], int] = {}
    for (partition, offset, _), windows in missed.items():
        for rule, start in windows.late:
            if start is not None:  # older releases named the rule alone
                key = partition, WindowName(rule, start)
                first[key] = min(offset, first.get(key, offset))
    found: dict[int, list[Sealing]] = {}
    for (partition, window), offset in first.items():
        found.setdefault(partition, []).append(Sealing(offset, window))
    return {partition: sorted(windows) for partition, windows in found.items()}


class Extent:
    """From when to when clicks happened, but for the first and the last hundredth of each batch.

    So a few wrong clocks do not make a trial of a day one of years, whatever order the clicks are in.

    Attributes:
        begin, end: epoch seconds; inf and -inf where there are no clicks.
    """

    def __init__(self) -> None:
        self.begin, self.end = math.inf, -math.inf

    def take(self, batch: Batch) -> None:
        """Go on by a batch; a few clicks say nothing where more have."""
        if len(batch) >= (1 if math.isinf(self.begin) else RECENT):
            first, last = np.quantile(batch.times, (0.01, 0.99)).tolist()
            self.begin, self.end = min(self.begin, first), max(self.end, last)


class Rerun(Protocol):
    """Clicks that are counted again; what comes of it is taken by the :class:`Sides`."""

    extent: Extent

    def count(self, batch: Batch) -> None:
        """Count a batch by both."""

    def end(self) -> None:
        """No more clicks come: close what is open."""


class PartitionRerun:
    """One partition of the topic.

    Both count the records in their order, and so find what a worker finds, at any speed. A rule that the
    draft leaves as it was all the time is counted once, for both.

    Where records before the first one are left out or lost, windows that they may have reached into are not
    judged: those that begin before what the first few clicks say, and before ``whole``.

    Args:
        partition: its number.
        adoptions: the rules in force, and since which offset, the first first; one at least.
        draft: rules that are counted by from the first record on.
        parameters: of the detection.
        sides: take what is found.
        sealed: windows that were closed when a click of theirs came.
        begin: offset of the first record that is read; 0: of the first there was.
        whole: no click before it happened later, epoch seconds; inf where nobody knows.

    Attributes:
        extent: from when to when its clicks happened.
        detection: of the rules that were in force.
        fields: of the clicks that rules look at.
    """

    def __init__(
        self,
        partition: int,
        adoptions: Sequence[Adoption],
        draft: Sequence[Rule],
        parameters: Parameters,
        sides: Sides,
        sealed: Sequence[Sealing] = (),
        begin: int = 0,
        whole: float = math.inf,
    ) -> None:
        later = [adoption for adoption in adoptions[1:] if adoption.offset > begin]
        first = adoptions[len(adoptions) - len(later) - 1]
        self.extent = Extent()
        self.detection = Detection(partition, first.rules, parameters)
        for adoption in later:
            self.detection.plan(adoption.rules, adoption.offset)
        in_force = [first.rules, *(adoption.rules for adoption in later)]
        self.fields = fields_of([*draft, *chain.from_iterable(in_force)])
        changed = [rule for rule in draft if not all(rule in rules for rules in in_force)]
        self._kept = {rule.name for rule in draft if rule not in changed}
        self._draft = Detection(partition, changed, parameters)
        self._sides = sides
        self._sealed = deque(sealing for sealing in sealed if sealing.offset >= begin)
        self._cuts = sorted({*(one.offset for one in later), *(one.offset for one in self._sealed)})
        self._parameters = parameters
        self._unknown = RECENT if begin else 0  # clicks that are yet to say where the windows are whole
        self._told = -math.inf
        self._whole = whole

    def cuts(self, first: int, next_offset: int) -> list[int]:
        """Offsets between these at which a batch must begin."""
        return self._cuts[bisect_right(self._cuts, first) : bisect_left(self._cuts, next_offset)]

    def begin(self, offset: int) -> None:
        """Do what is due before the records from this offset on."""
        self.detection.adopt(offset)
        due = False
        while self._sealed and self._sealed[0].offset <= offset:
            rule, start = self._sealed.popleft().window
            for end in self._ends(rule, start):
                due = True
                for detection in (self.detection, self._draft):
                    detection.seal(rule, end)
        if due:
            self._tell(self.detection.close(), self._draft.close())

    def _ends(self, rule: str, start: int) -> Iterable[int]:
        """The end of a window of the rules in force, unless the clicks have closed it themselves."""
        return {
            start + ruled.rule.window
            for ruled in self.detection.rule_windows
            if ruled.rule.name == rule
            and ruled.since <= start < ruled.until
            and start + ruled.rule.window > self.detection.watermark
        }

    def count(self, batch: Batch) -> None:
        """Count a batch by both."""
        self.extent.take(batch)
        if self._unknown and len(batch):
            told = batch.times[: self._unknown]
            self._unknown -= len(told)
            self._told = max(self._told, float(told.max()) + self._parameters.lateness)
        self._tell(self.detection.count(batch), self._draft.count(batch))

    def end(self) -> None:
        """Close what is open, as silence would."""
        for detection in (self.detection, self._draft):
            detection.decide(FOREVER)
        self._tell(self.detection.close(), self._draft.close())

    def _tell(self, before: Findings, draft: Findings) -> None:
        since = min(self._told, self._whole)
        kept = [anomaly for anomaly in before.anomalies if anomaly.rule in self._kept]
        self._sides.before.take(before.anomalies, since)
        self._sides.draft.take([*kept, *draft.anomalies], since)


class FileRerun:
    """Files that are all there: none of their clicks is late (:class:`WholeDetection`).

    Args:
        rules: in force.
        draft: others.
        parameters: of the detection.
        sides: take what is found.
        stores: two empty files to write to and to read.

    Attributes:
        extent: from when to when its clicks happened.
        fields: of the clicks that rules look at.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        draft: Sequence[Rule],
        parameters: Parameters,
        sides: Sides,
        stores: tuple[IO[bytes], IO[bytes]],
    ) -> None:
        self.extent = Extent()
        self.fields = fields_of([*rules, *draft])
        self._kept = {rule.name for rule in draft if rule in rules}
        changed = [rule for rule in draft if rule not in rules]
        self._before = WholeDetection(rules, parameters, stores[0])
        self._draft = WholeDetection(changed, parameters, stores[1])
        self._sides = sides

    def count(self, batch: Batch) -> None:
        """Count a batch by both."""
        self.extent.take(batch)
        self._before.count(batch)
        self._draft.count(batch)

    def end(self) -> None:
        """Close the windows: no more clicks come."""
        for _, anomalies in self._before.close():
            self._sides.before.take(anomalies, -math.inf)
            self._sides.draft.take([one for one in anomalies if one.rule in self._kept], -math.inf)
        for _, anomalies in self._draft.close():
            self._sides.draft.take(anomalies, -math.inf)
