"""Features by the reference, in any cut, behind restarts, and all at once: the same, bit by bit."""

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwarden.audit import features as reference
from clickwarden.models import features
from clickwarden.models.features import Features, Rows, Segment
from clickwarden.models.fields import NO_TIME
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records
from tests.clickwarden.models.streams import made_up_pipeline, made_up_stream

#: Made-up streams.
STREAMS = int(os.environ.get("STREAMS", "40"))
#: Records in one, at most; half of them are repeated.
LONGEST = 120
FATES = {
    reference.TAKEN: features.TAKEN,
    reference.LATE: features.LATE,
    reference.KEYLESS: features.KEYLESS,
    reference.TIMELESS: features.TIMELESS,
    reference.UNREADABLE: features.UNREADABLE,
}

Log = Sequence[bytes | None]


def by_reference(pipeline: Pipeline, log: Log) -> Rows:
    judge = reference.FeatureReference(pipeline.definition)
    judged, event = [], []
    for value in log:
        judged.append(judge.judge(value))
        event.append(NO_TIME if judge.event is None else judge.event)
    values = np.array([one.values for one in judged], np.float32)
    fates = np.array([FATES[one.fate] for one in judged], np.uint8)
    return Rows(values, fates, np.array(event, np.int64), [])


def joined(parts: Iterable[Rows]) -> Rows:
    found = list(parts)
    return Rows(
        np.concatenate([rows.values for rows in found]),
        np.concatenate([rows.fates for rows in found]),
        np.concatenate([rows.event for rows in found]),
        [key for rows in found for key in rows.keys],
    )


def in_runs(pipeline: Pipeline, runs: Iterable[Log]) -> Rows:
    engine = Features(pipeline)
    return joined(engine.of(Records.of_json(pipeline, run)) for run in runs)


def with_restarts(pipeline: Pipeline, runs: Sequence[Log], stops: set[int]) -> Rows:
    """With a checkpoint behind each run, where what no record can see any more is deleted."""
    engine = Features(pipeline)
    kept: list[Segment] = []
    parts = []
    for number, run in enumerate(runs):
        if number in stops:
            engine = Features(pipeline)
            engine.restore(segment.data for segment in kept)
        parts.append(engine.of(Records.of_json(pipeline, run)))
        if segment := engine.segment():
            kept = [old for old in kept if old.newest > engine.forgotten]
            kept.append(segment)
    return joined(parts)


def assert_same(pipeline: Pipeline, found: Rows, wanted: Rows) -> None:
    assert found.fates.tolist() == wanted.fates.tolist()
    assert found.event.tolist() == wanted.event.tolist()
    differing = found.values.view(np.int32) != wanted.values.view(np.int32)
    assert [
        (int(row), pipeline.feature_names[column], found.values[row, column], wanted.values[row, column])
        for row, column in zip(*np.nonzero(differing), strict=True)
    ] == []


def cut(log: Log, chance: Random) -> list[Log]:
    places = [chance.randint(0, len(log)) for _ in range(chance.randint(0, 8))]
    bounds = [0, *sorted(places), len(log)]
    return [log[begin:end] for begin, end in pairwise(bounds)]


@settings(max_examples=STREAMS)
@given(seed=st.integers(0, 2**32), size=st.integers(1, LONGEST))
def test_four_ways_are_one(seed: int, size: int) -> None:
    chance = Random(seed)
    pipeline, log = made_up_pipeline(chance), made_up_stream(chance, size)
    runs = cut(log, chance)
    wanted = by_reference(pipeline, log)
    assert_same(pipeline, in_runs(pipeline, [log]), wanted)
    assert_same(pipeline, in_runs(pipeline, runs), wanted)
    assert_same(pipeline, in_runs(pipeline, [[value] for value in log]), wanted)
    stops = {chance.randrange(len(runs)) for _ in range(3)}
    assert_same(pipeline, with_restarts(pipeline, runs, stops), wanted)


def test_the_streams_reach_what_they_are_made_for() -> None:
    """Or the test above could pass by looking at nothing."""
    fates: list[int] = []
    busy = 0.0
    for seed in range(30):
        chance = Random(seed)
        pipeline = made_up_pipeline(chance)
        rows = in_runs(pipeline, [made_up_stream(chance, LONGEST)])
        fates += rows.fates.tolist()
        counts = [place for place, name in enumerate(pipeline.feature_names) if ".count." in name]
        busy = max(busy, float(np.nan_to_num(rows.values[:, counts]).max()))
    assert {*fates} == {*features.FATES}
    assert fates.count(features.TAKEN) > len(fates) / 3
    assert busy > 16
