"""A one-class support vector machine at linear cost."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDOneClassSVM

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph, narrowed, squared_distances
from clickwarden.models.detectors.sampling import sample
from clickwarden.models.detectors.scaling import Scaling

ROWS, LANDMARKS = 50_000, 100


class Boundary:
    """Scores how far outside a boundary around the usual a record is; inside it is below 0.

    A radial kernel, approximated by Nyström's method with 100 landmarks. Far away from everything all scores
    are the same: it tells abnormal from usual, and not much from very much.
    """

    supervised: ClassVar[bool] = False
    _scaling: Scaling
    _kernel: Nystroem

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        self._seed = seed
        self._model = SGDOneClassSVM(nu=0.05, random_state=seed)

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn."""
        self._scaling = Scaling.of(values, limit=5.0)
        shown = self._scaling(sample(values, ROWS, self._seed)).astype(np.float64)
        gamma = 1 / (shown.shape[1] * max(float(shown.var()), 1e-6))
        self._kernel = Nystroem(gamma=gamma, n_components=min(LANDMARKS, len(shown)), random_state=self._seed)
        self._model.fit(self._kernel.fit_transform(shown))

    def expected(self, values: Values) -> Scores:
        """Scores by scikit-learn."""
        mapped = self._kernel.transform(self._scaling(values).astype(np.float64))
        return np.asarray(-self._model.decision_function(mapped))

    def draw(self, graph: Graph, values: str) -> str:
        """The kernel to the landmarks, and one product."""
        distances = squared_distances(graph, self._scaling.draw(graph, values), self._kernel.components_)
        near = graph.add("Exp", graph.add("Mul", distances, graph.constant(-self._kernel.gamma, np.float64)))
        weights = -self._kernel.normalization_.T @ self._model.coef_.T.reshape(-1, 1)
        product = graph.add("MatMul", near, graph.constant(weights, np.float64))
        offset = graph.constant(np.ravel(self._model.offset_), np.float64)
        return narrowed(graph, graph.add("Add", product, offset))
