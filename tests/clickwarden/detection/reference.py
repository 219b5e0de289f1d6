"""What detection is compared with: counting one click at a time, on plain dicts, and another detection."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from clickwarden.detection import sketch, suspects
from clickwarden.detection.batch import Batch
from clickwarden.detection.clicks import Clicks
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.detection.sketch import cells_of, hashes_of

Click = tuple[str, str, str | None, float]


def batch_of(
    rows: Iterable[Click], received: Iterable[float] | None = None, fields: Iterable[str] = ()
) -> Batch:
    """Clicks that Kafka received then; when they happened, so that the newest is the time, if not given.

    Rules may look at these fields of them, of those that a click has of itself.
    """
    rows = list(rows)
    users, events, products, times = (
        (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 4
    )
    arrivals = times if received is None else list(received)
    clicks = Clicks(users, events, products, np.array(times, np.float64), np.array(arrivals, np.float64))
    return Batch(clicks, frozenset(fields))


def starts_with(time: float, rule: Rule) -> list[int]:
    """Starts of the windows of a rule that hold this moment, as the words say it."""
    return [
        start
        for start in range(int(time) - rule.window + 1, int(time) + 1)
        if start % (rule.slide or rule.window) == 0
    ]


def truth(rows: Iterable[Click], rules: Iterable[Rule], lateness: float) -> dict[tuple[str, int, str], int]:
    """Exact counts by rule, window start and user, of the clicks that are not late."""
    counts: Counter[tuple[str, int, str]] = Counter()
    newest = float("-inf")
    for user, event, _, time in rows:
        for rule in rules:
            if rule.events and event not in rule.events:
                continue
            for start in starts_with(time, rule):
                if start + rule.window > newest - lateness:
                    counts[rule.name, start, user] += 1
        newest = max(newest, time)
    return dict(counts)


def core(detection: Detection) -> Any:
    """What there was to know from the beginning of snapshots on."""
    return (
        detection.newest, detection.accepted, detection.late,
        [
            (d.rule, d.sealed, [
                (p.start, p.clicks, p.sketch.cells.tobytes(), p.suspects.all())
                for p in sorted(d.panes.values(), key=lambda p: p.start)
            ])
            for d in detection.rule_windows
        ],
    )  # fmt: skip


def state(detection: Detection) -> Any:
    """All that a detection knows, to be compared."""
    return (
        core(detection),
        (vars(detection.clock), detection.delays.spans, detection.uncounted),
        [(ruled.told.incidents, ruled.closed) for ruled in detection.rule_windows],
        [
            (w.name, w.outcome, w.closed, w.late, w.suspects, w.revisions, w.changed, w.due, w.until)
            for w in detection.closed
        ],
        {rule: spans.bounds for rule, spans in detection.closed.forgotten.items()},
    )


class ReferencePane:
    """A conservative-update sketch and suspects, in dicts: slow, and simple enough to be right."""

    def __init__(self, rule: Rule, seed: int, max_suspects: int) -> None:
        overlap = rule.window // (rule.slide or rule.window)
        self.rule, self.seed, self.places = rule, seed, max(1, max_suspects // overlap)
        self.profiles = max(1, suspects.PROFILES_MAX // overlap)
        self.cells: dict[int, int] = defaultdict(int)
        self.width, self.clicks = rule.width, 0
        self.suspects: dict[str, dict[str, Any]] = {}

    def _cells_of(self, user: str) -> list[int]:
        cells: list[int] = cells_of(hashes_of([user], self.seed), self.width)[:, 0].tolist()
        return cells

    def high(self, user: str) -> int:
        suspect = self.suspects.get(user)
        if suspect is None:
            return min(self.cells.get(cell, 0) for cell in self._cells_of(user))
        high: int = suspect["promoted"] + suspect["exact"] - 1
        return high

    def add(self, click: Click, elsewhere: int) -> None:
        """Count a click of one who has so many more in the rest of a window."""
        user, event, product, time = click
        suspect = self.suspects.get(user)
        if suspect is None:
            cells = self._cells_of(user)
            estimate = min(self.cells[cell] for cell in cells) + 1
            for cell in cells:
                self.cells[cell] = max(self.cells[cell], estimate)
            self._double_when_full()
            full = len(self.suspects) >= self.places
            if estimate + elsewhere < (self.rule.threshold + 1 if full else self.rule.level):
                return
            suspect = self.suspects[user] = {
                "promoted": estimate, "exact": 0, "times": [], "events": Counter(), "products": set(),
                "profiled": len(self.suspects) < self.profiles,
            }  # fmt: skip
        suspect["exact"] += 1
        suspect["times"].append(time)
        if suspect["profiled"] or event in suspect["events"] or not suspect["events"]:
            suspect["events"][event] += 1
        if suspect["profiled"] and product is not None:
            suspect["products"].add(product)

    def _double_when_full(self) -> None:
        self.clicks += 1
        while self.clicks >= sketch.LOAD * self.width:
            old, self.cells = self.cells, defaultdict(int)
            for cell, value in old.items():
                row, column = divmod(cell, self.width)
                for copy in (column, column + self.width):
                    self.cells[2 * row * self.width + copy] = value
            self.width *= 2


class Crossed(NamedTuple):
    """Who was told of in a window, at which of its steps, and what was known then."""

    rule: str
    start: int
    user: str
    low: int
    high: int
    first: float
    last: float
    products: int
    steps: int = 0


class Reference:
    """Counts one click after the other; a window is closed when the newest one says so."""

    def __init__(self, rules: Iterable[Rule], max_suspects: int, lateness: float) -> None:
        self.rules, self.max_suspects, self.lateness = list(rules), max_suspects, lateness
        self.panes: dict[tuple[str, int], ReferencePane] = {}
        self.windows: dict[tuple[str, int], Rule] = {}
        self.told: set[tuple[str, int, str]] = set()
        self.newest = float("-inf")

    def add(self, click: Click) -> tuple[list[Crossed], list[Crossed]]:
        """Who crosses or comes to a step with this click, and who was over in the windows that it closes."""
        _, event, _, time = click
        crossed: list[Crossed] = []
        for rule in self.rules:
            windows = [
                start
                for start in starts_with(time, rule)
                if start + rule.window > self.newest - self.lateness
            ]
            if windows and (not rule.events or event in rule.events):
                crossed += self._count(rule, windows, click)
        self.newest = max(self.newest, time)
        closed = []
        for (name, start), rule in sorted(self.windows.items()):
            if start + rule.window <= self.newest - self.lateness:
                del self.windows[name, start]
                told = sorted(user for of, window, user in self.told if (of, window) == (name, start))
                closed += [self._known(rule, start, user) for user in told]
        return crossed, closed

    def _count(self, rule: Rule, windows: list[int], click: Click) -> Iterator[Crossed]:
        user, _, _, time = click
        step = rule.slide or rule.window
        here = int(time) // step * step
        if (rule.name, here) not in self.panes:
            self.panes[rule.name, here] = ReferencePane(rule, 0, self.max_suspects)
        elsewhere = {
            start: sum(pane.high(user) for at, pane in self.within(rule, start) if at != here)
            for start in windows
        }
        pane = self.panes[rule.name, here]
        pane.add(click, max(elsewhere.values()))
        for start in windows:
            self.windows[rule.name, start] = rule
            name = (rule.name, start, user)
            if name in self.told:
                known = self._known(rule, start, user)
                # It is one more than before: this click was counted exactly.
                if known.low in (times := [2 * rule.threshold, 5 * rule.threshold, 20 * rule.threshold]):
                    yield known._replace(steps=1 + times.index(known.low))
            elif pane.high(user) + elsewhere[start] > rule.threshold:
                self.told.add(name)
                yield self._known(rule, start, user)

    def within(self, rule: Rule, start: int) -> list[tuple[int, ReferencePane]]:
        return [
            (at, pane)
            for (name, at), pane in self.panes.items()
            if name == rule.name and start <= at < start + rule.window
        ]

    def _known(self, rule: Rule, start: int, user: str) -> Crossed:
        panes = [pane for _, pane in self.within(rule, start)]
        known = [pane.suspects[user] for pane in panes if user in pane.suspects]
        times = [time for each in known for time in each["times"]]
        return Crossed(
            rule.name,
            start,
            user,
            sum(each["exact"] for each in known),
            sum(pane.high(user) for pane in panes),
            min(times),
            max(times),
            len(set().union(*(each["products"] for each in known))),
        )
