"""A mixture of normal distributions."""

import warnings
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph, narrowed, widened
from clickwarden.models.detectors.sampling import sample
from clickwarden.models.detectors.scaling import Scaling

ROWS, COMPONENTS = 50_000, 8


class Mixture:
    """Scores the negative logarithm of the density.

    What is unusual only in a column of heavy tails it reports too often; its cost grows with the square of
    the columns.
    """

    supervised: ClassVar[bool] = False
    _scaling: Scaling
    _mixture: GaussianMixture

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        self._seed = seed

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn."""
        self._scaling = Scaling.of(values)
        shown = self._scaling(sample(values, ROWS, self._seed)).astype(np.float64)
        self._mixture = GaussianMixture(
            min(COMPONENTS, len(np.unique(shown, axis=0))),
            reg_covar=1e-2,
            max_iter=60,
            random_state=self._seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # sixty rounds are enough
            self._mixture.fit(shown)

    def expected(self, values: Values) -> Scores:
        """Scores by scikit-learn."""
        return np.asarray(-self._mixture.score_samples(self._scaling(values).astype(np.float64)))

    def draw(self, graph: Graph, values: str) -> str:
        """Of each component one product, whose squares are added up; then the logarithm of the sum."""
        roots = self._mixture.precisions_cholesky_
        count, width, _ = roots.shape
        scaled = widened(graph, self._scaling.draw(graph, values))
        product = graph.add("MatMul", scaled, graph.constant(np.concatenate(list(roots), 1), np.float64))
        shift = np.concatenate([mean @ root for mean, root in zip(self._mixture.means_, roots, strict=True)])
        away = graph.add("Sub", product, graph.constant(shift, np.float64))
        each = graph.add("Reshape", away, graph.integers(-1, count, width))
        squares = graph.add("ReduceSumSquare", each, graph.integers(2), keepdims=0)
        scale = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(1) - width / 2 * np.log(2 * np.pi)
        constant = graph.constant(np.log(self._mixture.weights_) + scale, np.float64)
        halves = graph.add("Mul", squares, graph.constant(-0.5, np.float64))
        density = graph.add(
            "ReduceLogSumExp", graph.add("Add", halves, constant), graph.integers(1), keepdims=1
        )
        return narrowed(graph, graph.add("Neg", density))
