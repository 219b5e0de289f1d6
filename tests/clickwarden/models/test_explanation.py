"""Why records score as they do, against an explanation of one record and one feature at a time."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from clickwarden.models import artefact
from clickwarden.models.artefact import Model
from clickwarden.models.explanation import TOLD, TRIED, causes_of
from clickwarden.models.features import Features
from clickwarden.models.records import Records
from tests.pipelines import define, payments, train


@pytest.mark.parametrize("detector", ["iforest", "zscore", "autoencoder"])
def test_causes_are_those_of_each_feature_put_back_by_itself(tmp_path: Path, detector: str) -> None:
    pipeline = define(tmp_path / "payments", "payments")
    train(pipeline, detector=detector)
    model = artefact.load(pipeline)
    rows = Features(pipeline).of(Records.of_json(pipeline, payments(300, seed=3)))
    values = rows.values[rows.taken]
    values[::7, 0] = np.nan
    scores = model.session.score(values)
    told = causes_of(model, values, scores)
    assert len(told) == len(values)
    for row, score, causes in zip(values, scores, told, strict=True):
        assert [(each.feature, each.effect) for each in causes] == one_by_one(model, row, score)
        for each in causes:
            place = model.manifest.features.index(each.feature)
            known = model.manifest.usual[place]
            assert each.usual == (known.low, known.median, known.high)
            assert each.value == (None if np.isnan(row[place]) else row[place])


def test_nothing_is_said_of_no_record(tmp_path: Path) -> None:
    pipeline = define(tmp_path / "payments", "payments")
    train(pipeline)
    none = np.zeros((0, len(pipeline.feature_names)), np.float32)
    assert causes_of(artefact.load(pipeline), none, np.zeros(0, np.float32)) == []


def one_by_one(model: Model, row: NDArray[np.float32], score: np.float32) -> list[tuple[str, float]]:
    """Feature and effect, the strongest first; of alike ones that which is farther from usual."""
    usual, names = model.manifest.usual, model.manifest.features
    away = [
        0.0 if np.isnan(row[place]) else abs(row[place] - np.float32(each.median)) / np.float32(each.width)
        for place, each in enumerate(usual)
    ]
    tried = sorted(range(len(names)), key=lambda place: -away[place])[:TRIED]
    effects = []
    for place in tried:
        changed = row.copy()
        changed[place] = usual[place].median
        effects.append((names[place], float(score - model.session.score(changed[None])[0])))
    return sorted(effects, key=lambda each: -each[1])[:TOLD]
