"""What a record's features say of its own key."""

from random import Random

import numpy as np
import pytest

from clickwarden.audit import habits as audited
from clickwarden.models import artefact
from clickwarden.models.explanation import causes_of
from clickwarden.models.features import Features
from clickwarden.models.habits import habits
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records
from tests.clickwarden.models.streams import made_up_pipeline
from tests.pipelines import define, payments, train

MORE = """
[[feature]]
kind = "rolling"
field = "amount"
windows = ["1h", "24h"]
stats = ["mean", "std", "count"]
bucket = "10m"
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return define(tmp_path_factory.mktemp("made") / "payments", "payments", MORE)


def test_the_longest_window_with_a_mean_is_taken_whatever_feature_it_is_of(pipeline: Pipeline) -> None:
    names = pipeline.feature_names
    found = dict(zip(names, habits(pipeline.definition, names), strict=True))
    habit = found["log1p(amount)"]
    assert habit is not None
    assert habit.window == "24h/10m"
    assert habit.std is not None
    assert habit.number is not None
    columns = [names[habit.mean], names[habit.std], names[habit.number]]
    assert columns == ["amount.mean.24h/10m", "amount.std.24h/10m", "amount.count.24h/10m"]
    of = {name for name, each in found.items() if each is not None}
    assert of == {"log1p(amount)", "amount.ratio.1m", "amount.ratio.1h"}


def test_a_cause_has_what_the_key_had_before(pipeline: Pipeline) -> None:
    train(pipeline)
    model, values = artefact.load(pipeline), payments(2_000, seed=9)
    rows = Features(pipeline).of(Records.of_json(pipeline, values))
    taken = rows.values[rows.taken]
    causes = causes_of(model, taken, model.session.score(taken))
    names = list(pipeline.feature_names)
    said = 0
    for row, told in zip(taken, causes, strict=True):
        for cause in told:
            if cause.key_window:
                of = [row[names.index(f"amount.{stat}.24h/10m")] for stat in ("mean", "std", "count")]
                expected = [float(each) if np.isfinite(each) else None for each in of]
                assert [cause.key_mean, cause.key_std, cause.key_count] == expected
                said += cause.key_mean is not None
            else:
                assert (cause.key_mean, cause.key_std, cause.key_count) == (None, None, None)
    assert said > 100


@pytest.mark.parametrize("seed", range(30))
def test_the_oracle_reads_any_definition_alike(seed: int) -> None:
    pipeline = made_up_pipeline(Random(seed))
    names = pipeline.feature_names
    own = {
        name: (
            each.window,
            *("" if column is None else names[column] for column in (each.mean, each.std, each.number)),
        )
        for name, each in zip(names, habits(pipeline.definition, names), strict=True)
        if each is not None
    }
    assert {name: tuple(each) for name, each in audited.own_of(pipeline.definition, names).items()} == own
