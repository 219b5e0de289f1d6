"""Silence: a moment of it, the timeout, and the pauses of a collector that ships clicks in pieces."""

from types import SimpleNamespace
from typing import Any

import pytest

from agents import silence
from agents.silence import MOMENT_SECONDS, PIECE_SECONDS, Silence
from clickwarden.detection.rules import Rule

RULES = [Rule(name="bot", window=60, threshold=50, slide=20), Rule(name="scraper", window=600, threshold=9)]


@pytest.mark.parametrize(
    ("leaps", "spread", "seconds", "expected"),
    [
        (False, 0.0, 10.0 - MOMENT_SECONDS, None),
        (False, 0.0, 10.0, 10.0),
        (True, 0.0, MOMENT_SECONDS / 2, None),
        (True, 0.0, MOMENT_SECONDS, 0.0),
        (True, 0.0, 10.0, 10.0),
        (False, 20.0, 10.0, 10.0),  # no more than from one window to the next
        (False, 21.0, 30.0, None),
        (False, 21.0, 31.0, 31.0),
        (False, 7200.0, 9.0 + PIECE_SECONDS, None),
        (False, 7200.0, 10.0 + PIECE_SECONDS, 10.0 + PIECE_SECONDS),
    ],
)
def test_how_far_it_lets_event_time_go_on(
    monkeypatch: pytest.MonkeyPatch, leaps: bool, spread: float, seconds: float, expected: float | None
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(silence, "monotonic", lambda: clock.now)
    detection: Any = SimpleNamespace(leaps=leaps, delays=SimpleNamespace(spread=spread))
    quiet = Silence(detection, idle_timeout=10.0)
    clock.now += 5000.0
    quiet.begin()
    clock.now += seconds
    assert quiet.seconds(RULES) == expected
