"""Detection in one source partition: all rules, over the clicks in their order.

No Faust, no Kafka and no clock: clicks and time are handed in.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.anomaly import Anomaly, Status, alert_id
from clickwarden.detection.batch import Batch
from clickwarden.detection.clock import Delays, EventClock, Passage
from clickwarden.detection.closed import ClosedWindow, ClosedWindows, LateClick, Outcome
from clickwarden.detection.rules import Rule, spelled
from clickwarden.detection.suspects import Suspect
from clickwarden.detection.windows import Window
from clickwarden.times import isotime

#: A click this far ahead of what others say is taken for a wrong clock's until a longer silence, seconds.
LEAP_SECONDS = 600.0


class Parameters(Protocol):
    """What detection has to know beside its rules; the settings of that name."""

    @property
    def lateness(self) -> float:
        """Seconds a click may be behind the newest one."""

    @property
    def seed(self) -> int:
        """Of the users' hashes."""

    @property
    def max_suspects(self) -> int:
        """Users profiled at once in one window."""

    @property
    def late_limit(self) -> float:
        """Seconds for which a closed window takes late clicks."""


class Findings(NamedTuple):
    """What a batch of clicks brought to light.

    Attributes:
        late: positions in the batch of the clicks whose window was closed
            under at least one rule, and the names of those rules.
        uncounted: those of them that such a rule could not count any more, and
            the names of these rules.
        late_by_silence: how many of the late would have been in time, had not
            wall clock closed their window.
        anomalies: ``ongoing`` in the order of their clicks, then ``closed``, then ``corrected``.
        closed: the windows that are over.
    """

    late: dict[int, list[str]]
    uncounted: dict[int, list[str]]
    late_by_silence: int
    anomalies: list[Anomaly]
    closed: list[Window]


class Placement(NamedTuple):
    """What a rule makes of the clicks of a batch, by their positions in it.

    Attributes:
        windows: start of a window, and the clicks that it counts; ascending.
        late: the clicks whose window was closed when they came.
    """

    windows: list[tuple[int, NDArray[np.intp]]]
    late: NDArray[np.intp]


