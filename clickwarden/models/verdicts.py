"""What a model says of rows: their scores, which of them are alarmed, and why."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.anomaly import Cause
from clickwarden.detection.lineup import ONLINE
from clickwarden.models.artefact import Model
from clickwarden.models.calibration import limits_of
from clickwarden.models.explanation import causes_of
from clickwarden.models.features import Rows
from clickwarden.models.online import HalfSpaceTrees


class Verdicts(NamedTuple):
    """What a model says.

    Attributes:
        detector: of the model, by name.
        version: of the model.
        scores: float32[n]; NaN for a record that was set aside.
        thresholds: float64[n], of an alarm; of each record by its key.
        alarmed: bool[n], whether the score is at or over that.
        p_values: float64[n], the share of usual records that score as high.
        causes: of those alarmed, in their order, the features that did it; none of one that learns.
    """

    detector: str
    version: str
    scores: NDArray[np.float32]
    thresholds: NDArray[np.float64]
    alarmed: NDArray[np.bool_]
    p_values: NDArray[np.float64]
    causes: list[tuple[Cause, ...]]

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
        p_values = manifest.calibration.p_values(scores)
        return cls(manifest.detector, manifest.version, scores, thresholds, alarmed, p_values, causes)

    @classmethod
    def learnt(cls, trees: HalfSpaceTrees, version: str, rows: Rows) -> "Verdicts":
        """Of some rows, from which the trees learn."""
        taken = rows.taken
        judged = trees.judge(rows.values[taken], rows.event[taken])
        scores = np.full(len(taken), np.nan, np.float32)
        p_values, thresholds = np.full(len(taken), np.nan), np.full(len(taken), np.inf)
        scores[taken], p_values[taken], thresholds[taken] = judged
        alarmed = scores >= thresholds
        return cls(ONLINE, version, scores, thresholds, alarmed, p_values, [()] * int(alarmed.sum()))
