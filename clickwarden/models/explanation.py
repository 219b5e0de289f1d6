"""Why a record scores as it does: the features that did it, beside what is usual."""

from math import isfinite

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
    apart = np.take_along_axis(values, tried, 1) != median[tried]  # the others are what they would be put to
    row, column = np.nonzero(apart)[0], tried[apart]
    changed = values[row]
    changed[np.arange(len(row)), column] = median[column]
    effects = np.zeros(tried.shape, np.float32)
    effects[apart] = scores[row] - model.session.score(changed)
    strongest = np.argsort(-effects, axis=1, kind="stable")[:, :TOLD]
    told = np.take_along_axis(tried, strongest, 1)
    known = [(each.low, each.median, each.high) for each in usual]
    each_row = zip(
        told.tolist(),
        np.take_along_axis(values, told, 1).tolist(),
        np.take_along_axis(effects, strongest, 1).tolist(),
        strict=True,
    )
    return [
        tuple(
            Cause(
                names[place],
                value if isfinite(value) else None,
                known[place],
                effect,
                *_own(before[place], values[row]),
            )
            for place, value, effect in zip(*causes, strict=True)
        )
        for row, causes in enumerate(each_row)
    ]


def _own(
    habit: Habit | None, row: NDArray[np.float32]
) -> tuple[float | None, float | None, float | None, str]:
    """Mean, standard deviation, number and window of what the key's field was before."""
    if habit is None:
        return None, None, None, ""
    mean, std, count = (
        float(row[column]) if column is not None and isfinite(row[column]) else None
        for column in (habit.mean, habit.std, habit.number)
    )
    return mean, std, count, habit.window
