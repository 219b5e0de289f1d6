"""The windows of one rule, and which of them a click falls into."""

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import Batch
from clickwarden.detection.rules import Rule
from clickwarden.detection.windows import Window


class Counting(Protocol):
    """What has to be known to open a window; the settings of that name."""

    @property
    def seed(self) -> int:
        """Of the users' hashes."""

    @property
    def max_suspects(self) -> int:
        """Users profiled at once in one window."""


class Placement(NamedTuple):
    """What a rule makes of the clicks of a batch, by their positions in it.

    Attributes:
        windows: start of a window, and the clicks that it counts; ascending.
        late: a click, and the start of a window of its own that was closed when it came.
    """

    windows: list[tuple[int, NDArray[np.intp]]]
    late: list[tuple[int, int]]


class RuleWindows:
    """One rule: its open windows, and which windows are its own.

    Attributes:
        rule: as it was when it took effect.
        since: counts only windows that start here or later; -inf if always.
        until: counts only windows that start before; +inf while in effect.
        sealed: windows that end here or before were closed by wall clock.
        told: who is over the threshold in the newest windows, by their start: starts of the windows that
            the users' incidents began with.
    """

    def __init__(self, rule: Rule, since: float = -math.inf) -> None:
        self.rule = rule
        self.since = since
        self.until = math.inf
        self.sealed = -math.inf
        self.windows: dict[int, Window] = {}
        self.told: dict[int, dict[str, int]] = {}

    def place(self, batch: Batch, watermarks: NDArray[np.float64]) -> Placement:
        """Find the windows of a batch's clicks; ``watermarks``, float64[n], are what each of them met."""
        positions = batch.matching(self.rule)
        if not len(positions):
            return Placement([], [])
        size, step = self.rule.window, self.rule.step
        first, last = batch.earliest // step * step, batch.latest // step * step
        oldest = first - size + step
        own = self.since <= oldest and last < self.until
        if first == last and own and oldest + size > max(watermarks[-1], self.sealed):
            return Placement([(start, positions) for start in range(oldest, last + 1, step)], [])

        closed = np.maximum(watermarks[positions], self.sealed)
        windows, late = [], []
        for start, inside in self._falls(batch.seconds[positions] // step * step):
            mine, behind = positions[inside], closed[inside] >= start + size
            late += [(click, start) for click in mine[behind].tolist()]
            if not behind.all():
                windows.append((start, mine[~behind]))
        return Placement(windows, late)

    def _falls(self, steps: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Own windows of clicks, by the steps they are in, and which of them fall into each; ascending."""
        size, step = self.rule.window, self.rule.step
        order = np.argsort(steps, kind="stable")
        ordered = steps[order]
        starts = np.unique(np.unique(ordered)[:, None] - np.arange(0, size, step))
        starts = starts[(starts >= self.since) & (starts < self.until)]
        bounds = np.searchsorted(ordered, (starts, starts + size)).T.tolist()
        for start, (begin, end) in zip(starts.tolist(), bounds, strict=True):
            yield start, np.sort(order[begin:end])

    def window(self, start: int, parameters: Counting) -> Window:
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

    def forget(self, watermark: float) -> None:
        """Forget who was told of in windows that no click in time can adjoin any more."""
        over = [start for start in self.told if start + 2 * self.rule.window <= watermark]
        for start in over:
            del self.told[start]

    def ended(self, watermark: float) -> bool:
        """Whether the rule is out of effect, and every window of its own closed."""
        return not self.windows and watermark >= self.until + self.rule.window
