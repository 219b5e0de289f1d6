"""Missing and huge values, before any detector sees them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.models.detectors.detector import Values
from clickwarden.models.detectors.graph import Graph

#: Values beyond count as this, so that float32 can still hold differences and sums of them.
HUGE = 1e30


class Cleaning(NamedTuple):
    """What stands in for missing values.

    Attributes:
        usual: float32[d], the median of each column, 0 where all of it was missing.
    """

    usual: NDArray[np.float32]

    @classmethod
    def of(cls, values: Values) -> "Cleaning":
        """Learn it of float32[n, d], NaN where missing."""
        known = np.isfinite(values).any(0)
        usual = np.zeros(values.shape[1], np.float32)
        inner = np.clip(values[:, known], -HUGE, HUGE)
        usual[known] = np.nanmedian(inner, axis=0)
        return cls(usual)

    def __call__(self, values: Values) -> Values:
        """The same values, none missing or infinite."""
        return np.clip(np.where(np.isnan(values), self.usual, values), -HUGE, HUGE).astype(np.float32)

    def draw(self, graph: Graph, values: str) -> str:
        """Add the nodes that do the same."""
        whole = graph.add("Where", graph.add("IsNaN", values), graph.constant(self.usual), values)
        return graph.add("Clip", whole, graph.constant(-HUGE), graph.constant(HUGE))
