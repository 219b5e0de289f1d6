"""Values on a common scale."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.models.detectors.detector import Values
from clickwarden.models.detectors.graph import Graph

#: Of a normal distribution, the interquartile range in standard deviations.
_QUARTILES = 1.349
#: The width of a column that never varies: a change of it by this fraction is one step.
_STILL = 1e-3


class Scaling(NamedTuple):
    """Robust: one wild value moves neither centre nor width, and no value is farther away than ``limit``.

    Attributes:
        centre: float32[d], medians.
        width: float32[d], interquartile ranges in standard deviations; where that is 0, the standard
            deviation.
        limit: how far from the centre a value can be, in widths.
    """

    centre: NDArray[np.float32]
    width: NDArray[np.float32]
    limit: float

    @classmethod
    def of(cls, values: Values, limit: float = 20.0) -> "Scaling":
        """Learn it of float32[n, d]."""
        low, centre, high = np.percentile(values.astype(np.float64), [25, 50, 75], axis=0)
        width = (high - low) / _QUARTILES
        spread = values.astype(np.float64).std(0)
        still = np.maximum(np.abs(centre) * _STILL, _STILL)
        tiny = np.abs(centre) * np.finfo(np.float32).eps + np.finfo(np.float32).tiny
        width = np.where(width > tiny, width, np.where(spread > tiny, spread, still))
        return cls(centre.astype(np.float32), width.astype(np.float32), limit)

    def __call__(self, values: Values) -> Values:
        """float32[n, d] in widths from the centre."""
        return np.asarray(np.clip((values - self.centre) / self.width, -self.limit, self.limit), np.float32)

    def draw(self, graph: Graph, values: str) -> str:
        """Add the nodes that do the same."""
        away = graph.add("Sub", values, graph.constant(self.centre))
        scaled = graph.add("Div", away, graph.constant(self.width))
        return graph.add("Clip", scaled, graph.constant(-self.limit), graph.constant(self.limit))
