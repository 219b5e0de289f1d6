"""What detection is compared with: counting one click at a time, on plain dicts, and another detection."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from clickwarden.detection import sketch, suspects
from clickwarden.detection.batch import Batch
from clickwarden.detection.clicks import Clicks
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.detection.sketch import cells_of, hashes_of

Click = tuple[str, str, str | None, float]


def batch_of(rows: Iterable[Click], received: Iterable[float] | None = None) -> Batch:
    """Clicks that Kafka received then; when they happened, so that the newest is the time, if not given."""
    rows = list(rows)
    users, events, products, times = (
        (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 4
    )
    arrivals = times if received is None else list(received)
    return Batch(Clicks(users, events, products, np.array(times, np.float64), np.array(arrivals, np.float64)))


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
                (w.start, w.clicks, w.sketch.cells.tobytes(), w.suspects.all())
                for w in sorted(d.windows.values(), key=lambda w: w.start)
            ])
            for d in detection.rule_windows
        ],
    )  # fmt: skip


def state(detection: Detection) -> Any:
    """All that a detection knows, to be compared."""
    return (
        core(detection),
        (vars(detection.clock), detection.delays.spans, detection.uncounted),
        [ruled.told for ruled in detection.rule_windows],
        [
            (w.name, w.outcome, w.closed, w.late, w.suspects, w.revisions, w.changed, w.due, w.until)
            for w in detection.closed
        ],
        {rule: spans.bounds for rule, spans in detection.closed.forgotten.items()},
    )


class ReferenceWindow:
    """A conservative-update sketch and suspects, in dicts: slow, and simple enough to be right."""

    def __init__(self, rule: Rule, seed: int, max_suspects: int) -> None:
        self.rule, self.seed, self.max_suspects = rule, seed, max_suspects
        self.cells: dict[int, int] = defaultdict(int)
        self.width, self.clicks = rule.width, 0
        self.suspects: dict[str, dict[str, Any]] = {}

    def add(self, click: Click) -> Iterator[tuple[str, int, int]]:
        """Yields user, count_low and count_high where the threshold is crossed."""
        user, event, product, time = click
        suspect = self.suspects.get(user)
        if suspect is None:
            cells = cells_of(hashes_of([user], self.seed), self.width)[:, 0].tolist()
            estimate = min(self.cells[cell] for cell in cells) + 1
            for cell in cells:
                self.cells[cell] = max(self.cells[cell], estimate)
            self._double_when_full()
            full = len(self.suspects) >= self.max_suspects
            if estimate < (self.rule.threshold + 1 if full else self.rule.level):
                return
            suspect = self.suspects[user] = {
                "promoted": estimate, "exact": 0, "times": [], "events": Counter(), "products": set(),
                "profiled": len(self.suspects) < suspects.PROFILES_MAX,
            }  # fmt: skip
        was_over = suspect["exact"] and suspect["promoted"] + suspect["exact"] - 1 > self.rule.threshold
        suspect["exact"] += 1
        suspect["times"].append(time)
        if suspect["profiled"] or event in suspect["events"] or not suspect["events"]:
            suspect["events"][event] += 1
        if suspect["profiled"] and product is not None:
            suspect["products"].add(product)
        high = suspect["promoted"] + suspect["exact"] - 1
        if not was_over and high > self.rule.threshold:
            yield user, suspect["exact"], high

    def _double_when_full(self) -> None:
        self.clicks += 1
        while self.clicks >= sketch.LOAD * self.width:
            old, self.cells = self.cells, defaultdict(int)
            for cell, value in old.items():
                row, column = divmod(cell, self.width)
                for copy in (column, column + self.width):
                    self.cells[2 * row * self.width + copy] = value
            self.width *= 2
