"""What a model says of rows: their scores, which of them are alarmed, and why."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.anomaly import Cause
from clickwarden.models.artefact import Model
from clickwarden.models.explanation import causes_of
from clickwarden.models.features import Rows


class Verdicts(NamedTuple):
    """What a model says.

    Attributes:
        scores: float32[n]; NaN for a record that was set aside.
        alarmed: bool[n], whether that is at or over the threshold.
        p_values: float64[n], the share of usual records that score as high.
        causes: of those alarmed, in their order, the features that did it.
    """

    scores: NDArray[np.float32]
    alarmed: NDArray[np.bool_]
    p_values: NDArray[np.float64]
    causes: list[tuple[Cause, ...]]

    @classmethod
    def of(cls, model: Model, rows: Rows) -> "Verdicts":
        """Of some rows."""
        taken = rows.taken
        scores = np.full(len(taken), np.nan, np.float32)
        scores[taken] = model.session.score(rows.values[taken])
        alarmed = scores >= np.float32(model.manifest.threshold)
        causes = causes_of(model, rows.values[alarmed], scores[alarmed])
        return cls(scores, alarmed, model.manifest.calibration.p_values(scores), causes)
