"""Grubbs' test, against published examples; and what it says of series."""

from pathlib import Path

import numpy as np
import pytest

from clickwarden.models import grubbs, training
from clickwarden.models.dataset import Dataset, read
from clickwarden.models.pipeline import Pipeline

#: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.17.1, whose figures are cut off and not rounded.
MASSES = np.array([199.31, 199.53, 200.19, 200.82, 201.92, 201.95, 202.18, 245.57])
#: The same, 1.3.5.17.3: Rosner's.
ROSNERS = """
-0.25 0.68 0.94 1.15 1.20 1.26 1.26 1.34 1.38 1.43 1.49 1.49 1.55 1.56 1.58 1.65 1.69 1.70 1.76 1.77 1.81 1.91
1.94 1.96 1.99 2.06 2.09 2.10 2.14 2.15 2.23 2.24 2.26 2.35 2.37 2.40 2.47 2.54 2.62 2.64 2.90 2.92 2.92 2.93
3.21 3.26 3.30 3.59 3.68 4.30 4.64 5.34 5.42 6.01
"""
ROSNER = np.array([float(value) for value in ROSNERS.split()])
LIMITS = [3.158, 3.151, 3.143, 3.136, 3.128, 3.120, 3.111, 3.103, 3.094, 3.085]
COLUMNS = ("x",)


def of(values: dict[str, np.ndarray]) -> Dataset:
    rows = np.concatenate(list(values.values())).astype(np.float32)[:, None]
    series = np.repeat(np.arange(len(values)), [len(each) for each in values.values()]).astype(np.int32)
    return Dataset(rows, None, None, len(rows), {}, "", series=series, names=tuple(values))


def test_the_critical_value_is_the_published_one() -> None:
    assert float(grubbs.critical(8, 2 * 0.05)) == pytest.approx(2.032, abs=5e-4)  # of a test on one side
    statistic = (MASSES.max() - MASSES.mean()) / MASSES.std(ddof=1)
    assert statistic == pytest.approx(2.4687, abs=1e-4)
    assert grubbs.outliers(MASSES, 2 * 0.05, 1).places.tolist() == [7]
    assert grubbs.outliers(MASSES[:-1], 2 * 0.05, 1).places.tolist() == []


def test_outliers_that_hide_each_other_are_found_as_published() -> None:
    assert grubbs.critical(len(ROSNER) - np.arange(10), 0.05) == pytest.approx(LIMITS, abs=1e-3)
    found = grubbs.outliers(ROSNER, 0.05, 10)
    assert sorted(ROSNER[found.places]) == [5.34, 5.42, 6.01]  # the first alone is not beyond its limit
    assert sorted(np.flatnonzero(found.distance > 1)) == sorted(found.places)
    assert grubbs.outliers(ROSNER, 0.05, 1).places.tolist() == []


def test_values_that_are_all_alike_have_no_outlier() -> None:
    found = grubbs.outliers(np.full(40, 7.0), 0.05, 4)
    assert found.places.tolist() == []
    assert not found.distance.any()


def test_of_usual_series_hardly_any_is_rejected_however_many_there_are() -> None:
    wrong = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        usual = of({f"k{number}": random.normal(number, 1 + number, 60) for number in range(50)})
        wrong += bool(grubbs.check(usual, usual, COLUMNS).rejected)
    assert wrong <= 7  # 2 of 40 are to be expected; more than 7 are in one of 3,000 runs


def test_each_series_is_held_against_itself_and_named() -> None:
    random = np.random.default_rng(1)
    low, high = random.normal(0, 1, 200), random.normal(1000, 1, 200)
    low[[3, 77]] = 12, -13
    found = grubbs.check(
        of({"high": high, "low": low, "short": np.array([0.0, 99])}), of({"all": low}), COLUMNS
    )
    assert found.rejected == {"low": 2}
    assert np.flatnonzero(found.distance > 1).tolist() == [203, 277]
    assert found.tested == 2
    assert "of 400 records that were learnt from, 2 are too far" in found.line
    assert found.line.endswith(": low 2")


def test_a_pipeline_of_machines_is_checked() -> None:
    pipeline = Pipeline.load(Path("pipelines/maintenance"))
    dataset = read(Path("pipelines/maintenance/sample.ndjson.zst"), pipeline, None, lambda count: None)
    parts = training.split(dataset)
    row = training.tested(parts, pipeline.feature_names, 0)
    assert row.judgement is not None
    assert row.judgement.hits + row.judgement.false == row.alarms.alarmed > 0
    assert row.judgement.roc.figure > 0.7
