"""Rules of all kinds that change: detection and recount agree, over cuts, restarts and late clicks."""

import json
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwarden.audit.oracle import Judgement, judge
from clickwarden.audit.recount import Recount
from clickwarden.detection import measured, snapshot
from clickwarden.detection.adoption import Adoption, adoptions_of
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.clicks import Clicks
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule, fields_of
from clickwarden.settings import Settings
from tests.site import ReadRecord

T = 1_600_000_020
FEW, MANY = (Settings(_env_file=None, lateness=5.0, seed=7, max_suspects=places) for places in (1, 10_000))
SHARE = "failed of login, failed"
EVENTS = ["view", "login", "failed"]
MEASURES: list[dict[str, Any]] = [
    {"count": "distinct product_id"},
    {"count": "distinct page", "events": ("view", "login")},
    {"share": SHARE, "at_least": 0.6},
    {"share": SHARE, "at_least": 1.0},
    {},
]


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    """Some of three names, each as it may be at one time or another."""
    names = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True, min_size=1, max_size=3))
    return tuple(
        Rule(
            name=name,
            window=(window := draw(st.sampled_from([10, 60]))),
            slide=draw(st.sampled_from([0, window // 2, window // 5])),
            threshold=draw(st.integers(2, 6)),
            promote=draw(st.sampled_from([0, 1, 2])),
            width=1024,
            **draw(st.sampled_from(MEASURES)),
        )
        for name in names
    )


Click = tuple[str, str, str | None, str | None, float]


def stream(seed: int, size: int) -> list[Click]:
    random = np.random.default_rng(seed)
    times = np.sort(T + random.random(size) * size / 4) + random.random(size) * random.choice([1, 8])
    return [
        (
            f"u{random.integers(3)}",
            str(random.choice(EVENTS, p=[0.4, 0.2, 0.4])),
            None if random.random() < 0.1 else f"p{random.integers(9)}",
            None if random.random() < 0.1 else f"/{random.integers(9)}",
            round(float(time), 3),
        )
        for time in times
    ]


def batch_of(rows: list[Click], rules: tuple[Rule, ...]) -> Batch:
    users, events, products, pages, times = map(list, zip(*rows, strict=True))
    moments = np.array(times, np.float64)
    clicks: Any = Clicks(users, events, products, moments, moments + 0.001, fields={"page": pages})
    return Batch(clicks, fields_of(rules))


def record(offset: int, click: Click) -> ReadRecord:
    user, event, product, page, time = click
    value = {"user_id": user, "event": event, "timestamp": time, "product_id": product, "page": page}
    return ReadRecord(0, offset, int(1000 * time) + 1, 1, b"", json.dumps(value).encode(), ())


def outcomes(detection: Detection) -> dict[bytes, bytes]:
    return {
        snapshot.outcome_key(window.name): snapshot.dump_outcome(window.outcome)
        for window in detection.closed
        if window.outcome is not None
    }


def counted(
    settings: Settings,
    rows: list[Click],
    changes: dict[int, tuple[Rule, ...]],
    cuts: set[int],
    deaths: set[int],
) -> tuple[list[Anomaly], list[Adoption]]:
    """What is told under rules that count from offsets on, by workers that die now and then."""
    detection = Detection(0, changes[0], settings)
    told = adoptions_of(detection, [])
    anomalies: list[Anomaly] = []
    every = tuple(rule for wanted in changes.values() for rule in wanted)
    edges = sorted({0, len(rows)} | {edge for edge in cuts | deaths | changes.keys() if edge < len(rows)})
    for first, end in pairwise(edges):
        if first in changes and detection.plan(changes[first], first):
            told = adoptions_of(detection, told)
        if first in deaths:
            dumped = snapshot.compress(snapshot.dump(detection))
            detection = snapshot.load(dumped, 0, settings, outcomes(detection))
        detection.adopt(first)
        anomalies += detection.count(batch_of(rows[first:end], every)).anomalies
        detection.advance(end)
    return anomalies, told


@settings(max_examples=150)
@given(
    st.integers(0, 2**32),
    st.integers(1, 300),
    st.dictionaries(st.integers(1, 300), rules(), max_size=4),
    rules(),
    st.sets(st.integers(0, 300), max_size=30),
    st.sets(st.integers(0, 300), max_size=5),
    st.sampled_from([FEW, MANY]),
)
def test_recount_and_detection_agree(
    seed: int,
    size: int,
    changes: dict[int, tuple[Rule, ...]],
    first: tuple[Rule, ...],
    cuts: set[int],
    deaths: set[int],
    configured: Settings,
) -> None:
    rows = stream(seed, size)
    changes = {0: first} | {at: wanted for at, wanted in changes.items() if at < size}
    anomalies, told = counted(configured, rows, changes, cuts, deaths)
    verdict = judged(configured, rows, anomalies, told)
    assert verdict.ok, verdict.examples
    assert verdict.accounted


def judged(
    settings: Settings, rows: list[Click], anomalies: list[Anomaly], told: list[Adoption]
) -> Judgement:
    truth = Recount(settings, (), adoptions={0: told})
    truth.add(0, [record(offset, row) for offset, row in enumerate(rows)])
    said = [ReadRecord(0, 0, 0, 1, a.alert_id.encode(), msgspec.json.encode(a), ()) for a in anomalies]
    return judge(truth, said)


#: How the detection may be broken: what in place of which method of a rule's measuring.
BROKEN: dict[str, tuple[str, Callable[..., Any]]] = {
    "every click is counted": ("counted", lambda _, suspect, clicks, room: clicks),
    "nothing is noted": ("note", lambda _, suspect, clicks, room: 0),
    "no share is asked for": ("over", lambda right, suspect: suspect.count_high > right.threshold),
    "one more than the threshold is not too many": (
        "over",
        lambda right, suspect: suspect.count_high > right.threshold + 1,
    ),
}


@pytest.mark.parametrize("way", BROKEN)
def test_the_oracle_sees_a_detection_that_measures_wrongly(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, method = BROKEN[way]
    right = measured.measuring_of

    def broken(rule: Rule, batch: Batch, seed: int) -> Any:
        measuring = right(rule, batch, seed)
        if rule.measure is not None:
            setattr(measuring, name, partial(method, measuring))
        return measuring

    rules = tuple(
        Rule(name=f"{number}", window=60, slide=20, threshold=6, **measure)
        for number, measure in enumerate(MEASURES)
    )
    rows = stream(1, 300)

    def verdict() -> Judgement:
        return judged(MANY, rows, *counted(MANY, rows, {0: rules}, set(range(0, 300, 17)), {100}))

    assert verdict().ok
    monkeypatch.setattr("clickwarden.detection.crossings.measuring_of", broken)
    assert not verdict().ok
