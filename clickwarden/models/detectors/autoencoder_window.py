"""An autoencoder of a series' windows: how a value, its windows and the time of day usually go together."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from clickwarden.models.detectors.autoencoder import Autoencoder
from clickwarden.models.detectors.detector import Abnormal, Scores, Values
from clickwarden.models.detectors.graph import Graph, narrowed
from clickwarden.models.detectors.measures import SEASONAL, Measure, Measures


class WindowAutoencoder:
    """Scores as the autoencoder does, of measures of a series against its own windows.

    It needs windows with mean and std to follow a series, and more records than the seasonal residual; a
    single spike raises it less, since it is one of many measures.
    """

    supervised: ClassVar[bool] = False

    def __init__(self, seed: int, columns: Sequence[str]) -> None:
        measures = Measures.named(columns)
        moving = {measure.of for measure in measures.each if measure.less is not None}
        kept = [each for each in measures.each if each.by is not None or each.of not in moving]
        when = [Measure(place) for place, name in enumerate(columns) if name.endswith(SEASONAL)]
        each = (*kept, *(measure for measure in when if measure not in kept))
        self._measures = Measures(each, np.ones(len(each)))
        self._inner = Autoencoder(seed, columns)

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn."""
        self._measures = self._measures.fitted(values)
        self._inner.fit(self._measures.of(values).astype(np.float32), None)

    def expected(self, values: Values) -> Scores:
        """Scores by scikit-learn."""
        return self._inner.expected(self._measures.of(values).astype(np.float32))

    def draw(self, graph: Graph, values: str) -> str:
        """The measures, and the autoencoder of them."""
        return self._inner.draw(graph, narrowed(graph, self._measures.draw(graph, values)))
