"""A random forest (Breiman, 2001), which learns from labels."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph
from clickwarden.models.detectors.trees import Trees

TREES = 200


class Forest:
    """Scores 0 to 1, the mean over trees of the share of abnormal records in a leaf.

    Kinds of abnormal records that no label has shown it, it finds by luck alone.
    """

    supervised: ClassVar[bool] = True

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        self._forest = RandomForestClassifier(
            TREES, min_samples_leaf=3, class_weight="balanced_subsample", random_state=seed, n_jobs=1
        )

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn."""
        self._forest.fit(values, abnormal)

    def expected(self, values: Values) -> Scores:
        """Scores by scikit-learn."""
        return np.asarray(self._forest.predict_proba(values)[:, 1])

    def draw(self, graph: Graph, values: str) -> str:
        """One node: leaves carry their share of the mean."""
        trees = Trees()
        for estimator in self._forest.estimators_:
            tree = estimator.tree_
            shares = tree.value[:, 0, :] / tree.value[:, 0, :].sum(1, keepdims=True)
            trees.add(
                tree.feature, tree.threshold, tree.children_left, tree.children_right, shares[:, 1] / TREES
            )
        return trees.draw(graph, values)
