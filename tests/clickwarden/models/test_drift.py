"""Drift is told where there is some, and nothing else depends on batches, order or restarts."""

import numpy as np
import pytest
from numpy.typing import NDArray

from clickwarden.errors import SnapshotError
from clickwarden.models.drift import DAYS, Day, Drift, expected_of, lines_of, place_of
from clickwarden.models.fields import NO_TIME

NAMES = ("amount", "mcc=a", "mcc=(other)", "tod_sin", "constant", "empty")
DAY_MS = 86_400_000


def rows(days: int, a_day: int = 1_500, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Records of some days in the order of their time, a few of them with something missing."""
    random = np.random.default_rng(seed)
    count = days * a_day
    times = np.arange(count) * DAY_MS // a_day
    values = np.zeros((count, len(NAMES)), np.float32)
    values[:, 0] = np.exp(random.normal(size=count))
    values[:, 1] = random.random(count) < 0.3
    values[:, 2] = random.random(count) < 0.01
    values[:, 3] = np.sin(times / DAY_MS * 2 * np.pi)
    values[:, 4] = 7
    values[random.random(count) < 0.05, 0] = np.nan
    values[:, 5] = np.nan
    return values, times


def watched(values: NDArray[np.float32], times: NDArray[np.int64], warm: int = 0) -> list[Day]:
    drift = Drift(NAMES, expected_of(rows(10)[0]), warm)
    drift.add(values, times, np.zeros(len(values), bool))
    return drift.days


def test_edges_are_finite_and_every_value_is_counted() -> None:
    most = np.finfo(np.float32).max
    for wild in (-most, most, -np.inf, np.inf, np.nan):
        for column in (np.array([1, 2, wild]), np.full(3, wild)):
            (expected,) = expected_of(column.astype(np.float32)[:, None])
            assert np.isfinite(expected.edges).all()
            assert sum(expected.counts) == 3
            assert expected.counts[-1] == (~np.isfinite(column)).sum()


def test_no_clean_day_is_told_of() -> None:
    for a_day in (100, 400, 1_500):
        values, times = rows(40, a_day, seed=1)
        days = watched(values, times)
        assert len(days) == 40
        assert not any(len(day.drifted) for day in days)
    assert lines_of(days, NAMES, None) == ["no drift in 40 whole days"]


@pytest.mark.parametrize("column", [0, 1, 2, 4, 5])
def test_a_shift_is_told_on_its_first_day(column: int) -> None:
    values, times = rows(6, seed=2)
    late = times >= 4 * DAY_MS
    values[late, column] = {0: values[late, 0] * 2, 1: 1, 2: values[late, 1], 4: 6.9, 5: 1}[column]
    days = watched(values, times)
    assert [[NAMES[place] for place in day.drifted] for day in days] == [[]] * 4 + [[NAMES[column]]] * 2
    said = lines_of(days, NAMES, 0.01)
    assert len(said) == 2
    assert said[0].startswith(f"drift on 1970-01-05: {NAMES[column]} ")
    assert said[0].endswith("0 alarms, budget 15")
    if column == 2:
        assert days[4].unseen == pytest.approx(0.3, abs=0.05)


def test_values_that_are_missing_are_drift() -> None:
    values, times = rows(3, seed=3)
    values[(times >= 2 * DAY_MS) & (np.arange(len(times)) % 3 == 0), 0] = np.nan
    assert [len(day.drifted) for day in watched(values, times)] == [0, 0, 1]


def test_few_keys_are_worth_few_records() -> None:
    values, times = rows(2, seed=6)
    cards = np.random.default_rng(6).integers(20, size=len(values))
    values[:, 1] = cards == 3  # one card in twenty pays otherwise: as far as can be told, by chance
    usual = expected_of(np.where(np.arange(len(NAMES)) == 1, 0, values).astype(np.float32))
    places = np.array([place_of(f"card-{card}") for card in range(20)])[cards]
    for counted, drifted, worth in ((None, 1, 1_500), (places, 0, 20)):
        drift = Drift(NAMES, usual, 0)
        drift.add(values, times, np.zeros(len(values), bool), counted)
        assert [len(day.drifted) for day in drift.days] == [drifted] * 2
        assert [day.worth for day in drift.days] == [pytest.approx(worth, rel=0.05)] * 2


def test_days_that_are_over_are_judged_once_and_forgotten() -> None:
    values, times = rows(4, seed=7)
    drift = Drift(NAMES, expected_of(values), DAY_MS)
    drift.add(values, times, np.zeros(len(values), bool))
    assert [day.name[-2:] for day in drift.over(3 * DAY_MS)] == ["02", "03"]
    assert [day.name[-2:] for day in drift.days] == ["04"]
    assert drift.over(3 * DAY_MS) == []
    began = Drift(NAMES, expected_of(values), DAY_MS, first=0)
    began.add(values[1_500:], times[1_500:], np.zeros(4_500, bool))
    assert [day.name[-2:] for day in began.days] == ["02", "03", "04"]


def test_parts_of_days_and_windows_that_fill_are_not_judged() -> None:
    values, times = rows(4, seed=4)
    assert [day.name[-2:] for day in watched(values[:4_000], times[:4_000])] == ["01", "02"]
    assert [day.name[-2:] for day in watched(values, times, warm=DAY_MS)] == ["02", "03", "04"]
    assert [day.name for day in watched(values, np.full(len(times), NO_TIME))] == [""]


def test_batches_order_and_restarts_change_no_byte() -> None:
    values, times = rows(DAYS + 9, 100, seed=5)
    alarmed = np.random.default_rng(1).random(len(values)) < 0.01
    places = np.array([place_of(f"card-{each}") for each in range(len(values))])
    expected = expected_of(values[:500])
    whole = Drift(NAMES, expected, DAY_MS)
    whole.add(values, times, alarmed, places)
    parts = Drift(NAMES, expected, DAY_MS)
    for place, part in enumerate(np.array_split(np.random.default_rng(2).permutation(len(values)), 29)):
        if place % 5 == 0:
            before, parts = parts, Drift(NAMES, expected, DAY_MS)
            parts.merge(before.encode())
        other = Drift(NAMES, expected, DAY_MS)
        other.add(values[part], times[part], alarmed[part], places[part])
        parts.merge(other.encode())
    assert parts.encode() == whole.encode()
    assert len(whole.days) == DAYS
    assert sum(day.alarms for day in whole.days) == alarmed[times >= 9 * DAY_MS].sum()


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-3], lambda data: b"", lambda data: data[:40] + data[60:]]
)
def test_what_is_broken_or_of_another_model_is_refused(spoil: object) -> None:
    values, times = rows(2)
    drift = Drift(NAMES, expected_of(values), 0)
    drift.add(values, times, np.zeros(len(values), bool))
    with pytest.raises(SnapshotError, match="it is of another model"):
        Drift(NAMES, expected_of(values), 0).merge(spoil(drift.encode()))  # type: ignore[operator]
    with pytest.raises(SnapshotError, match="it is of another model"):
        Drift(NAMES[:2], expected_of(values[:, :2]), 0).merge(drift.encode())
