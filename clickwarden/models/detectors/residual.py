"""Seasonal residuals: how far a value is from what it usually is at that time of day."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph
from clickwarden.models.detectors.scaling import Scaling
from clickwarden.models.detectors.trees import LEAF, Trees

#: Times of day that are told apart, at most, and the records of each, at least.
SLOTS, RECORDS = 96, 20
#: The least width of a slot, as a part of the width of the whole column.
FLOOR = 0.05
SEASONAL = ("tod_sin", "tod_cos")


class Residual:
    """Scores how far the farthest column is from its median at that time of day, in usual deviations.

    Columns of the time of day say when; without them there is one median for all times. The median and the
    median absolute deviation of a slot do not follow a trend, and weekends are no season to it.
    """

    supervised: ClassVar[bool] = False

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        when = [place for place, name in enumerate(columns) if name.endswith(SEASONAL)]
        self._when = when
        every = list(range(len(columns)))
        self._what = [place for place in every if place not in when] or every
        self._tree = DecisionTreeRegressor(max_leaf_nodes=SLOTS, min_samples_leaf=RECORDS, random_state=seed)
        self._table: NDArray[np.float64] = np.empty((0, 0))

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn which times of day differ, and what is usual at each."""
        what = values[:, self._what]
        overall = Scaling.of(what)
        self._tree.fit(self._season(values), overall(what))
        slots = self._tree.apply(self._season(values))
        self._table = np.zeros((self._tree.tree_.node_count, 2 * len(self._what)))
        for slot in np.unique(slots):
            inside = what[slots == slot].astype(np.float64)
            median = np.median(inside, axis=0)
            deviation = 1.4826 * np.median(np.abs(inside - median), axis=0)
            self._table[slot] = np.append(median, 1 / np.maximum(deviation, FLOOR * overall.width))
        self._table = self._table.astype(np.float32).astype(np.float64)

    def _season(self, values: Values) -> Values:
        return values[:, self._when] if self._when else np.zeros((len(values), 1), np.float32)

    def expected(self, values: Values) -> Scores:
        """Scores by numpy."""
        usual = self._table[self._tree.apply(self._season(values))]
        median, inverse = np.split(usual, 2, axis=1)
        return np.asarray(np.minimum(np.abs(values[:, self._what] - median) * inverse, 1e6).max(1))

    def draw(self, graph: Graph, values: str) -> str:
        """A tree over the time of day has medians and inverse deviations in its leaves."""
        tree, count = self._tree.tree_, len(self._what)
        trees = Trees(targets=2 * count)
        columns = np.array(self._when or [0])[np.maximum(tree.feature, 0)]
        leaf = tree.children_left == LEAF
        trees.add(
            columns, tree.threshold, tree.children_left, tree.children_right, self._table * leaf[:, None]
        )
        usual = trees.draw(graph, values)
        median = graph.add("Gather", usual, graph.integers(*range(count)), axis=1)
        inverse = graph.add("Gather", usual, graph.integers(*range(count, 2 * count)), axis=1)
        what = graph.add("Gather", values, graph.integers(*self._what), axis=1)
        away = graph.add("Mul", graph.add("Abs", graph.add("Sub", what, median)), inverse)
        farthest = graph.add("ReduceMax", away, graph.integers(1), keepdims=1)
        return graph.add("Min", farthest, graph.constant(1e6))
