"""Why a record scores as it does: the features that did it, beside what is usual."""

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.anomaly import Cause
from clickwarden.models.artefact import Model
from clickwarden.models.habits import Habit, habits

#: Features that are told, and those farthest from usual that are tried.
TOLD, TRIED = 3, 12


def causes_of(
    model: Model, values: NDArray[np.float32], scores: NDArray[np.float32]
) -> list[tuple[Cause, ...]]:
    """The features that raised the score of each row, the strongest first.

    Each of those farthest from usual is put back to its median, and the record scored again: what lowers the
    score most has done it.

    Args:
        model: that has scored.
        values: float32[n, d].
        scores: float32[n], of these rows.
    """
    if not len(values):
        return []
    usual, names = model.manifest.usual, model.manifest.features
    before = habits(model.manifest.definition, names)
    median = np.array([each.median for each in usual], np.float32)
    width = np.array([each.width for each in usual], np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        away = np.nan_to_num(np.abs(values - median) / width, nan=0.0, posinf=3e38)
    tried = np.argsort(-away, axis=1, kind="stable")[:, :TRIED]
    count = tried.shape[1]
    each = np.arange(len(values) * count)
    changed = np.repeat(values, count, axis=0)
    changed[each, tried.ravel()] = median[tried.ravel()]
    effects = scores[:, None] - model.session.score(changed).reshape(len(values), count)
    strongest = np.argsort(-effects, axis=1, kind="stable")[:, :TOLD]
    return [
        tuple(
            Cause(
                names[column],
                _finite(values[row, column]),
                (usual[column].low, usual[column].median, usual[column].high),
                float(effects[row, place]),
                *_own(before[column], values[row]),
            )
            for place in strongest[row].tolist()
            for column in [int(tried[row, place])]
        )
        for row in range(len(values))
    ]


def _own(
    habit: Habit | None, row: NDArray[np.float32]
) -> tuple[float | None, float | None, float | None, str]:
    """Mean, standard deviation, number and window of what the key's field was before."""
    if habit is None:
        return None, None, None, ""
    mean, std, count = (
        None if column is None else _finite(row[column]) for column in (habit.mean, habit.std, habit.number)
    )
    return mean, std, count, habit.window


def _finite(value: np.float32) -> float | None:
    return float(value) if np.isfinite(value) else None
