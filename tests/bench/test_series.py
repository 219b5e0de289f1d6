"""Alarms are judged as Numenta does."""

import numpy as np
import pytest

from bench.series import Series

SERIES = Series(np.arange(1_000, dtype=np.float64) * 864, [(100, 199), (500, 549)])


def judged(*alarmed: int) -> tuple[int, float, float]:
    flags = np.zeros(1_000, bool)
    flags[list(alarmed)] = True
    return SERIES.judged(flags)


def test_silence_is_nothing_and_the_first_record_of_each_window_is_all() -> None:
    assert judged() == (0, 0.0, 0.0)
    assert judged(100, 500) == (2, 0.0, 4.0)


def test_late_is_worth_less_and_once_is_enough() -> None:
    found, _, late = judged(190)
    assert found == 1
    assert 1 < late < 1.5
    assert judged(190, 195)[2] == late


def test_what_is_outside_is_false_the_more_the_farther() -> None:
    assert judged(50)[2] == pytest.approx(-0.11)
    near, far = judged(205)[2], judged(350)[2]
    assert -0.11 < far < near < 0
    assert judged(50, 205, 350)[1] == pytest.approx(3 / (999 * 864 / 86_400))
