"""The windows of one rule, and in which panes of them a click is counted."""

import math
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import Batch
from clickwarden.detection.counting import Part, count
from clickwarden.detection.crossings import Crossing, Neighbour
from clickwarden.detection.panes import Pane
from clickwarden.detection.roster import Roster
from clickwarden.detection.rules import Rule
from clickwarden.detection.sketch import cells_of, hashes_of
from clickwarden.detection.told import Told
from clickwarden.detection.windows import Window


class Counting(Protocol):
    """What has to be known to open a pane; the settings of that name."""

    @property
    def seed(self) -> int:
        """Of the users' hashes."""

    @property
    def max_suspects(self) -> int:
        """Users profiled at once in one window."""


class Fall(NamedTuple):
    """Clicks that fall into one pane.

    Attributes:
        pane: its start.
        clicks: intp[n], their positions in the batch, ascending.
        windows: starts of the windows that count them, ascending.
    """

    pane: int
    clicks: NDArray[np.intp]
    windows: Sequence[int]


class Stretch(NamedTuple):
    """Clicks of a batch between which no window is closed that they fall into.

    Attributes:
        begin: position of the first; what was closed when it came must have been closed by then.
        falls: by pane, ascending.
    """

    begin: int
    falls: list[Fall]


class Placement(NamedTuple):
    """What a rule makes of the clicks of a batch, by their positions in it.

    Attributes:
        stretches: the clicks that are counted, in their order.
        late: a click, and the start of a window of its own that was closed when it came.
    """

    stretches: list[Stretch]
    late: list[tuple[int, int]]


