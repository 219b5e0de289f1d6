"""Detection in one source partition: all rules, over the clicks in their order.

No Faust, no Kafka and no clock: clicks and time are handed in.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.allowing import Allowing
from clickwarden.detection.anomaly import Anomaly, Status, alert_id
from clickwarden.detection.batch import Batch
from clickwarden.detection.clock import Delays, EventClock, Passage
from clickwarden.detection.closed import ClosedWindow, ClosedWindows, LateClick, Outcome
from clickwarden.detection.incidents import Incidents
from clickwarden.detection.measure import Distinct
from clickwarden.detection.panes import Pane
from clickwarden.detection.reasons import reasons, share_of
from clickwarden.detection.rule_windows import Counting, RuleWindows
from clickwarden.detection.rules import Rule, by_name, fields_of
from clickwarden.detection.steps import times
from clickwarden.detection.suspect import Suspect
from clickwarden.detection.windows import Window, WindowName
from clickwarden.times import isotime

#: A click this far ahead of what others say is taken for a wrong clock's until a longer silence, seconds.
LEAP_SECONDS = 600.0


class Parameters(Counting, Protocol):
    """What detection has to know beside its rules; the settings of that name."""

    @property
    def lateness(self) -> float:
        """Seconds a click may be behind the newest one."""

    @property
    def late_limit(self) -> float:
        """Seconds for which a closed window takes late clicks."""


class Findings(NamedTuple):
    """What a batch of clicks brought to light.

    Attributes:
        late: positions in the batch of the clicks of which a window was
            closed, and the names of those windows: rule and start.
        uncounted: those of them that such a window could not count any more,
            and the names of these windows.
        late_by_silence: how many of the late would have been in time, had not
            wall clock closed their window.
        anomalies: ``ongoing`` in the order of their clicks, then ``closed``, then ``corrected``.
        closed: the windows that are over.
    """

    late: dict[int, list[WindowName]]
    uncounted: dict[int, list[WindowName]]
    late_by_silence: int
    anomalies: list[Anomaly]
    closed: list[Window]


class _Late(NamedTuple):
    """A click at this position of the batch, of which the window that starts there was closed."""

    click: int
    start: int
    ruled: RuleWindows


class _Found(NamedTuple):
    """Somebody who went over the threshold in a window that was open, or came to a further step there."""

    click: int
    ruled: RuleWindows
    window: Window
    user_id: str
    suspect: Suspect
    steps: int


class _Closing(NamedTuple):
    """A window that is over since ``time``, for the click at this position of the batch and those behind."""

    click: int
    time: float
    ruled: RuleWindows
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
        allowing: who is told of to nobody.
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
        self.allowing = Allowing()
        self._parameters = parameters

    def advance(self, next_offset: int) -> None:
        """Be done with every record before ``next_offset``, counted or lost."""
        self.next_offset = next_offset

    def open_windows(self) -> Iterator[Window]:
        """The windows of all rules that are not over, in no order."""
        for ruled in self.rule_windows:
            yield from ruled.open()

    def highs(self, users: Sequence[str]) -> Iterator[tuple[Window, NDArray[np.int64]]]:
        """These windows, and at most so many clicks of each user in them: 0 of who is no suspect there."""
        for ruled in self.rule_windows:
            yield from ruled.highs(users)

    def panes(self) -> Iterator[Pane]:
        """What these windows are made of."""
        for ruled in self.rule_windows:
            yield from ruled.panes.values()

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
        if by_name(planned) == by_name(rules):
            return False
        self.changes.append((offset, tuple(rules)))
        return True

    def adopt(self, offset: int) -> int | None:
        """Put into effect what is planned up to ``offset``; returns the offset of the next change, if any."""
        while self.changes and self.changes[0][0] <= offset:
            self._change(self.changes.pop(0)[1])
        following = [change for change, _ in self.changes[:1]]
        allowing = self.allowing.adopt(offset)
        return min(following if allowing is None else [*following, allowing], default=None)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those in effect."""
        return tuple(ruled.rule for ruled in self._in_effect())

    @property
    def fields(self) -> frozenset[str]:
        """Of a click that the rules look at by which the next one is counted."""
        return fields_of(ruled.rule for ruled in self.rule_windows)

    def _in_effect(self) -> list[RuleWindows]:
        return [ruled for ruled in self.rule_windows if ruled.until == math.inf]

    def _change(self, rules: Sequence[Rule]) -> None:
        """Put rules into effect, each from its next window on.

        Windows that hold the newest click, and older ones, stay with the rule
        that they were opened under, so that a change drops no count.
        """
        wanted = by_name(rules)
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
        return (int(self.newest) // rule.step + 1) * rule.step

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
        late: list[_Late] = []
        found: list[_Found] = []
        closings: list[_Closing] = []
        for ruled in self.rule_windows:
            placement = ruled.place(batch, watermarks[:-1])
            late += [_Late(click, start, ruled) for click, start in placement.late]
            closed = []
            for stretch in placement.stretches:
                closed += ruled.close(float(watermarks[stretch.begin]))
                found += [
                    _Found(each.click, ruled, Window(each.start, ruled.rule, ()), *each[2:])
                    for each in ruled.count(batch, stretch.falls, self._parameters)
                ]
            closed += ruled.close(self.watermark)
            closings += [_closing(ruled, window, watermarks, passage) for window in closed]
        found.sort(key=lambda one: one.click)
        closings.sort(key=lambda closing: closing.click)
        uncounted = _by_click(self._settle(batch, passage, closings, late, found))
        missed = _by_click(late)
        self.late += len(missed)
        self.uncounted += len(uncounted)
        self.accepted += len(batch) - len(missed)
        anomalies = [
            anomaly_of(self.partition, "ongoing", one.window, one.user_id, one.suspect, one.steps)
            for one in found
        ]
        self.allowing.mark(anomalies)
        over = self._tell([closing.window for closing in closings])
        by_silence = {one.click for one in late if one.start + one.ruled.rule.window > watermarks[one.click]}
        return Findings(missed, uncounted, len(by_silence), anomalies + over.anomalies, over.closed)

    def _settle(
        self,
        batch: Batch,
        passage: Passage,
        closings: list[_Closing],
        late: list[_Late],
        found: list[_Found],
    ) -> list[_Late]:
        """Go through what a batch brought up, in the order of its clicks; returns what could not be counted.

        Late clicks are counted, and who went over the threshold is given an
        incident, each once the windows closed before it are.
        """
        uncounted: list[_Late] = []
        waiting = deque(closings)
        incidents = Incidents(self.rule_windows, self.closed)
        events: list[_Late | _Found] = [*late, *found]
        for one in sorted(events, key=lambda one: one.click):
            while waiting and waiting[0].click <= one.click:
                self._keep(waiting.popleft())
            received = float(passage.received[one.click])
            watermark = float(passage.time[one.click]) - self._parameters.lateness
            self.closed.expire(received)
            if isinstance(one, _Found):
                one.suspect.incident = incidents.join(one.ruled, one.window.start, one.user_id, watermark)
                continue
            now = float(passage.now[one.click])
            comer = LateClick(
                one.ruled.rule, one.start, batch, one.click, received, now, self._parameters.seed
            )
            window = self.closed.count(comer, self._parameters.lateness)
            if window is None:
                uncounted.append(one)
            elif comer.user_id in window.changed:
                suspect = window.suspects[comer.user_id]
                if suspect.incident is None:
                    suspect.incident = incidents.join(one.ruled, one.start, comer.user_id, watermark)
        for each in waiting:
            self._keep(each)
        self.closed.expire(self.clock.received)
        for ruled in self.rule_windows:
            ruled.forget(self.watermark)
        return uncounted

    def _keep(self, closing: _Closing) -> None:
        window = closing.window
        for user_id, incident in closing.ruled.told.incidents.get(window.start, {}).items():
            window.suspects[user_id].incident = incident
        self.closed.add(ClosedWindow(window.start, window.rule, Outcome.of(window), closing.time))

    @property
    def leaps(self) -> bool:
        """Whether the newest click would close windows if others agreed, and is not far ahead of them."""
        if math.isfinite(self.clock.time) and self.clock.newest - self.clock.time > LEAP_SECONDS:
            return False
        watermark = self.clock.newest - self._parameters.lateness
        return any(
            ruled.sealed < window.end <= watermark for ruled in self.rule_windows for window in ruled.open()
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
            ends = [window.end for window in ruled.open() if window.end <= watermark]
            if ends and max(ends) > ruled.sealed:
                ruled.sealed = max(ends)
                decided = True
        return decided

    def seal(self, rule: str, end: float) -> None:
        """Repeat what wall clock decided when this was counted first: windows that end by then are over.

        Those of them that are open, :meth:`close` closes.
        """
        for ruled in self.rule_windows:
            if ruled.rule.name == rule:
                ruled.sealed = max(ruled.sealed, end)

    def close(self) -> Findings:
        """Close the windows that are over by decision of the wall clock, and tell what is due."""
        windows = []
        for ruled in self.rule_windows:
            for window in ruled.close(self.watermark):
                self._keep(_Closing(0, self.clock.received, ruled, window))
                windows.append(window)
        return self._tell(windows)

    def _tell(self, closed: list[Window]) -> Findings:
        anomalies = [
            anomaly_of(self.partition, "closed", window, user_id, suspect)
            for window in closed
            for user_id, suspect in window.suspects.items()
            if suspect.incident is not None
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
        self.allowing.mark(anomalies)
        self.rule_windows = [ruled for ruled in self.rule_windows if not self._retired(ruled)]
        return Findings({}, {}, 0, anomalies, closed)

    def _retired(self, ruled: RuleWindows) -> bool:
        """Whether the rule is out of effect, and none of its windows can change any more."""
        return ruled.ended(self.watermark) and all(window.rule is not ruled.rule for window in self.closed)


def _closing(
    ruled: RuleWindows, window: Window, watermarks: NDArray[np.float64], passage: Passage
) -> _Closing:
    """When in a batch the watermark passes the end of a window."""
    # Sealed, it was over before the first of these clicks.
    click = 0 if window.end <= ruled.sealed else int(np.searchsorted(watermarks, window.end))
    return _Closing(click, float(passage.received[max(0, click - 1)]), ruled, window)


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
    low, high = share_of(rule, suspect)
    return Anomaly(
        alert_id=alert_id(rule.name, user_id, window.start),
        incident_id=alert_id(
            rule.name, user_id, window.start if suspect.incident is None else suspect.incident
        ),
        rule=rule.name,
        status=status,
        user_id=user_id,
        window_start=isotime(window.start),
        window_end=isotime(window.end),
        times=times(suspect.count_low, rule.threshold),
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
        reasons=list(reasons(rule, suspect, events)),
        partition=partition,
        revision=revision,
        shadow=rule.shadow,
        distinct=rule.measure.field if isinstance(rule.measure, Distinct) else None,
        share_low=low,
        share_high=high,
    )


def _by_click(late: list[_Late]) -> dict[int, list[WindowName]]:
    """Names of the windows, by click."""
    names: dict[int, list[WindowName]] = {}
    for one in late:
        names.setdefault(one.click, []).append(WindowName(one.ruled.rule.name, one.start))
    return names
