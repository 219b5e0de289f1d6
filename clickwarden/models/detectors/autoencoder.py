"""An autoencoder: a small network that is to give back what it is shown."""

import warnings
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph, narrowed, widened
from clickwarden.models.detectors.sampling import sample
from clickwarden.models.detectors.scaling import Scaling

ROWS, EPOCHS = 50_000, 20
#: What it learns from is nearer to the centre: wild values would fill the network.
LEARNT = 5.0


class Autoencoder:
    """Scores the root of the mean squared error, in widths of a column.

    It sees combinations that it has not learnt, and learns abnormal ones that come often.
    """

    supervised: ClassVar[bool] = False
    _scaling: Scaling
    _network: MLPRegressor

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        self._seed = seed

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn; two thirds, a quarter and two thirds as many neurons as columns."""
        self._scaling = Scaling.of(values)
        width = values.shape[1]
        self._network = MLPRegressor(
            hidden_layer_sizes=(max(4, width * 2 // 3), max(2, width // 4), max(4, width * 2 // 3)),
            learning_rate_init=2e-3,
            batch_size=min(256, len(values)),
            max_iter=EPOCHS,
            random_state=self._seed,
        )
        shown = np.clip(self._scaling(sample(values, ROWS, self._seed)), -LEARNT, LEARNT).astype(np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is the limit meant
            self._network.fit(shown, shown if width > 1 else shown.ravel())

    def expected(self, values: Values) -> Scores:
        """Scores by scikit-learn."""
        scaled = self._scaling(values).astype(np.float64)
        given = self._network.predict(scaled).reshape(scaled.shape)
        return np.asarray(np.sqrt(((scaled - given) ** 2).mean(1)))

    def draw(self, graph: Graph, values: str) -> str:
        """A product a layer."""
        scaled = layer = widened(graph, self._scaling.draw(graph, values))
        layers = list(zip(self._network.coefs_, self._network.intercepts_, strict=True))
        for place, (weights, bias) in enumerate(layers, 1):
            product = graph.add("MatMul", layer, graph.constant(weights, np.float64))
            layer = graph.add("Add", product, graph.constant(bias, np.float64))
            if place < len(layers):
                layer = graph.add("Relu", layer)
        error = graph.add("Sub", scaled, layer)
        mean = graph.add("ReduceMean", graph.add("Mul", error, error), graph.integers(1), keepdims=1)
        return narrowed(graph, graph.add("Sqrt", mean))
