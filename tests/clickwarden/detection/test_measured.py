"""Different values and shares: what is found is what counting click by click finds."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickwarden.detection import counting, measured, rulesfile, suspects
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.clicks import Clicks
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule, fields_of
from clickwarden.detection.whole import WholeDetection
from clickwarden.settings import Settings
from clickwarden.times import isotime
from tests.clickwarden.detection.reference import state

LATENESS = 5.0
RULES = (
    Rule(name="reader", window=60, threshold=12, count="distinct product_id"),
    Rule(name="exact", window=60, threshold=12, promote=1, count="distinct product_id"),
    Rule(name="pages", window=60, threshold=8, slide=10, events=("view",), count="distinct page"),
    Rule(name="guesser", window=60, threshold=6, share="failed of login, failed", at_least=0.6),
    Rule(name="gliding", window=60, threshold=6, slide=20, share="failed of login, failed", at_least=0.7),
    Rule(name="late", window=60, threshold=6, promote=4, share="failed of login, failed", at_least=0.8),
)
Click = tuple[str, str, str | None, str | None, float]


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Have streams of some hundred clicks take every path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "FEW", 8)
        patch.setattr(suspects, "GATHERED_MAX", 60)
        yield


@pytest.fixture(params=[suspects.VALUES_ALL, 40], ids=["room", "no room"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with places for 40 values in a window, and for some 20 of one user."""
    monkeypatch.setattr(suspects, "VALUES_ALL", request.param)
    monkeypatch.setattr(measured, "VALUES_MAX", request.param // 2)


@st.composite
def streams(draw: st.DrawFn) -> list[Click]:
    """Some hundred clicks of a few users who do much, and of many who do little, in disorder."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.integers(1, 1200))
    pace = draw(st.sampled_from([0.001, 0.05, 0.5]))
    disorder = draw(st.sampled_from([0.0, 4.0, 30.0]))
    busy = draw(st.sampled_from([0.2, 0.8]))
    products = draw(st.sampled_from([5, 14, 60]))
    failed = draw(st.sampled_from([0.3, 0.65]))
    times = 1_760_000_000 + np.arange(size) * pace + random.uniform(-disorder, disorder, size)
    return [
        (
            f"u{random.integers(4) if random.random() < busy else random.integers(4, 300)}",
            str(random.choice(["view", "login", "failed"], p=[0.5, 0.5 - failed / 2, failed / 2])),
            None if random.random() < 0.1 else f"p{random.integers(products)}",
            None if random.random() < 0.1 else f"/{random.integers(products)}",
            float(time),
        )
        for time in times
    ]


def batch_of(rows: Sequence[Click], rules: Sequence[Rule] = RULES) -> Batch:
    users, events, products, pages, times = map(list, zip(*rows, strict=True))
    moments = np.array(times, np.float64)
    clicks: Any = Clicks(users, events, products, moments, moments.copy(), fields={"page": pages})
    return Batch(clicks, fields_of(rules))


def configured(**values: Any) -> Settings:
    return Settings(_env_file=None, lateness=LATENESS, seed=7, **values)


def run(
    batches: Sequence[Sequence[Click]], rules: Sequence[Rule] = RULES, **values: Any
) -> tuple[Detection, list[Anomaly]]:
    detection, anomalies = Detection(0, rules, configured(**values)), []
    for batch in batches:
        anomalies += detection.count(batch_of(batch, rules)).anomalies
    return detection, anomalies


def cut(rows: Sequence[Click], cuts: Sequence[int]) -> list[Sequence[Click]]:
    edges = [0, *sorted({at % (len(rows) + 1) for at in cuts}), len(rows)]
    return [rows[first:end] for first, end in pairwise(edges) if end > first]


examples = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(streams(), st.lists(st.integers(0, 10_000), max_size=6), st.sampled_from([2, 10_000]))
@examples
@pytest.mark.usefixtures("room")
def test_batches_do_not_matter(rows: list[Click], cuts: list[int], max_suspects: int) -> None:
    whole, anomalies = run([rows], max_suspects=max_suspects)
    pieces, same = run(cut(rows, cuts), max_suspects=max_suspects)
    assert sorted(map(msgspec.json.encode, same)) == sorted(map(msgspec.json.encode, anomalies))
    assert state(pieces) == state(whole)


class Reference:
    """One rule over clicks in their order, on plain sets, for so few users that no cell is shared."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.unknown: dict[tuple[int, str], int] = defaultdict(int)
        self.known: dict[tuple[int, str], list[Click]] = {}
        self.told: set[tuple[int, str]] = set()

    def add(self, click: Click, over: float) -> Iterator[tuple[str, str, str, int, int, int, Any, Any]]:
        """Yields who crosses, or comes to a step, in which window, and the figures then.

        What ends at ``over`` is closed.
        """
        user, event, product, page, time = click
        rule, step = self.rule, self.rule.slide or self.rule.window
        value = {"distinct product_id": product, "distinct page": page}.get(rule.count or "", "")
        if value is None or (rule.events and event not in rule.events):
            return
        pane = int(time) // step * step
        starts = range(pane - rule.window + step, pane + step, step)
        windows = [start for start in starts if start + rule.window > over]
        if not windows:
            return
        if (pane, user) not in self.known:
            most = max(self._most(start, user) for start in windows) + 1
            if most < rule.level:
                self.unknown[pane, user] += 1
                return
            self.known[pane, user] = []
        before = {start: self._low(start, user) for start in windows}
        self.known[pane, user].append(click)
        for start in windows:
            low, high, shares = self._figures(start, user)
            low_share, high_share = (None, None) if shares is None else map(float, shares)
            steps = [low >= times * rule.threshold > before[start] for times in (2, 5, 20)]
            if (start, user) in self.told:
                if any(steps):
                    step = 1 + steps.index(True)
                    yield rule.name, isotime(start), user, step, low, high, low_share, high_share
                continue
            reached = shares is None or shares[1] >= Fraction(str(rule.at_least))
            if high > rule.threshold and reached:
                self.told.add((start, user))
                yield rule.name, isotime(start), user, 0, low, high, low_share, high_share

    def _panes(self, start: int) -> range:
        return range(start, start + self.rule.window, self.rule.slide or self.rule.window)

    def _most(self, start: int, user: str) -> int:
        """Clicks of a window that count, values of other panes not looked at."""
        return sum(
            self.unknown[pane, user] + self._count(self.known.get((pane, user), []))
            for pane in self._panes(start)
        )

    def _count(self, clicks: list[Click]) -> int:
        return len(self._values(clicks)) if self.rule.count else len(clicks)

    def _values(self, clicks: list[Click]) -> set[str | None]:
        return {click[3] if self.rule.count == "distinct page" else click[2] for click in clicks}

    def _known(self, start: int, user: str) -> list[Click]:
        return [click for pane in self._panes(start) for click in self.known.get((pane, user), [])]

    def _low(self, start: int, user: str) -> int:
        return self._count(self._known(start, user))

    def _figures(self, start: int, user: str) -> tuple[int, int, tuple[Fraction, Fraction] | None]:
        clicks, low = self._known(start, user), self._low(start, user)
        unknown = sum(self.unknown[pane, user] for pane in self._panes(start))
        if self.rule.count:
            return low, low + unknown, None
        part, whole = sum(click[1] == "failed" for click in clicks), low + unknown
        return low, whole, (Fraction(part, whole), Fraction(part + unknown, whole))


@given(streams(), st.lists(st.integers(0, 10_000), max_size=6))
@examples
def test_agrees_with_click_by_click_counting(rows: list[Click], cuts: list[int]) -> None:
    _, anomalies = run(cut(rows, cuts))
    references, newest = [Reference(rule) for rule in RULES], float("-inf")
    crossings: list[Any] = []
    for row in rows:
        for reference in references:
            crossings += reference.add(row, newest - LATENESS)
        newest = max(newest, row[4])
    ongoing = [
        (
            *(a.rule, a.window_start, a.user_id),
            a.revision,
            a.count_low,
            a.count_high,
            a.share_low,
            a.share_high,
        )
        for a in anomalies
        if a.status == "ongoing"
    ]
    assert sorted(ongoing) == sorted(crossings)


@given(streams(), st.lists(st.integers(0, 10_000), max_size=6))
@examples
def test_of_a_file_the_same_is_found(rows: list[Click], cuts: list[int]) -> None:
    whole = WholeDetection(RULES, configured(), BytesIO())
    for batch in cut(rows, cuts):
        whole.count(batch_of(batch))
    closed = {(a.rule, a.window_start, a.user_id) for _, found in whole.close() for a in found}
    references = [Reference(rule) for rule in RULES]
    crossings = {each[:3] for row in rows for reference in references for each in reference.add(row, -np.inf)}
    assert closed == crossings


def test_the_rules_of_the_examples_do_what_their_tests_expect() -> None:
    for path in (Path(__file__).parents[3] / "examples").glob("*.toml"):
        assert rulesfile.parse(path.read_bytes(), str(path))
