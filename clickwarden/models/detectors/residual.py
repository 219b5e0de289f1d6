"""Seasonal residuals: how far a value is from what is usual at that time of day, and for its own series."""

import re
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph, narrowed, widened
from clickwarden.models.detectors.scaling import Scaling
from clickwarden.models.detectors.trees import LEAF, Trees
from clickwarden.models.kinds import span

#: Times of day that are told apart, at most, and the records of each, at least.
SLOTS, RECORDS = 96, 20
#: The least width of a slot, as a part of the width of the whole column.
FLOOR = 0.05
#: What is added to a series' own deviation, as a part of the usual one: in its first hours it has none.
YOUNG = 0.25
#: The last part of what is learnt from, which says how far usual values go; and how many of them.
HELD, USUAL = 0.25, 0.99
#: Parts of time whose medians are compared; a field that moves by more deviations is left to its windows.
PARTS, STILL = 4, 0.7
SEASONAL = ("tod_sin", "tod_cos")
MOST = 1e6

_WINDOW = re.compile(r"(?P<field>.+)\.(?P<stat>mean|std|ratio)\.(?P<window>\d+[a-z]+)(?:/.+)?")
Floats = NDArray[np.float64]


class Measure(NamedTuple):
    """What is looked at: the difference of two columns, by a third one and a constant.

    Attributes:
        of: a column.
        less: what is taken away from it; None: nothing.
        by: the deviation it is divided by; None: only the constant.
        logarithm: whether it is the logarithm of ``of`` by ``by`` instead, the constant added to both.
    """

    of: int
    less: int | None = None
    by: int | None = None
    logarithm: bool = False


