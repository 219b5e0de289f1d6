"""What one user, or a crowd of them, cannot do: fill the memory, or hide others."""

from collections import Counter

import numpy as np
import pytest

from clickwarden.detection.batch import Batch
from clickwarden.detection.clicks import Clicks
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.detection.snapshot import compress, dump
from clickwarden.settings import Settings

T = 1_600_000_020  # start of a window of 60 s
RULE = Rule(name="bot", window=60, threshold=50)
MAX_SUSPECTS = 10_000
MIB = 1 << 20


@pytest.fixture
def detection() -> Detection:
    return Detection(0, [RULE], Settings(_env_file=None, max_suspects=MAX_SUSPECTS))


def batch(users: list[str], time: float) -> Batch:
    products: list[str | int | None] = [f"p{number}" for number in range(len(users))]
    times = np.full(len(users), time)
    return Batch(Clicks(users, ["view"] * len(users), products, times, received=times))


def found(detection: Detection) -> dict[str, tuple[int, int]]:
    """Lower and upper end of the count of everyone reported when the window closes."""
    closed = detection.count(batch(["ann"], T + 65)).anomalies
    return {each.user_id: (each.count_low, each.count_high) for each in closed if each.status == "closed"}


def test_one_user_with_ten_million_clicks(detection: Detection) -> None:
    attack = batch(["eve"] * 9_990 + [f"user-{number}" for number in range(10)], T + 1)
    for _ in range(1000):
        detection.count(attack)
    detection.count(batch(["bob"] * 51, T + 2))
    assert len(compress(dump(detection))) < MIB
    reported = found(detection)
    assert reported.keys() == {"eve", "bob", *(f"user-{number}" for number in range(10))}
    for user, clicks in {"eve": 9_990_000, "bob": 51, "user-3": 1000}.items():
        low, high = reported[user]
        assert low <= clicks <= high
        assert high - low < RULE.threshold


def test_a_hundred_thousand_suspects(detection: Detection) -> None:
    """Each of them just under the threshold; those over it come in between."""
    clicks: Counter[str] = Counter()
    crowd = [f"user-{number}" for number in range(100_000)]
    for second in range(51):
        for first in range(0, len(crowd), 2000):
            users = crowd[first : first + 2000] if second < 30 else []
            users = [*users, f"bot-{first}"]
            clicks.update(users)
            detection.count(batch(users, T + second))
    (window,) = detection.rule_windows[0].panes.values()
    assert window.full
    assert MAX_SUSPECTS <= len(window.suspects) < 1.1 * MAX_SUSPECTS
    assert len(compress(dump(detection))) < 4 * MIB
    over = {user: count for user, count in clicks.items() if count > RULE.threshold}
    reported = found(detection)
    assert reported.keys() == over.keys()
    assert all(reported[user][0] <= count <= reported[user][1] for user, count in over.items())
