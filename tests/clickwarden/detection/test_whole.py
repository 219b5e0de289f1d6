"""A file is whole: what is found does not depend on the order of its lines, nor on what waits on disk."""

import io
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from clickwarden.detection import whole
from clickwarden.detection.batch import Batch
from clickwarden.detection.clicks import Clicks
from clickwarden.detection.rules import Rule
from clickwarden.detection.whole import WholeDetection
from clickwarden.settings import Settings
from tests.clickwarden.detection.reference import starts_with

T = 1_600_000_020.0  # start of a window of 60 s
RULES = (
    Rule(name="bot", window=60, threshold=20),
    Rule(name="reader", window=600, threshold=90, events=("view",)),
    Rule(name="sliding", window=60, threshold=20, slide=20),
)
Rows = list[tuple[str, str, float]]


def made_up(seed: int) -> Rows:
    """Clicks of some hours; a few users are in a hurry now and then."""
    randomly = random.Random(seed)
    rows = [
        (f"u{randomly.randint(1, 40)}", randomly.choice(("view", "buy")), T + randomly.uniform(0, 20_000))
        for _ in range(4000)
    ]
    for user in range(5):
        start = T + 60 * randomly.randint(0, 300)
        rows += [(f"bot{user}", "view", start + randomly.uniform(0, 59)) for _ in range(120)]
    return rows


def found(rows: Rows, size: int) -> Sequence[tuple[str, str, str, int]]:
    detection = WholeDetection(RULES, Settings(_env_file=None), io.BytesIO())
    for first in range(0, len(rows), size):
        users, events, times = zip(*rows[first : first + size], strict=True)
        detection.count(Batch(Clicks(list(users), list(events), [None] * len(users), np.array(times))))
    return [
        (anomaly.rule, anomaly.user_id, anomaly.window_start, anomaly.count)
        for _, anomalies in detection.close()
        for anomaly in anomalies
    ]


def truth(rows: Rows) -> Counter[tuple[str, str, int]]:
    return Counter(
        (rule.name, user, start)
        for rule in RULES
        for user, event, time in rows
        if (not rule.events or event in rule.events)
        for start in starts_with(time, rule)
    )


@pytest.mark.parametrize("open_windows", [1, 1000])
@pytest.mark.parametrize("size", [50, 10_000])
def test_in_any_order_the_same_is_found(
    monkeypatch: pytest.MonkeyPatch, open_windows: int, size: int
) -> None:
    monkeypatch.setattr(whole, "OPEN", open_windows)
    rows = made_up(1)
    limits = {rule.name: rule.threshold for rule in RULES}
    expected = sorted(
        (rule, user, count) for (rule, user, _), count in truth(rows).items() if count > limits[rule]
    )
    assert len(expected) >= 10
    orders = [sorted(rows, key=lambda row: row[2]), sorted(rows, key=lambda row: -row[2]), rows]
    for ordered in orders:
        anomalies = found(ordered, size)
        assert sorted((rule, user, count) for rule, user, _, count in anomalies) == expected


def test_what_is_found_is_told_in_the_order_of_time() -> None:
    starts = [start for rule, _, start, _ in found(made_up(2)[::-1], 100) if rule == "bot"]
    assert starts == sorted(starts)


def test_a_clock_that_is_wrong_by_years_harms_nobody() -> None:
    rows = [("bot", "view", T + second) for second in range(30)]
    wrong = [("clock", "view", T + 1e8), ("clock", "view", T - 1e8)]
    told = found(wrong + rows[:15] + wrong + rows[15:], 1)
    assert [(user, count) for rule, user, _, count in told if rule == "bot"] == [("bot", 30)]


def test_windows_that_overlap_or_adjoin_are_one_incident() -> None:
    rows = [("bot", "view", T + second) for second in range(180)] + [
        ("bot", "view", T + 600 + i) for i in range(30)
    ]
    detection = WholeDetection(RULES[2:], Settings(_env_file=None), io.BytesIO())
    users, events, times = zip(*rows[::-1], strict=True)
    detection.count(Batch(Clicks(list(users), list(events), [None] * len(users), np.array(times))))
    incidents = [anomaly.incident_id for _, anomalies in detection.close() for anomaly in anomalies]
    assert list(Counter(incidents).values()) == [9, 2]
