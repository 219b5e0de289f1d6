"""k-means: how far it is to the nearest centre."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from sklearn.cluster import KMeans

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph, narrowed, squared_distances
from clickwarden.models.detectors.sampling import sample
from clickwarden.models.detectors.scaling import Scaling

ROWS, CENTRES = 50_000, 16


class Clusters:
    """Scores the distance to the nearest of 16 centres, in widths of a column.

    Clusters are round and of one size to it; a crowd of alike anomalies may get a centre of its own.
    """

    supervised: ClassVar[bool] = False
    _scaling: Scaling
    _model: KMeans

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        self._seed = seed

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn."""
        self._scaling = Scaling.of(values, limit=5.0)
        shown = self._scaling(sample(values, ROWS, self._seed)).astype(np.float64)
        centres = min(CENTRES, len(np.unique(shown, axis=0)))
        self._model = KMeans(centres, n_init=3, random_state=self._seed).fit(shown)

    def expected(self, values: Values) -> Scores:
        """Scores by scikit-learn."""
        return np.asarray(self._model.transform(self._scaling(values).astype(np.float64)).min(1))

    def draw(self, graph: Graph, values: str) -> str:
        """Distances to all centres, and the least of them."""
        distances = squared_distances(graph, self._scaling.draw(graph, values), self._model.cluster_centers_)
        nearest = graph.add("ReduceMin", distances, graph.integers(1), keepdims=1)
        return narrowed(graph, graph.add("Sqrt", nearest))
