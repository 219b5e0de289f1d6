"""Logistic regression."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph, narrowed, widened
from clickwarden.models.detectors.scaling import Scaling


class Logistic:
    """Scores 0 to 1, a probability as if abnormal records were as many as usual ones.

    It adds columns up: what is abnormal only in the middle of a column, or as a combination, it cannot see.
    """

    supervised: ClassVar[bool] = True
    _scaling: Scaling

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        self._model = LogisticRegression(class_weight="balanced", max_iter=500, random_state=seed)

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn."""
        self._scaling = Scaling.of(values, limit=5.0)
        self._model.fit(self._scaling(values).astype(np.float64), abnormal)

    def expected(self, values: Values) -> Scores:
        """Scores by scikit-learn."""
        return np.asarray(self._model.predict_proba(self._scaling(values).astype(np.float64))[:, 1])

    def draw(self, graph: Graph, values: str) -> str:
        """One product, and the logistic function."""
        weights = graph.constant(self._model.coef_.T, np.float64)
        bias = graph.constant(self._model.intercept_, np.float64)
        product = graph.add("MatMul", widened(graph, self._scaling.draw(graph, values)), weights)
        return narrowed(graph, graph.add("Sigmoid", graph.add("Add", product, bias)))
