"""Nearest neighbours: how far it is to the tenth nearest of some records."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from sklearn.neighbors import NearestNeighbors

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph, narrowed, squared_distances
from clickwarden.models.detectors.sampling import sample
from clickwarden.models.detectors.scaling import Scaling

KEPT, NEIGHBOURS = 2_000, 10


class Neighbours:
    """Scores the distance to the tenth nearest of 2,000 records that it keeps, in widths of a column.

    In many columns everything is about as far from everything; and its model holds records as they came.
    """

    supervised: ClassVar[bool] = False
    _scaling: Scaling
    _kept: Values

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        self._seed = seed

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Keep some."""
        self._scaling = Scaling.of(values, limit=5.0)
        self._kept = self._scaling(sample(values, KEPT, self._seed))

    @property
    def _count(self) -> int:
        return min(NEIGHBOURS, len(self._kept))

    def expected(self, values: Values) -> Scores:
        """Scores by scikit-learn."""
        index = NearestNeighbors(n_neighbors=self._count).fit(self._kept.astype(np.float64))
        return np.asarray(index.kneighbors(self._scaling(values).astype(np.float64))[0][:, -1])

    def draw(self, graph: Graph, values: str) -> str:
        """Distances to all, and the greatest of the least."""
        distances = squared_distances(graph, self._scaling.draw(graph, values), self._kept)
        least = graph.least(distances, self._count)
        farthest = graph.add("ReduceMax", least, graph.integers(1), keepdims=1)
        return narrowed(graph, graph.add("Sqrt", farthest))
