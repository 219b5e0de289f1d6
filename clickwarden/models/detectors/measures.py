"""What is looked at of a series: values against the mean and the deviation of its own windows."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.models.detectors.detector import Values
from clickwarden.models.detectors.graph import Graph, widened
from clickwarden.models.detectors.scaling import Scaling
from clickwarden.models.kinds import span

#: What is added to a series' own deviation, as a part of the usual one: in its first hours it has none.
YOUNG = 0.25
SEASONAL = ("tod_sin", "tod_cos")

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


class Measures(NamedTuple):
    """What is looked at of each row.

    Attributes:
        each: of them.
        floors: float64[m], the constant of each.
    """

    each: tuple[Measure, ...]
    floors: Floats

    @classmethod
    def named(cls, columns: Sequence[str]) -> "Measures":
        """Of rows with columns of these names, before anything is known of them."""
        each = tuple(measures_of(columns))
        return cls(each, np.ones(len(each)))

    def fitted(self, values: Values) -> "Measures":
        """The same, with constants of what is usual in float32[n, d]."""
        return self._replace(floors=np.array([_floor(measure, values) for measure in self.each]))

    def of(self, values: Values) -> Floats:
        """float64[n, m], each measure of each row."""
        wide = values.astype(np.float64)
        found = np.empty((len(values), len(self.each)))
        for place, (measure, floor) in enumerate(zip(self.each, self.floors, strict=True)):
            of = wide[:, measure.of]
            by = floor if measure.by is None else np.abs(wide[:, measure.by]) + floor
            if measure.logarithm:
                usual = floor * (1 + 1 / YOUNG)
                found[:, place] = np.log((np.abs(of) + floor) / np.minimum(by, usual))
            else:
                found[:, place] = (of if measure.less is None else of - wide[:, measure.less]) / by
        return found

    def draw(self, graph: Graph, values: str) -> str:
        """Add the nodes that do the same; the name of float64[n, m]."""
        wide, found = widened(graph, values), []
        for measure, floor in zip(self.each, self.floors, strict=True):
            constant = graph.constant([floor], np.float64)
            of = graph.add("Gather", wide, graph.integers(measure.of), axis=1)
            by = constant
            if measure.by is not None:
                deviation = graph.add("Gather", wide, graph.integers(measure.by), axis=1)
                by = graph.add("Add", graph.add("Abs", deviation), constant)
            if measure.logarithm:
                by = graph.add("Min", by, graph.constant([floor * (1 + 1 / YOUNG)], np.float64))
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