class RuleWindows:
    """One rule: its open windows, and which windows are its own.

    Attributes:
        rule: as it was when it took effect.
        since: counts only windows that start here or later; -inf if always.
        until: counts only windows that start before; +inf while in effect.
        sealed: windows that end here or before were closed by wall clock.
    """

    def __init__(self, rule: Rule, since: float = -math.inf) -> None:
        self.rule = rule
        self.since = since
        self.until = math.inf
        self.sealed = -math.inf
        self.windows: dict[int, Window] = {}

    def place(self, batch: Batch, watermarks: NDArray[np.float64]) -> Placement:
        """Find the windows of a batch's clicks; ``watermarks``, float64[n], are what each of them met."""
        positions = batch.having(self.rule.events)
        if not len(positions):
            return Placement([], positions)
        size = self.rule.window
        first, last = batch.earliest // size * size, batch.latest // size * size
        own = self.since <= first and last < self.until
        if first == last and own and first + size > max(watermarks[-1], self.sealed):
            return Placement([(first, positions)], positions[:0])

        starts = batch.seconds[positions] // size * size
        if not own:
            mine = (starts >= self.since) & (starts < self.until)
            starts, positions = starts[mine], positions[mine]
        late = starts + size <= np.maximum(watermarks[positions], self.sealed)
        return Placement(_grouped(starts[~late], positions[~late]), positions[late])

    def end(self, batch: Batch, click: int) -> int:
        """Where the window of a click ends, epoch seconds."""
        size = self.rule.window
        return (int(batch.seconds[click]) // size + 1) * size

    def window(self, start: int, parameters: Parameters) -> Window:
        """The window that starts there, opened if it is not open."""
        window = self.windows.get(start)
        if window is None:
            window = Window(start, self.rule, parameters.seed, parameters.max_suspects)
            self.windows[start] = window
        return window

    def close(self, watermark: float) -> list[Window]:
        """Take out the windows that the watermark or wall clock has closed, in order."""
        closed = max(watermark, self.sealed)
        starts = sorted(start for start, window in self.windows.items() if window.end <= closed)
        return [self.windows.pop(start) for start in starts]

    def ended(self, watermark: float) -> bool:
        """Whether the rule is out of effect, and every window of its own closed."""
        return not self.windows and watermark >= self.until + self.rule.window


class _Closing(NamedTuple):
    """A window that is over since ``time``, for the click at this position of the batch and those behind."""

    click: int
    time: float
    window: Window


class Detection:
    """All that is known about one partition of the clicks topic.

    Attributes:
        partition: its number.
        next_offset: offset to read on from (:meth:`advance`); None before the first record.
        newest: highest event time of an accepted click, epoch seconds.
        clock: how far event time has got.
        delays: how unevenly it has got there.
        closed: the windows that are over and can still be corrected.
        accepted, late, ignored: records by what became of them.
        uncounted: those of the late that a rule could not count any more.
        rejected: records that could not be counted, by reason.
        rule_windows: one a rule in effect, and one a rule that was changed or
            removed while windows of it are open.
        changes: rules to put into effect, and the offset from which on.
    """

    def __init__(self, partition: int, rules: Sequence[Rule], parameters: Parameters) -> None:
        self.partition = partition
        self.next_offset: int | None = None
        self.newest = -math.inf
        self.clock = EventClock()
        self.delays = Delays()
        self.closed = ClosedWindows(parameters.late_limit)
        self.accepted = 0
        self.late = 0
        self.uncounted = 0
        self.ignored = 0
        self.rejected: dict[str, int] = {}
        self.rule_windows = [RuleWindows(rule) for rule in rules]
        self.changes: list[tuple[int, tuple[Rule, ...]]] = []
        self._parameters = parameters

    def advance(self, next_offset: int) -> None:
        """Be done with every record before ``next_offset``, counted or lost."""
        self.next_offset = next_offset

    def open_windows(self) -> Iterator[Window]:
        """The windows of all rules that are not over, in no order."""
        for ruled in self.rule_windows:
            yield from ruled.windows.values()

    @property
    def watermark(self) -> float:
        """No click before this time is waited for, epoch seconds; -inf before it is known."""
        return self.clock.time - self._parameters.lateness

    def plan(self, rules: Sequence[Rule], offset: int) -> bool:
        """Put these rules into effect from ``offset`` on; False if they are what is planned already.

        The offset is the end of the partition at the time of the change. What
        lies before it may have been counted, and told, under the old rules by
        a worker that died since; counted again, it must tell the same.
        """
        planned = self.changes[-1][1] if self.changes else self.rules
        if {rule.name: rule for rule in planned} == {rule.name: rule for rule in rules}:
            return False
        self.changes.append((offset, tuple(rules)))
        return True

    def adopt(self, offset: int) -> int | None:
        """Put into effect what is planned up to ``offset``; returns the offset of the next change, if any."""
        while self.changes and self.changes[0][0] <= offset:
            self._change(self.changes.pop(0)[1])
        return self.changes[0][0] if self.changes else None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those in effect."""
        return tuple(ruled.rule for ruled in self._in_effect())

    def _in_effect(self) -> list[RuleWindows]:
        return [ruled for ruled in self.rule_windows if ruled.until == math.inf]

    def _change(self, rules: Sequence[Rule]) -> None:
        """Put rules into effect, each from its next window on.

        Windows that hold the newest click, and older ones, stay with the rule
        that they were opened under, so that a change drops no count.
        """
        wanted = {rule.name: rule for rule in rules}
        for ruled in self._in_effect():
            rule = wanted.get(ruled.rule.name)
            if rule == ruled.rule:
                del wanted[rule.name]
            else:
                ruled.until = self._next_window(rule or ruled.rule)
        # One that an earlier change has put out of effect may still wait for a longer window's end.
        for ruled in self.rule_windows:
            if rule := wanted.get(ruled.rule.name):
                ruled.until = min(ruled.until, self._next_window(rule))
        self.rule_windows += [RuleWindows(rule, self._next_window(rule)) for rule in wanted.values()]

    def _next_window(self, rule: Rule) -> float:
        if math.isinf(self.newest):
            return -math.inf
        return (int(self.newest) // rule.window + 1) * rule.window

    def count(self, batch: Batch) -> Findings:
        """Count a batch, in the order of its clicks, and close what it leaves behind."""
        self.ignored += batch.ignored
        for record in batch.rejected:
            self.rejected[record.reason] = self.rejected.get(record.reason, 0) + 1
        if not len(batch):
            return Findings({}, {}, 0, [], [])
        passage = self.clock.advance(batch.times, batch.received)
        self.delays.note(passage, batch.received)
        self.newest = max(self.newest, float(batch.times.max()))
        watermarks = passage.time - self._parameters.lateness
        late: list[tuple[int, RuleWindows]] = []
        ongoing: list[tuple[int, Anomaly]] = []
        for ruled in self.rule_windows:
            placement = ruled.place(batch, watermarks[:-1])
            late += [(click, ruled) for click in placement.late.tolist()]
            for start, positions in placement.windows:
                window = ruled.window(start, self._parameters)
                for click, user_id, suspect in window.count(batch, positions):
                    ongoing.append((click, anomaly_of(self.partition, "ongoing", window, user_id, suspect)))
        ongoing.sort(key=lambda found: found[0])
        closings = self._closings(watermarks, passage)
        uncounted = self._count_late(batch, passage, sorted(late, key=lambda one: one[0]), closings)
        missed = _by_click(late)
        self.late += len(missed)
        self.uncounted += len(uncounted)
        self.accepted += len(batch) - len(missed)
        over = self._tell([closing.window for closing in closings])
        anomalies = [anomaly for _, anomaly in ongoing] + over.anomalies
        by_silence = {click for click, ruled in late if ruled.end(batch, click) > watermarks[click]}
        return Findings(missed, uncounted, len(by_silence), anomalies, over.closed)

    def _closings(self, watermarks: NDArray[np.float64], passage: Passage) -> list[_Closing]:
        """The windows that the watermark passes in a batch, in the order in which it does."""
        closings = []
        for ruled in self.rule_windows:
            for window in ruled.close(self.watermark):
                # Sealed, it was over before the first of these clicks.
                click = 0 if window.end <= ruled.sealed else int(np.searchsorted(watermarks, window.end))
                closings.append(_Closing(click, float(passage.received[max(0, click - 1)]), window))
        return sorted(closings, key=lambda closing: closing.click)

    def _count_late(
        self,
        batch: Batch,
        passage: Passage,
        late: list[tuple[int, RuleWindows]],
        closings: list[_Closing],
    ) -> dict[int, list[str]]:
        """Count the late clicks, each once the windows closed before it are; says which rules could not."""
        uncounted: list[tuple[int, RuleWindows]] = []
        closed = 0
        for click, ruled in late:
            while closed < len(closings) and closings[closed].click <= click:
                self._keep(closings[closed])
                closed += 1
            start = ruled.end(batch, click) - ruled.rule.window
            received, now = float(passage.received[click]), float(passage.now[click])
            comer = LateClick(ruled.rule, start, batch, click, received, now)
            if not self.closed.count(comer, self._parameters.lateness):
                uncounted.append((click, ruled))
        for closing in closings[closed:]:
            self._keep(closing)
        self.closed.expire(self.clock.received)
        return _by_click(uncounted)

    def _keep(self, closing: _Closing) -> None:
        window = closing.window
        self.closed.add(ClosedWindow(window.start, window.rule, Outcome.of(window), closing.time))

    @property
    def leaps(self) -> bool:
        """Whether the newest click would close windows if others agreed, and is not far ahead of them."""
        if math.isfinite(self.clock.time) and self.clock.newest - self.clock.time > LEAP_SECONDS:
            return False
        watermark = self.clock.newest - self._parameters.lateness
        return any(
            ruled.sealed < window.end <= watermark
            for ruled in self.rule_windows
            for window in ruled.windows.values()
        )

    def decide(self, silence: float) -> bool:
        """Let wall clock decide, after so many seconds of silence, what is over; whether anything is.

        Event time goes on from the newest click, as if another had come. Only
        windows that hold clicks are sealed, so that a stream that wakes up
        behind them loses nothing. The decision must be durable before
        :meth:`close` makes anything of it.
        """
        decided = self.closed.decide(self.clock.now + silence)
        watermark = self.clock.newest + silence - self._parameters.lateness
        for ruled in self.rule_windows:
            ends = [window.end for window in ruled.windows.values() if window.end <= watermark]
            if ends and max(ends) > ruled.sealed:
                ruled.sealed = max(ends)
                decided = True
        return decided

    def close(self) -> Findings:
        """Close the windows that are over by decision of the wall clock, and tell what is due."""
        windows = [window for ruled in self.rule_windows for window in ruled.close(self.watermark)]
        for window in windows:
            self._keep(_Closing(0, self.clock.received, window))
        return self._tell(windows)

    def _tell(self, closed: list[Window]) -> Findings:
        anomalies = [
            anomaly_of(self.partition, "closed", window, user_id, suspect)
            for window in closed
            for user_id, suspect in window.suspects.all().items()
            if window.suspects.over(suspect)
        ]
        anomalies += [
            anomaly_of(
                self.partition,
                "corrected",
                window,
                correction.user_id,
                correction.suspect,
                correction.revision,
            )
            for window, correction in self.closed.corrections(self.clock.now)
        ]
        self.rule_windows = [ruled for ruled in self.rule_windows if not self._retired(ruled)]
        return Findings({}, {}, 0, anomalies, closed)

    def _retired(self, ruled: RuleWindows) -> bool:
        """Whether the rule is out of effect, and none of its windows can change any more."""
        return ruled.ended(self.watermark) and all(window.rule is not ruled.rule for window in self.closed)


def anomaly_of(
    partition: int,
    status: Status,
    window: Window | ClosedWindow,
    user_id: str,
    suspect: Suspect,
    revision: int = 0,
) -> Anomaly:
    """What is told of a suspect over the threshold."""
    rule = window.rule
    events = suspect.event_mix
    return Anomaly(
        alert_id=alert_id(rule.name, user_id, window.start),
        rule=rule.name,
        status=status,
        user_id=user_id,
        window_start=isotime(window.start),
        window_end=isotime(window.end),
        count=suspect.count_high,
        count_low=suspect.count_low,
        count_high=suspect.count_high,
        threshold=rule.threshold,
        first_seen=isotime(suspect.first),
        last_seen=isotime(suspect.last),
        events=events,
        distinct_products=suspect.distinct_products,
        category=rule.category,
        owasp=rule.threat,
        reasons=list(_reasons(rule, suspect, events)),
        partition=partition,
        revision=revision,
    )


def _by_click(found: list[tuple[int, RuleWindows]]) -> dict[int, list[str]]:
    """Names of the rules, by click."""
    names: dict[int, list[str]] = {}
    for click, ruled in found:
        names.setdefault(click, []).append(ruled.rule.name)
    return names


def _grouped(starts: NDArray[np.int64], positions: NDArray[np.intp]) -> list[tuple[int, NDArray[np.intp]]]:
    """The positions that have the same start, in their order; by start, ascending."""
    if not len(starts):
        return []
    order = np.argsort(starts, kind="stable")
    present, at = np.unique(starts[order], return_index=True)
    return list(zip(present.tolist(), np.split(positions[order], at[1:]), strict=True))


def _reasons(rule: Rule, suspect: Suspect, events: dict[str, int]) -> Iterator[str]:
    """Why a suspect is an anomaly, in words, from figures that a replay repeats."""
    named = [event for event in rule.events if event in events]  # not those that others would have sent
    of = f" ({spelled(named, ', ')})" if named else ""
    yield f"{suspect.count_high} clicks{of} in a window of {rule.window} s, threshold {rule.threshold}"
    span = suspect.last - suspect.first
    if span >= 1:
        pace = suspect.exact / span
        yield f"{suspect.exact} of them counted one by one: {pace:.1f} a second over {span:.0f} s"
    event, clicks = next(iter(events.items()))
    if clicks == suspect.exact:
        yield f"nothing but {event}"
    if suspect.distinct_products:
        more = " or more" if suspect.many_products else ""
        yield f"{suspect.distinct_products}{more} distinct products"
