"""Seasonal residuals: how far a value is from what is usual at that time of day, and for its own series."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph, narrowed, widened
from clickwarden.models.detectors.measures import SEASONAL, Floats, Measures
from clickwarden.models.detectors.scaling import Scaling
from clickwarden.models.detectors.trees import LEAF, Trees

#: Times of day that are told apart, at most, and the records of each, at least.
SLOTS, RECORDS = 96, 20
#: The least width of a slot, as a part of the width of the whole column.
FLOOR = 0.05
#: The last part of what is learnt from, which says how far usual values go; and how many of them.
HELD, USUAL = 0.25, 0.99
#: Parts of time whose medians are compared; a field that moves by more deviations is left to its windows.
PARTS, STILL = 4, 0.7
#: So is one that differs more among series than within one.
APART = 1.5
MOST = 1e6


class Residual:
    """Scores how far the farthest measure is from its median at that time of day, in usual deviations.

    Measures are the columns themselves; and where there are windows of a field, with mean and std, how far
    its value is from the series' own mean of the longest window, and whether the shortest is less lively than
    that. So each series is held against itself, and a field that moves, or differs from series to series, is
    left to its windows. Columns of the time of day say when; without them, or where a season does not come
    again, there is one median for all times. Weekends are no season to it; and behind a long anomaly its own
    windows make what is usual look odd for as long as they are.
    """

    supervised: ClassVar[bool] = False

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        self._when = [place for place, name in enumerate(columns) if name.endswith(SEASONAL)]
        self._measures = Measures.named(columns)
        each = self._measures.each
        beside = {measure.of for measure in each if measure.less is not None}
        #: Whether a measure can be done without: others look at the same field.
        self._spare = np.array([measure.by is None and measure.of in beside for measure in each])
        self._above = np.array([not measure.logarithm for measure in each], float)
        self._tree = DecisionTreeRegressor(max_leaf_nodes=SLOTS, min_samples_leaf=RECORDS, random_state=seed)
        self._table: Floats = np.empty((0, 0))

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn which times of day differ, what is usual at each, and how far what came later was from it."""
        self._measures = self._measures.fitted(values)
        what, season = self._measures.of(values), self._season(values)
        first = max(int(len(values) * (1 - HELD)), min(len(values), RECORDS))
        scaling = Scaling.of(what.astype(np.float32))
        early, steady = self._learnt(what[:first], season[:first], scaling.width)
        later = slice(first if first < len(values) else 0, None)
        slots = early[self._tree.apply(season)]
        seasonal = _missed(what[later], slots[later]) < _missed(what[later], steady)
        usual = np.where(np.tile(seasonal, 2), slots, steady)
        now = np.quantile(self._away(what[later], usual[later]), USUAL, axis=0)
        table, flat = self._learnt(what, season, scaling.width)
        count = what.shape[1]
        table = np.where(np.tile(seasonal, 2), table, flat)
        moved = _moved(what, table[self._tree.apply(season)]) > STILL
        moved |= 1 / flat[count:] > APART * self._own(values)
        table[:, count:] *= ~(moved & self._spare) / np.maximum(now, 1.0)
        self._table = table.astype(np.float32).astype(np.float64)

    def _own(self, values: Values) -> Floats:
        """float64[m], the deviation within a series, of measures that can be done without; else infinite."""
        own = np.full(len(self._measures.each), np.inf)
        by = {measure.of: measure.by for measure in self._measures.each if measure.less is not None}
        for place in np.flatnonzero(self._spare):
            deviation = by[self._measures.each[place].of]
            if deviation is not None:
                own[place] = np.median(values[:, deviation].astype(np.float64))
        return own

    def _learnt(self, what: Floats, season: Values, width: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Medians and inverse deviations, float64[nodes, 2 m] of each slot, and float64[2 m] of all times."""
        overall = Scaling.of(what.astype(np.float32))
        self._tree.fit(season, overall(what.astype(np.float32)))
        slots = self._tree.apply(season)
        table = np.zeros((self._tree.tree_.node_count, 2 * what.shape[1]))
        for slot in np.unique(slots):
            table[slot] = _usual(what[slots == slot], width)
        return table, _usual(what, width)

    def _away(self, what: Floats, usual: Floats) -> Floats:
        """float64[n, m], usual deviations from the median; of how lively a series is, only those below."""
        median, inverse = np.split(usual, 2, axis=-1)
        away = (what - median) * inverse
        return np.asarray(np.maximum(away * self._above, -away))

    def _season(self, values: Values) -> Values:
        return values[:, self._when] if self._when else np.zeros((len(values), 1), np.float32)

    def expected(self, values: Values) -> Scores:
        """Scores by numpy."""
        usual = self._table[self._tree.apply(self._season(values))]
        return np.asarray(np.minimum(self._away(self._measures.of(values), usual), MOST).max(1))

    def draw(self, graph: Graph, values: str) -> str:
        """A tree over the time of day has medians and inverse deviations in its leaves."""
        tree, count = self._tree.tree_, len(self._measures.each)
        trees = Trees(targets=2 * count)
        columns = np.array(self._when or [0])[np.maximum(tree.feature, 0)]
        leaf = tree.children_left == LEAF
        trees.add(
            columns, tree.threshold, tree.children_left, tree.children_right, self._table * leaf[:, None]
        )
        usual = widened(graph, trees.draw(graph, values))
        median = graph.add("Gather", usual, graph.integers(*range(count)), axis=1)
        inverse = graph.add("Gather", usual, graph.integers(*range(count, 2 * count)), axis=1)
        what = self._measures.draw(graph, values)
        signed = graph.add("Mul", graph.add("Sub", what, median), inverse)
        above = graph.add("Mul", signed, graph.constant(self._above, np.float64))
        away = graph.add("Max", above, graph.add("Neg", signed))
        farthest = graph.add("ReduceMax", away, graph.integers(1), keepdims=1)
        return narrowed(graph, graph.add("Min", farthest, graph.constant(MOST, np.float64)))


def _usual(what: Floats, width: NDArray[np.float32]) -> Floats:
    """float64[2 m]: the median of each measure, and one by its deviation."""
    median = np.median(what, axis=0)
    away = np.abs(what - median)
    deviation = np.maximum(1.4826 * np.median(away, axis=0), np.quantile(away, 0.9, axis=0) / 1.645)
    return np.append(median, 1 / np.maximum(deviation, FLOOR * width))


def _moved(what: Floats, usual: Floats) -> Floats:
    """float64[m], how far the median of some part of time is from the usual one, in deviations."""
    median, inverse = np.split(usual, 2, axis=1)
    parts = np.array_split((what - median) * inverse, PARTS)
    return np.asarray(np.max([np.abs(np.median(part, axis=0)) for part in parts if len(part)], axis=0))


def _missed(what: Floats, usual: Floats) -> Floats:
    """float64[m], how far values of each measure mostly are from the median."""
    return np.asarray(np.median(np.abs(what - np.split(usual, 2, axis=-1)[0]), axis=0))
