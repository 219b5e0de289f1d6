"""Empirical tails (ECOD: Li and others, 2022), by what was learnt and not by the batch."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph
from clickwarden.models.detectors.trees import LEAF, Trees

#: Steps that a column's distribution is kept in.
QUANTILES = 257


class Tails:
    """Scores how rare so low or so high a value is: minus the logarithm of its share, summed over columns.

    It looks at each column alone: what is unusual only as a combination it cannot see, nor what lies in a gap
    in the middle of a column.
    """

    supervised: ClassVar[bool] = False
    _tails: list[tuple[NDArray[np.float32], NDArray[np.float64]]]

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        """There is no chance in it."""

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn."""
        self._tails = [_tails(column) for column in values.T]

    def expected(self, values: Values) -> Scores:
        """Scores by numpy."""
        total = np.zeros((len(values), 3))
        for column, (steps, surprise) in zip(values.T, self._tails, strict=True):
            place = np.searchsorted(steps, column, "left") + np.searchsorted(steps, column, "right")
            total += surprise[place]
        return np.asarray(total.max(1))

    def draw(self, graph: Graph, values: str) -> str:
        """A column's steps are a tree; the sums of low, high and skewed tails are its targets."""
        trees = Trees(targets=3)
        for column, (steps, surprise) in enumerate(self._tails):
            # Below a step, on it, above it: two cuts a step.
            cuts = np.stack([np.nextafter(steps, np.float32(-np.inf)), steps], 1).ravel()
            _balance(trees, column, cuts, surprise)
        return graph.add("ReduceMax", trees.draw(graph, values), graph.integers(1), keepdims=1)


def _tails(column: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The steps of a column; below, on and above each, how rare as low, as high, and as it is skewed."""
    ordered = np.sort(column)
    places = np.linspace(0, len(column) - 1, min(QUANTILES, len(column))).round().astype(int)
    steps = np.unique(ordered[places])
    middle = np.array([ordered[0] - 1.0, *((steps[1:] + steps[:-1].astype(float)) / 2), ordered[-1] + 1.0])
    at = np.empty(2 * len(steps) + 1)
    at[0::2], at[1::2] = middle, steps
    count = len(column)
    low = (np.searchsorted(ordered, at, "right") + 1) / (count + 2)
    high = (count - np.searchsorted(ordered, at, "left") + 1) / (count + 2)
    skewed = low if ((column - column.mean(dtype=float)) ** 3).mean() < 0 else high
    return steps, -np.log(np.stack([low, high, skewed], 1))


def _balance(trees: Trees, column: int, cuts: NDArray[np.float32], leaves: NDArray[np.float64]) -> None:
    """Add a tree that finds, by bisection, the leaf between two cuts."""
    size = 2 * len(cuts) + 1
    left, right = np.full(size, LEAF), np.full(size, LEAF)
    thresholds, weights = np.zeros(size), np.zeros((size, leaves.shape[1]))
    spans, used = [(0, 0, len(cuts))], 1
    while spans:
        node, first, last = spans.pop()
        if first == last:
            weights[node] = leaves[first]
            continue
        cut = (first + last) // 2
        thresholds[node], left[node], right[node] = cuts[cut], used, used + 1
        spans += [(used, first, cut), (used + 1, cut + 1, last)]
        used += 2
    trees.add(np.full(size, column), thresholds, left, right, weights)