class Residual:
    """Scores how far the farthest measure is from its median at that time of day, in usual deviations.

    Measures are the columns themselves; and where there are windows of a field, with mean and std, how far
    its value is from the series' own mean of the longest window, and whether the shortest is less lively than
    that. So each series is held against itself, and a field that moves is left to its windows. Columns of the
    time of day say when; without them, or where a season does not come again, there is one median for all
    times. Weekends are no season to it.
    """

    supervised: ClassVar[bool] = False

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        self._when = [place for place, name in enumerate(columns) if name.endswith(SEASONAL)]
        self._measures = measures_of(columns)
        beside = {measure.of for measure in self._measures if measure.less is not None}
        #: Whether a measure can be done without: others look at the same field.
        self._spare = np.array([each.by is None and each.of in beside for each in self._measures])
        self._above = np.array([not measure.logarithm for measure in self._measures], float)
        self._floors = np.ones(len(self._measures))
        self._tree = DecisionTreeRegressor(max_leaf_nodes=SLOTS, min_samples_leaf=RECORDS, random_state=seed)
        self._table: Floats = np.empty((0, 0))

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn which times of day differ, what is usual at each, and how far what came later was from it."""
        self._floors = np.array([_floor(measure, values) for measure in self._measures])
        what, season = self._measured(values), self._season(values)
        first = max(int(len(values) * (1 - HELD)), min(len(values), RECORDS))
        scaling = Scaling.of(what.astype(np.float32))
        early, steady = self._learnt(what[:first], season[:first], scaling.width)
        later = slice(first if first < len(values) else 0, None)
        slots = early[self._tree.apply(season)]
        seasonal = _missed(what[later], slots[later]) < _missed(what[later], steady)
        usual = np.where(np.tile(seasonal, 2), slots, steady)
        now = np.quantile(self._away(what[later], usual[later]), USUAL, axis=0)
        table, flat = self._learnt(what, season, scaling.width)
        count = len(self._measures)
        table = np.where(np.tile(seasonal, 2), table, flat)
        moved = _moved(what, table[self._tree.apply(season)]) > STILL
        table[:, count:] *= ~(moved & self._spare) / np.maximum(now, 1.0)
        self._table = table.astype(np.float32).astype(np.float64)

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

    def _measured(self, values: Values) -> Floats:
        """float64[n, m], each measure of each row."""
        wide = values.astype(np.float64)
        found = np.empty((len(values), len(self._measures)))
        for place, (measure, floor) in enumerate(zip(self._measures, self._floors, strict=True)):
            of = wide[:, measure.of]
            by = floor if measure.by is None else np.abs(wide[:, measure.by]) + floor
            if measure.logarithm:
                usual = floor * (1 + 1 / YOUNG)
                found[:, place] = np.log((np.abs(of) + floor) / np.minimum(by, usual))
            else:
                found[:, place] = (of if measure.less is None else of - wide[:, measure.less]) / by
        return found

    def expected(self, values: Values) -> Scores:
        """Scores by numpy."""
        usual = self._table[self._tree.apply(self._season(values))]
        return np.asarray(np.minimum(self._away(self._measured(values), usual), MOST).max(1))

    def draw(self, graph: Graph, values: str) -> str:
        """A tree over the time of day has medians and inverse deviations in its leaves."""
        tree, count = self._tree.tree_, len(self._measures)
        trees = Trees(targets=2 * count)
        columns = np.array(self._when or [0])[np.maximum(tree.feature, 0)]
        leaf = tree.children_left == LEAF
        trees.add(
            columns, tree.threshold, tree.children_left, tree.children_right, self._table * leaf[:, None]
        )
        usual = widened(graph, trees.draw(graph, values))
        median = graph.add("Gather", usual, graph.integers(*range(count)), axis=1)
        inverse = graph.add("Gather", usual, graph.integers(*range(count, 2 * count)), axis=1)
        what = self._drawn(graph, widened(graph, values))
        signed = graph.add("Mul", graph.add("Sub", what, median), inverse)
        above = graph.add("Mul", signed, graph.constant(self._above, np.float64))
        away = graph.add("Max", above, graph.add("Neg", signed))
        farthest = graph.add("ReduceMax", away, graph.integers(1), keepdims=1)
        return narrowed(graph, graph.add("Min", farthest, graph.constant(MOST, np.float64)))

    def _drawn(self, graph: Graph, wide: str) -> str:
        """Each measure of each row."""
        found = []
        for measure, floor in zip(self._measures, self._floors, strict=True):
            constant = graph.constant([floor], np.float64)
            of = graph.add("Gather", wide, graph.integers(measure.of), axis=1)
            by = constant
            if measure.by is not None:
                deviation = graph.add("Gather", wide, graph.integers(measure.by), axis=1)
                by = graph.add("Add", graph.add("Abs", deviation), constant)
            if measure.logarithm:
                usual = graph.constant([floor * (1 + 1 / YOUNG)], np.float64)
                by = graph.add("Min", by, usual)
                share = graph.add("Div", graph.add("Add", graph.add("Abs", of), constant), by)
                found.append(graph.add("Log", share))
                continue
            if measure.less is not None:
                of = graph.add("Sub", of, graph.add("Gather", wide, graph.integers(measure.less), axis=1))
            found.append(graph.add("Div", of, by))
        return graph.add("Concat", *found, axis=1)


def measures_of(columns: Sequence[str]) -> list[Measure]:
    """What is looked at of rows with columns of these names.

    >>> found = measures_of(["x", "x.mean.1h", "x.std.1h", "x.mean.24h/10m", "x.std.24h/10m", "tod_sin"])
    >>> [tuple(measure) for measure in found]
    [(0, None, None, False), (0, 3, 4, False), (2, None, 4, True)]
    """
    windows: dict[str, dict[int, dict[str, int]]] = {}
    for place, name in enumerate(columns):
        if (found := _WINDOW.fullmatch(name)) and found["field"] in columns:
            windows.setdefault(found["field"], {}).setdefault(span(found["window"]), {})[found["stat"]] = (
                place
            )
    measures, used = [], set()
    for field, spans in windows.items():
        whole = sorted(each for each, stats in spans.items() if {"mean", "std"} <= stats.keys())
        if not whole:
            continue
        short, long = spans[whole[0]], spans[whole[-1]]
        used |= {place for stats in spans.values() for place in stats.values()}
        own = columns.index(field)
        measures.append(Measure(own, long["mean"], long["std"]))
        if len(whole) > 1:
            measures.append(Measure(short["std"], None, long["std"], logarithm=True))
    plain = [
        Measure(place)
        for place, name in enumerate(columns)
        if place not in used and not name.endswith(SEASONAL)
    ]
    return [*plain, *measures] or [Measure(place) for place in range(len(columns))]


def _floor(measure: Measure, values: Values) -> float:
    if measure.by is None:
        return 1.0
    usual = float(np.median(np.abs(values[:, measure.by].astype(np.float64))))
    width = float(Scaling.of(values[:, [measure.of]]).width[0])
    return YOUNG * usual if usual > 0 else width


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
