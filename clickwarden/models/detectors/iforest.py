"""Isolation Forest: what few random cuts set apart is abnormal (Liu, Ting and Zhou, 2008)."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph
from clickwarden.models.detectors.trees import LEAF, Trees

TREES, SAMPLE = 200, 256
#: The part of few rows that a tree sees: one that sees them all sees each crowd of alike anomalies, too.
PART, LEAST = 0.25, 16


class Isolation:
    """Scores 0 to 1; near .5 is usual.

    It looks at one column a cut: what is unusual only as a combination of usual values it hardly sees. A
    crowd of alike anomalies in the data that it learns from looks usual to it.
    """

    supervised: ClassVar[bool] = False

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        self._forest = IsolationForest(n_estimators=TREES, max_samples=SAMPLE, random_state=seed, n_jobs=1)

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn."""
        self._forest.set_params(max_samples=min(SAMPLE, max(int(len(values) * PART), LEAST), len(values)))
        self._forest.fit(values)

    def expected(self, values: Values) -> Scores:
        """Scores by scikit-learn."""
        return np.asarray(-self._forest.score_samples(values))

    def draw(self, graph: Graph, values: str) -> str:
        """Leaves carry the length of a path, and the sum over trees becomes 2 ** (-mean / usual length)."""
        trees = Trees()
        for estimator, columns in zip(
            self._forest.estimators_, self._forest.estimators_features_, strict=True
        ):
            tree = estimator.tree_
            depth = np.zeros(tree.node_count)
            for node in np.flatnonzero(tree.children_left != LEAF):
                depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
            lengths = depth + path_length(tree.n_node_samples)
            trees.add(
                columns[np.maximum(tree.feature, 0)],
                tree.threshold,
                tree.children_left,
                tree.children_right,
                lengths,
            )
        usual = path_length(np.array([self._forest.max_samples_]))[0]
        factor = -1 / max(len(self._forest.estimators_) * usual, 1)
        exponent = graph.add("Mul", trees.draw(graph, values), graph.constant(factor))
        return graph.add("Pow", graph.constant(2), exponent)


def path_length(samples: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean length of an unsuccessful search in a binary search tree of so many.

    >>> path_length(np.array([1, 2, 256])).round(4).tolist()
    [0.0, 1.0, 10.2448]
    """
    count = np.maximum(np.asarray(samples, np.float64), 3)
    long = 2 * (np.log(count - 1) + np.euler_gamma) - 2 * (count - 1) / count
    return np.where(samples <= 1, 0.0, np.where(samples == 2, 1.0, long))
