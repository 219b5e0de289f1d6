"""Grubbs' test: which values are too far from the others of their series to be of one normal distribution.

It looks at all of a series at once, so it finds nothing while it happens; it is a check of what was learnt
from, and a measure to hold detectors against.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from clickwarden.models.dataset import Dataset
from clickwarden.models.detectors.cleaning import Cleaning
from clickwarden.models.detectors.measures import Measures

#: How likely it is that anything is rejected where all is usual: of all series and measures together.
ALPHA = 0.05
#: Of fewer values Rosner's test is not exact enough; and what part of a series may be outliers.
LEAST, MOST = 25, 0.1
#: Series that are named.
NAMED = 5
NAME = "grubbs"

Floats = NDArray[np.float64]


class Outliers(NamedTuple):
    """What was rejected of a series.

    Attributes:
        places: int64[k], of the values.
        distance: float64[n], how far each value is from the mean of those that are left, in what the next one
            would have to exceed; above 1 where it was rejected, and nowhere else.
    """

    places: NDArray[np.int64]
    distance: Floats


class Check(NamedTuple):
    """What was rejected of all series.

    Attributes:
        distance: float64[n], the farthest measure of each row, as :class:`Outliers` has it; 0 where there are
            too few in its series.
        tested: how many series were long enough.
        rows: how many rows they have.
        rejected: rows with a rejected value, by series, the most first.
    """

    distance: Floats
    tested: int
    rows: int
    rejected: dict[str, int]

    @property
    def line(self) -> str:
        """What it found in the part that was learnt from, for people."""
        told = f"Grubbs' test (α {ALPHA:g} for all {self.tested:,} series together): "
        if not self.rejected:
            return f"{told}no record that was learnt from is too far from the others of its series"
        named = ", ".join(f"{name} {count:,}" for name, count in list(self.rejected.items())[:NAMED])
        more = f" and {len(self.rejected) - NAMED:,} more" if len(self.rejected) > NAMED else ""
        return (
            f"{told}of {self.rows:,} records that were learnt from, {sum(self.rejected.values()):,} are too "
            f"far from the others of their series, and were taken for usual: {named}{more}"
        )


def critical(count: NDArray[np.int64] | int, alpha: float) -> Floats:
    """What the farthest of normal values exceeds with probability alpha, on either side.

    Grubbs, F. E. (1969): Procedures for detecting outlying observations in samples. Technometrics 11(1).

    Args:
        count: int64[k], how many values there are, 3 at least.
        alpha: of a test on one side, it is twice that of both.
    """
    number = np.asarray(count, np.float64)
    square = t.isf(alpha / (2 * number), number - 2) ** 2
    return np.asarray((number - 1) / np.sqrt(number) * np.sqrt(square / (number - 2 + square)))


def outliers(values: Floats, alpha: float, most: int) -> Outliers:
    """Grubbs' test again and again, each time without the farthest value, so that none hides another.

    Rosner, B. (1983): Percentage points for a generalized ESD many-outlier procedure. Technometrics 25(2).

    Args:
        values: float64[n].
        alpha: how likely it is that any is rejected where all are of one normal distribution.
        most: how many may be, below n - 2.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order] - np.median(values)
    sums, squares = (np.append(0.0, np.cumsum(ordered**power)) for power in (1, 2))
    limits = critical(len(values) - np.arange(most + 1), alpha)
    low, high, rejected = 0, len(values), (0, len(values))
    for limit in limits[:most]:
        mean, deviation = _moments(sums, squares, low, high)
        below, above = mean - ordered[low], ordered[high - 1] - mean
        if not deviation > 0:
            break
        low, high = (low + 1, high) if below > above else (low, high - 1)
        if max(below, above) > limit * deviation:
            rejected = low, high
    low, high = rejected
    mean, deviation = _moments(sums, squares, low, high)
    places = np.append(order[:low], order[high:])
    distance = np.zeros(len(values))
    if deviation > 0:
        distance[order] = np.abs(ordered - mean) / (deviation * limits[len(places)])
    kept = np.ones(len(values), bool)
    kept[places] = False
    above_one = np.nextafter(np.float32(1), np.float32(2))
    return Outliers(places, np.where(kept, np.minimum(distance, 1), np.maximum(distance, above_one)))


def _moments(sums: Floats, squares: Floats, low: int, high: int) -> tuple[float, float]:
    """Mean and standard deviation of the ordered values from one place to before another."""
    count = high - low
    mean = (sums[high] - sums[low]) / count
    variance = (squares[high] - squares[low] - count * mean**2) / (count - 1)
    return float(mean), float(np.sqrt(max(variance, 0.0)))


def check(dataset: Dataset, learnt: Dataset, columns: Sequence[str]) -> Check:
    """Test each measure of each series, as :class:`clickwarden.models.detectors.measures.Measures` has them.

    Args:
        dataset: to be tested, of a pipeline with key.
        learnt: rows that say what is usual, as they say it to detectors.
        columns: of the features.
    """
    cleaning = Cleaning.of(learnt.values)
    measures = Measures.named(columns).fitted(cleaning(learnt.values))
    what = measures.of(cleaning(dataset.values))
    distance = np.zeros(len(what))
    tested = [(name, rows) for name, rows in _series(dataset) if len(rows) >= LEAST]
    alpha = ALPHA / max(len(tested) * what.shape[1], 1)
    rejected = {}
    for name, rows in tested:
        found = [outliers(column, alpha, int(len(rows) * MOST)).distance for column in what[rows].T]
        distance[rows] = np.max(found, axis=0)
        rejected[name] = int((distance[rows] > 1).sum())
    most = sorted(rejected.items(), key=lambda each: -each[1])
    count = sum(len(rows) for _, rows in tested)
    return Check(distance, len(tested), count, {name: number for name, number in most if number})


def _series(dataset: Dataset) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """The name of each series, and its rows."""
    assert dataset.series is not None  # the pipeline has a key
    order = np.argsort(dataset.series, kind="stable")
    numbers, begins = np.unique(dataset.series[order], return_index=True)
    for number, rows in zip(numbers.tolist(), np.split(order, begins[1:]), strict=True):
        yield dataset.names[number], rows
