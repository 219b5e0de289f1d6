"""Attacks are what their docstrings say, whatever the random numbers."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from clickwarden.sandbox.attacks import ATTACKS, LONGEST, Attack
from clickwarden.sandbox.traffic import ADD_TO_CART, LOGIN_FAILED, VIEW, Traffic

#: In the middle of a minute, and of ten.
BEGIN = 1_767_225_625.5


def drawn(name: str) -> list[Traffic]:
    (attack,) = (attack for attack in ATTACKS if attack.name == name)
    return [attack.traffic(np.random.default_rng(seed), BEGIN) for seed in range(60)]


def by_window(times: NDArray[np.float64], size: int) -> list[int]:
    """Clicks in each window that has some, in order."""
    windows = Counter((times // size).astype(int).tolist())
    return [windows[window] for window in sorted(windows)]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_keeps_to_its_time_and_users(attack: Attack) -> None:
    for seed in range(60):
        traffic = attack.traffic(np.random.default_rng(seed), BEGIN)
        assert traffic.received[0] >= BEGIN
        assert traffic.received[-1] < BEGIN + LONGEST
        assert (np.diff(traffic.received) >= 0).all()
        assert (traffic.times - traffic.received).max() < 60
        assert set(traffic.users.tolist()) == set(range(attack.users))
    again = attack.traffic(np.random.default_rng(59), BEGIN)
    assert again.times.tolist() == traffic.times.tolist()


def test_names_and_threats_are_told_apart() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    assert all(attack.description.endswith(".") and attack.cure for attack in ATTACKS)
    assert {attack.owasp for attack in ATTACKS} <= {f"OAT-{number:03}" for number in range(1, 22)}


@pytest.mark.parametrize(
    ("name", "size", "limit"), [("edge", 60, 50), ("stuffing edge", 60, 15), ("scraper edge", 600, 200)]
)
def test_around_an_edge_neither_side_is_over_and_both_together_are(name: str, size: int, limit: int) -> None:
    for traffic in drawn(name):
        before, behind = by_window(traffic.times, size)
        assert max(before, behind) <= limit < before + behind
        assert np.ptp(traffic.times) < size


@pytest.mark.parametrize(("name", "limit"), [("burst", 50), ("fast clock", 50), ("stuffing", 15)])
def test_a_burst_is_over_within_one_minute_of_its_clock(name: str, limit: int) -> None:
    for traffic in drawn(name):
        (clicks,) = by_window(traffic.times, 60)
        assert clicks > limit


def test_the_fast_clock_is_55_seconds_fast() -> None:
    for traffic in drawn("fast clock"):
        assert traffic.times - traffic.received == pytest.approx(55, abs=0.25)


@pytest.mark.parametrize(
    ("name", "size", "limit", "event"),
    [
        ("drip", 60, 50, VIEW),
        ("trickle", 600, 200, VIEW),
        ("slow stuffing", 60, 15, LOGIN_FAILED),
        ("cart holder", 60, 30, ADD_TO_CART),
    ],
)
def test_what_keeps_below_a_limit_keeps_just_below(name: str, size: int, limit: int, event: int) -> None:
    for traffic in drawn(name):
        assert set(traffic.events.tolist()) == {event}
        times = np.sort(traffic.times)
        in_any = np.arange(len(times)) - np.searchsorted(times, times - size, side="right") + 1
        assert in_any.max() == limit


def test_each_of_the_sixty_keeps_below_every_limit() -> None:
    for traffic in drawn("rotation"):
        for user in range(60):
            own = traffic.times[traffic.users == user]
            assert max(by_window(own, 60)) <= 20
            assert max(by_window(own, 600)) <= 200
        assert max(by_window(traffic.times, 60)) == 1200


def test_time_as_kafka_has_it_would_see_forged_times() -> None:
    for traffic in drawn("forged times"):
        assert max(by_window(traffic.times, 60)) <= 50 < max(by_window(traffic.received, 60))
        assert traffic.times.min() < BEGIN - 500


def test_the_account_as_the_user_would_see_one_tried_from_many() -> None:
    for traffic in drawn("one account"):
        assert set(Counter(traffic.users.tolist()).values()) == {3}
        assert min(by_window(traffic.times, 60)[1:-1]) > 15
