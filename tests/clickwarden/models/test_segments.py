"""State as segments: small, and never taken for what it is not."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from clickwarden.errors import SnapshotError
from clickwarden.models.features import TAKEN, UNREADABLE, Features
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.pipelinefile import EXAMPLE
from clickwarden.models.records import Records
from tests.clickwarden.models.streams import made_up_pipeline, made_up_stream

PIPELINE = made_up_pipeline(Random(1))


def a_segment(pipeline: Pipeline = PIPELINE) -> bytes:
    engine = Features(pipeline)
    engine.of(Records.of_json(pipeline, made_up_stream(Random(1), 50)))
    segment = engine.segment()
    assert segment is not None
    return segment.data


def test_nothing_new_is_no_segment() -> None:
    engine = Features(PIPELINE)
    assert engine.segment() is None
    engine.of(Records.of_json(PIPELINE, made_up_stream(Random(1), 50)))
    assert engine.segment() is not None
    assert engine.segment() is None


@pytest.mark.parametrize("end", [0, 1, 10, -1])
def test_one_that_is_cut_off_is_refused(end: int) -> None:
    with pytest.raises(SnapshotError):
        Features(PIPELINE).restore([a_segment()[:end]])


def test_one_of_other_features_is_refused() -> None:
    with pytest.raises(SnapshotError, match="go on with the pipeline that wrote it"):
        Features(made_up_pipeline(Random(2))).restore([a_segment()])


def test_one_of_a_newer_release_is_refused() -> None:
    with pytest.raises(SnapshotError, match="of version 2, and this release knows 1"):
        Features(PIPELINE).restore([b"\2" + a_segment()[1:]])


def test_a_record_takes_fifteen_bytes(fraud: Pipeline, transactions: list[bytes]) -> None:
    engine = Features(fraud)
    size = 0
    for begin in range(0, len(transactions), 1000):
        engine.of(Records.of_json(fraud, transactions[begin : begin + 1000]))
        segment = engine.segment()
        assert segment is not None
        size += len(segment.data)
    assert size / len(transactions) < 15


def test_a_pipeline_without_key_has_no_state(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(EXAMPLE)
    pipeline = Pipeline.load(tmp_path)
    engine = Features(pipeline)
    rows = engine.of(Records.of(pipeline, [{"f0": 1.5}, {"f0": "x"}, None]))
    assert rows.fates.tolist() == [TAKEN, TAKEN, UNREADABLE]
    assert np.array_equal(rows.values, [[1.5], [np.nan], [np.nan]], equal_nan=True)
    assert engine.segment() is None


@pytest.mark.parametrize("seed", range(5))
def test_some_that_are_merged_are_as_good_as_all(seed: int) -> None:
    pipeline = made_up_pipeline(Random(seed))
    values = made_up_stream(Random(seed), 600)
    engine, kept = Features(pipeline), []
    for begin in range(0, 400, 40):
        engine.of(Records.of_json(pipeline, values[begin : begin + 40]))
        if segment := engine.segment():
            kept.append(segment)
    one, two, three = (Features(pipeline) for _ in range(3))
    one.restore(segment.data for segment in kept)
    merged = two.merged(kept[2:7])
    two.restore(segment.data for segment in [*kept[:2], merged, *kept[7:]])
    three.restore([three.merged([three.merged(kept[:3]), *kept[3:]]).data])
    assert merged.newest == max(segment.newest for segment in kept[2:7])
    rest = Records.of_json(pipeline, values[400:])
    wanted = engine.of(rest)
    for restored in (one, two, three):
        found = restored.of(rest)
        assert found.values.tobytes() == wanted.values.tobytes()
        assert found.fates.tobytes() == wanted.fates.tobytes()
