"""What a model says of rows: their scores, which of them are alarmed, and why."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.anomaly import Cause
from clickwarden.models.artefact import Model
from clickwarden.models.calibration import limits_of
from clickwarden.models.explanation import causes_of
from clickwarden.models.features import Rows


class Verdicts(NamedTuple):
    """What a model says.

    Attributes:
        scores: float32[n]; NaN for a record that was set aside.
        alarmed: bool[n], whether that is at or over its threshold.
        p_values: float64[n], the share of usual records that score as high.
        causes: of those alarmed, in their order, the features that did it.
        thresholds: float64[n], of each record by its key.
    """

    scores: NDArray[np.float32]
    alarmed: NDArray[np.bool_]
    p_values: NDArray[np.float64]
    causes: list[tuple[Cause, ...]]
    thresholds: NDArray[np.float64]

    @classmethod
    def of(cls, model: Model, rows: Rows) -> "Verdicts":
        """Of some rows."""
        taken = rows.taken
        scores = np.full(len(taken), np.nan, np.float32)
        scores[taken] = model.session.score(rows.values[taken])
        manifest = model.manifest
        thresholds = limits_of(manifest.threshold, manifest.thresholds, rows.keys)
        alarmed = scores >= thresholds.astype(np.float32)
        causes = causes_of(model, rows.values[alarmed], scores[alarmed])
        return cls(scores, alarmed, manifest.calibration.p_values(scores), causes, thresholds)
