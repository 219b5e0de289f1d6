"""Disorder of a known size."""

import numpy as np
import pytest
from numpy.typing import NDArray

from clickwarden.detection.clicks import Clicks
from clickwarden.sandbox.disorder import delayed

TIMES = np.sort(np.random.default_rng(1).uniform(0, 10_000, 5_000))


def parts(times: NDArray[np.float64]) -> list[Clicks]:
    return [
        Clicks([f"{t}" for t in part], ["view"] * len(part), [None] * len(part), part)
        for part in np.array_split(times, 37)
    ]


@pytest.mark.parametrize("within", [0.0, 30.0, 100_000.0])
def test_every_click_arrives_once_and_no_later_than_allowed(within: float) -> None:
    out = list(delayed(parts(TIMES), within, seed=1))
    times = np.concatenate([clicks.times for clicks, _ in out])
    arrivals = np.concatenate([arrival for _, arrival in out])
    assert sorted(times) == TIMES.tolist()
    assert [user for clicks, _ in out for user in clicks.users] == [f"{t}" for t in times]
    assert (np.diff(arrivals) >= 0).all()
    disorder = np.maximum.accumulate(times) - times
    assert disorder.max() <= within
    assert disorder.max() >= min(within, 10_000) * 0.8


def test_a_click_out_of_order_in_the_file_arrives_with_the_one_before() -> None:
    part = Clicks(list("abc"), ["view"] * 3, [None] * 3, np.array([5.0, 3.0, 6.0]))
    (clicks, arrivals), *_ = delayed([part], 0.0, seed=1)
    assert clicks.users == ["a", "b", "c"]
    assert arrivals.tolist() == [5.0, 5.0, 6.0]


def test_the_seed_decides() -> None:
    def order(seed: int) -> list[str]:
        return [user for clicks, _ in delayed(parts(TIMES), 30.0, seed) for user in clicks.users]

    assert order(1) == order(1)
    assert order(1) != order(2)
