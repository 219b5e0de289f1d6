"""What a detector is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # whoever names a detector need not have onnx
    from clickwarden.models.detectors.graph import Graph

Values = NDArray[np.float32]
Scores = NDArray[np.float64]
Abnormal = NDArray[np.bool_]


class Detector(Protocol):
    """Learns from a matrix, and says in ONNX how abnormal a row is, by that row alone.

    Values are cleaned (:class:`clickwarden.models.detectors.cleaning.Cleaning`): none is missing or infinite.
    The same values and seed give the same detector.

    Attributes:
        supervised: whether it learns from labels, and cannot do without.
    """

    supervised: ClassVar[bool]

    def __init__(self, seed: int, columns: Sequence[str]) -> None: ...

    def fit(self, values: Values, abnormal: Abnormal | None) -> None:
        """Learn.

        Args:
            values: float32[n, d].
            abnormal: bool[n], the labels; an unsupervised detector does not look at them.
        """

    def expected(self, values: Values) -> Scores:
        """float64[n], scores by scikit-learn or numpy, for tests of the graph; higher is more abnormal."""

    def draw(self, graph: "Graph", values: str) -> str:
        """Add the nodes that score to a graph.

        Args:
            graph: to be added to.
            values: the name of its cleaned values, float32[n, d].

        Returns:
            The name of the scores, float32[n, 1].
        """
