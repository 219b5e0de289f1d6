"""Gradient boosting over histograms, which learns from labels."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph
from clickwarden.models.detectors.trees import LEAF, Trees


class Boosting:
    """Scores 0 to 1.

    Kinds of abnormal records that no label has shown it, it finds by luck alone.
    """

    supervised: ClassVar[bool] = True

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        self._model = HistGradientBoostingClassifier(
            learning_rate=0.08, max_iter=200, early_stopping=False, random_state=seed
        )

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn."""
        self._model.fit(values, abnormal)

    def expected(self, values: Values) -> Scores:
        """Scores by scikit-learn."""
        return np.asarray(self._model.predict_proba(values)[:, 1])

    def draw(self, graph: Graph, values: str) -> str:
        """One node, and the logistic function."""
        trees = Trees()
        for (predictor,) in self._model._predictors:
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(bool)
            trees.add(
                nodes["feature_idx"],
                nodes["num_threshold"],
                np.where(leaf, LEAF, nodes["left"].astype(int)),
                nodes["right"].astype(int),
                nodes["value"],
            )
        baseline = graph.constant(np.ravel(self._model._baseline_prediction))
        return graph.add("Sigmoid", graph.add("Add", trees.draw(graph, values), baseline))
