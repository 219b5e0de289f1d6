"""The largest z-score of any column: what any detector has to beat."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph
from clickwarden.models.detectors.scaling import Scaling


class Deviation:
    """Scores how many widths the farthest column is from its median, by interquartile ranges.

    It looks at each column alone; one column that is often far away hides all others.
    """

    supervised: ClassVar[bool] = False
    _scaling: Scaling

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        """There is no chance in it."""

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn."""
        self._scaling = Scaling.of(values, limit=1_000.0)

    def expected(self, values: Values) -> Scores:
        """Scores by numpy."""
        return np.asarray(np.abs(self._scaling(values)).max(1), np.float64)

    def draw(self, graph: Graph, values: str) -> str:
        """The greatest magnitude."""
        magnitude = graph.add("Abs", self._scaling.draw(graph, values))
        return graph.add("ReduceMax", magnitude, graph.integers(1), keepdims=1)
