"""Features by the reference, in any cut, behind restarts, and of a file: the same, bit by bit."""

import os
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from clickwarden.audit import features as reference
from clickwarden.models import features
from clickwarden.models.features import Features, Rows
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records
from tests.clickwarden.models.streams import pipeline, stream

#: Made-up streams.
STREAMS = int(os.environ.get("STREAMS", "60"))
FATES = {
    reference.TAKEN: features.TAKEN,
    reference.LATE: features.LATE,
    reference.KEYLESS: features.KEYLESS,
    reference.TIMELESS: features.TIMELESS,
    reference.UNREADABLE: features.UNREADABLE,
}


def by_reference(pipeline: Pipeline, log: Sequence[bytes | None]) -> Rows:
    judge = reference.FeatureReference(pipeline.definition)
    judged = [judge.judge(value) for value in log]
    values = np.array([one.values for one in judged], np.float32)
    return Rows(values, np.array([FATES[one.fate] for one in judged], np.uint8))


def joined(parts: Iterable[Rows]) -> Rows:
    found = list(parts)
    return Rows(
        np.concatenate([part.values for part in found]), np.concatenate([part.fates for part in found])
    )


def in_runs(pipeline: Pipeline, runs: Iterable[Sequence[bytes | None]]) -> Rows:
    engine = Features(pipeline)
    return joined(engine.of(Records.of_json(pipeline, run)) for run in runs)


def with_restarts(pipeline: Pipeline, runs: Sequence[Sequence[bytes | None]], stops: set[int]) -> Rows:
    """A checkpoint behind each run; what no record can see any more is deleted; begun anew at the stops."""
    engine = Features(pipeline)
    kept: list[features.Segment] = []
    parts = []
    for number, run in enumerate(runs):
        if number in stops:
            engine = Features(pipeline)
            engine.restore([segment.data for segment in kept])
        parts.append(engine.of(Records.of_json(pipeline, run)))
        if segment := engine.segment():
            kept = [old for old in kept if old.newest > engine.forgotten]
            kept.append(segment)
    return joined(parts)


def bits(values: NDArray[np.float32]) -> NDArray[np.int32]:
    return values.view(np.int32)


def assert_same(pipeline: Pipeline, found: Rows, wanted: Rows) -> None:
    assert found.fates.tolist() == wanted.fates.tolist()
    row, column = np.nonzero(bits(found.values) != bits(wanted.values))
    differing = [
        (int(r), pipeline.feature_names[c], float(found.values[r, c]), float(wanted.values[r, c]))
        for r, c in zip(row, column, strict=True)
    ]
    assert differing == []


def cut(log: Sequence[bytes | None], places: Iterable[int]) -> list[Sequence[bytes | None]]:
    bounds = [0, *sorted(place % (len(log) + 1) for place in places), len(log)]
    return [log[begin:end] for begin, end in zip(bounds, bounds[1:], strict=False)]


@settings(
    max_examples=STREAMS,
    deadline=timedelta(seconds=60),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(
    pipeline=None,
    log=None,
    places=st.lists(st.integers(0, 200), max_size=8),
    stops=st.sets(st.integers(0, 8), max_size=3),
)
def test_four_ways_are_one(
    pipeline: Pipeline, log: list[bytes | None], places: list[int], stops: set[int]
) -> None:
    wanted = by_reference(pipeline, log)
    runs = cut(log, places)
    assert_same(pipeline, in_runs(pipeline, runs), wanted)
    assert_same(pipeline, in_runs(pipeline, [[value] for value in log]), wanted)
    assert_same(pipeline, with_restarts(pipeline, runs, stops), wanted)
    assert_same(pipeline, in_runs(pipeline, [log]), wanted)