class RuleWindows:
    """One rule: what its panes have counted, and which windows are its own.

    Attributes:
        rule: as it was when it took effect.
        since: counts only windows that start here or later; -inf if always.
        until: counts only windows that start before; +inf while in effect.
        sealed: windows that end here or before are closed by wall clock.
        closed: windows that end here or before were closed.
        panes: those that hold clicks of windows that are not closed, by start.
        told: who is over the threshold in the newest windows.
        roster: the suspects of all panes.
    """

    def __init__(self, rule: Rule, since: float = -math.inf) -> None:
        self.rule = rule
        self.since = since
        self.until = math.inf
        self.sealed = -math.inf
        self.closed = -math.inf
        self.panes: MutableMapping[int, Pane] = {}
        self.told = Told()
        self.roster = Roster()

    def place(self, batch: Batch, watermarks: NDArray[np.float64]) -> Placement:
        """Find the panes of a batch's clicks; ``watermarks``, float64[n], are what each of them met."""
        positions = batch.matching(self.rule)
        if not len(positions):
            return Placement([], [])
        size, step = self.rule.window, self.rule.step
        first, last = batch.earliest // step * step, batch.latest // step * step
        windows = self._windows_of(first)
        if first == last and windows and windows[0] + size > max(watermarks[-1], self.sealed):
            return Placement([Stretch(0, [Fall(first, positions, windows)])], [])

        closed = np.maximum(watermarks[positions], self.sealed)
        falls, late, cuts = [], [], {0}
        for pane, inside in _by_pane(batch.seconds[positions] // step * step):
            windows = self._windows_of(pane)
            mine, met = positions[inside], closed[inside]
            gone = np.searchsorted(np.array(windows) + size, met, side="right")
            for window, start in enumerate(windows):
                late += [(click, start) for click in mine[gone > window].tolist()]
            for past in np.unique(gone[gone < len(windows)]).tolist():
                falls.append(Fall(pane, mine[gone == past], windows[past:]))
                cuts.update(np.searchsorted(watermarks, np.array(windows[:past]) + size).tolist())
        if self.rule.overlapping:
            cuts.update(_borders(falls))
        return Placement(list(_cut(falls, sorted(cuts))), late)

    def _windows_of(self, pane: int) -> list[int]:
        """Starts of the rule's own windows that hold a pane, ascending."""
        size, step = self.rule.window, self.rule.step
        starts = range(pane - size + step, pane + step, step)
        return [start for start in starts if self.since <= start < self.until]

    def count(self, batch: Batch, falls: Sequence[Fall], parameters: Counting) -> list[Crossing]:
        """Count the clicks of one stretch; returns who crossed the threshold, in the order of the clicks."""
        for fall in falls:
            if fall.pane not in self.panes:
                places = max(1, parameters.max_suspects // self.rule.overlap)
                self.panes[fall.pane] = self.new_pane(fall.pane, parameters.seed, places)
        numbers = self.roster.numbers_of(batch)
        return count(
            [
                Part(
                    batch,
                    fall.clicks,
                    self.panes[fall.pane],
                    fall.windows,
                    list(self._neighbours(fall)),
                    self.told,
                    numbers,
                )
                for fall in falls
            ]
        )

    def new_pane(self, start: int, seed: int, places: int) -> Pane:
        """A pane of the rule that holds no clicks yet, with so many places for suspects."""
        return Pane(start, self.rule, seed, places, self.roster)

    def _neighbours(self, fall: Fall) -> Iterator[Neighbour]:
        size, step = self.rule.window, self.rule.step
        for start in range(fall.windows[0], fall.windows[-1] + size, step):
            if start != fall.pane and start in self.panes:
                within = [
                    window for window, begin in enumerate(fall.windows) if begin <= start < begin + size
                ]
                yield Neighbour(self.panes[start], slice(within[0], within[-1] + 1))

    def window(self, start: int) -> Window:
        """The window that starts there, as it is now."""
        panes = range(start, start + self.rule.window, self.rule.step)
        return Window(start, self.rule, [self.panes[pane] for pane in panes if pane in self.panes])

    def open(self) -> list[Window]:
        """The windows that hold clicks and are not closed, in order."""
        starts = {start for pane in self.panes for start in self._windows_of(pane)}
        return [self.window(start) for start in sorted(starts) if start + self.rule.window > self.closed]

    def highs(self, users: Sequence[str]) -> Iterator[tuple[Window, NDArray[np.int64]]]:
        """The open windows, and at most so many clicks of each user in them: 0 of who is no suspect there."""
        if not (windows := self.open()):
            return
        numbers, hashes = self.roster.find(users), hashes_of(users, windows[0].seed)
        known, highs = {}, {}
        for start, pane in self.panes.items():
            rows = pane.suspects.rows_of(numbers)
            known[start] = rows >= 0
            highs[start] = pane.highs(cells_of(hashes, pane.sketch.width), rows)
        for window in windows:
            starts = [pane.start for pane in window.panes]
            high = np.sum([highs[start] for start in starts], axis=0)
            yield window, np.where(np.any([known[start] for start in starts], axis=0), high, 0)

    def close(self, watermark: float) -> list[Window]:
        """Take out the windows that the watermark or wall clock has closed, in order, as they are now."""
        closed = max(watermark, self.sealed)
        if closed <= self.closed:
            return []
        windows = [window.freeze() for window in self.open() if window.end <= closed]
        self.closed = closed
        over = [
            start
            for start in (self.panes if windows else ())
            if all(each + self.rule.window <= closed for each in self._windows_of(start))
        ]
        for start in over:
            del self.panes[start]
        if over:
            self.enroll(self.panes.values())
        return windows

    def enroll(self, panes: Iterable[Pane]) -> None:
        """Forget the suspects of all panes but these."""
        self.roster = Roster()
        for pane in panes:
            pane.suspects.enroll(self.roster)

    def forget(self, watermark: float) -> None:
        """Forget who was told of in windows that no click in time can adjoin any more."""
        self.told.forget(watermark - 2 * self.rule.window)

    def ended(self, watermark: float) -> bool:
        """Whether the rule is out of effect, and every window of its own closed."""
        return not self.panes and watermark >= self.until + self.rule.window


def _by_pane(panes: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Panes of clicks, by their starts, ascending, and which of the clicks fall into each."""
    order = np.argsort(panes, kind="stable")
    starts, bounds = np.unique(panes[order], return_index=True)
    yield from zip(starts.tolist(), np.split(order, bounds[1:]), strict=True)


def _borders(falls: Sequence[Fall]) -> Iterator[int]:
    """Where in the batch all clicks leave one pane for another.

    Counted apart, nobody's clicks here depend on the user's own in the other pane, and need no order.
    """
    for before, behind in pairwise(sorted(falls, key=lambda fall: fall.pane)):
        if before.clicks[-1] < behind.clicks[0]:
            yield int(behind.clicks[0])


def _cut(falls: list[Fall], cuts: list[int]) -> Iterator[Stretch]:
    """Cut what falls at these positions, which are ascending."""
    for begin, end in zip(cuts, [*cuts[1:], math.inf], strict=True):
        inside = [
            Fall(fall.pane, fall.clicks[(fall.clicks >= begin) & (fall.clicks < end)], fall.windows)
            for fall in falls
        ]
        if inside := [fall for fall in inside if len(fall.clicks)]:
            yield Stretch(begin, inside)
