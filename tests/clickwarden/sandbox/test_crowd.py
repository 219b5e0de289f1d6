"""The honest crowd: as busy as it says, by day and night, with the clocks and ways that people have."""

from itertools import islice

import numpy as np
import pytest

from clickwarden.sandbox import crowd
from clickwarden.sandbox.crowd import HOUR, STEP, Crowd, rhythm
from clickwarden.sandbox.traffic import EVENTS, LOGIN, LOGIN_FAILED, Traffic

#: 2026-01-01T00:00:00Z.
MIDNIGHT = 1_767_225_600
RATE = 20_000


def steps(count: int, start: float = MIDNIGHT, seed: int = 1) -> list[Traffic]:
    return list(islice(Crowd(RATE, seed, int(start)), count))


@pytest.fixture(scope="module")
def evening() -> Traffic:
    return Traffic.together(steps(12, MIDNIGHT + 19 * HOUR))


def test_a_day_has_the_rate_and_nights_are_quiet() -> None:
    day = steps(round(24 * HOUR / STEP))
    clicks = np.array([len(step) for step in day])
    programs = 24 * HOUR * (1 / crowd.PARTNER_SECONDS + 1 / crowd.MONITOR_SECONDS)
    assert clicks.sum() - programs == pytest.approx(24 * RATE, rel=0.05)
    hours = clicks.reshape(24, -1).sum(axis=1)
    assert hours[3] < hours[20] / 3
    assert np.mean([rhythm(minute * 60) for minute in range(1440)]) == pytest.approx(1, abs=0.001)


def test_steps_are_received_in_order_and_follow_one_another() -> None:
    for number, step in enumerate(steps(4)):
        assert (np.diff(step.received) >= 0).all()
        assert MIDNIGHT + number * STEP <= step.received[0]
        assert step.received[-1] < MIDNIGHT + (number + 1) * STEP


def test_the_seed_decides() -> None:
    one, same, other = (steps(1, seed=seed)[0] for seed in (1, 1, 2))
    assert one.times.tolist() == same.times.tolist()
    assert (
        one.clicks(Crowd(RATE, 1, MIDNIGHT).names).users == same.clicks(Crowd(RATE, 1, MIDNIGHT).names).users
    )
    assert one.times[:50].tolist() != other.times[:50].tolist()


def test_clocks_are_wrong_but_none_is_of_the_future(evening: Traffic) -> None:
    """Of which the worker would reject the clicks: CLICKWARDEN_MAX_SKEW."""
    ahead = evening.times - evening.received
    assert 50 < ahead.max() < 60
    assert ahead.min() < -crowd.HELD_UP_MAX / 2
    assert 0.0001 < (ahead > crowd.FAST - 10).mean() < 0.003
    assert np.median(ahead) == pytest.approx(-crowd.WAY, abs=0.2)


def test_keen_shoppers_are_far_busier_than_most(evening: Traffic) -> None:
    shoppers = evening.pick(evening.users < RATE)
    clicks = np.sort(np.bincount(shoppers.users))[::-1]
    assert clicks[0] > 100
    assert np.median(clicks[clicks > 0]) < 10
    assert {LOGIN, LOGIN_FAILED} <= set(shoppers.events.tolist())
    assert set(shoppers.events.tolist()) == set(range(len(EVENTS)))


def test_the_others_are_what_they_are_called() -> None:
    noon = Traffic.together(steps(6, MIDNIGHT + 12 * HOUR))
    users = noon.clicks(Crowd(RATE, 1, MIDNIGHT).names).users
    assert users.count("partner") == pytest.approx(HOUR / crowd.PARTNER_SECONDS, abs=40)
    assert users.count("monitor") == pytest.approx(HOUR / crowd.MONITOR_SECONDS, abs=10)
    assert users.count("office") > 10
    night = Traffic.together(steps(6, MIDNIGHT + 2 * HOUR))
    assert "office" not in night.clicks(Crowd(RATE, 1, MIDNIGHT).names).users
