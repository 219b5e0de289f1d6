"""Days of drift are told once, whatever the batches and restarts, and the oracle counts them otherwise."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest

from clickwarden.audit.scored import ScoredJudgement, ScoredTruth, Scoring, judge_scored
from clickwarden.models import artefact
from clickwarden.models.artefact import Model
from clickwarden.models.features import Features
from clickwarden.models.monitor import Monitor, Watched
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records
from clickwarden.models.verdicts import Verdicts
from tests.pipelines import A_DAY, CARDS, MIDNIGHT, Judge, days, define, payments, train
from tests.site import ReadRecord

#: Two clean days, three with larger payments, and an hour of the next.
LOG = [*days(2, 1), *days(3, 2, 2, usual=5), *days(1, 3, 5)[:90]]
#: In the first day of drift another model takes over, and again in the last.
CHANGES = (0, 3 * A_DAY - 100, 4 * A_DAY + A_DAY // 2)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, list[Model]]:
    """A pipeline, and two models that know clean days."""
    pipeline = define(tmp_path_factory.mktemp("made") / "payments", "payments")
    found = []
    for seed in (1, 2):
        train(pipeline, seed, values=days(3, 9, first=-4))
        found.append(artefact.load(pipeline))
    return pipeline, found


def told(pipeline: Pipeline, scoring: Sequence[tuple[int, Model]], random: Random) -> list[ReadRecord]:
    """What a worker says of drift, in batches and with restarts by chance."""
    features, monitor = Features(pipeline), Monitor(pipeline, 0, Watched())
    found: list[ReadRecord] = []
    ends = [*(begin for begin, _ in scoring), len(LOG)]
    for (begin, end), (_, model) in zip(pairwise(ends), scoring, strict=True):
        monitor.serve(model.manifest)
        while begin < end:
            part = LOG[begin : min(end, begin + random.choice((1, 7, 500, 3_000)))]
            begin += len(part)
            records = Records.of_json(pipeline, part)
            rows = features.of(records)
            alarmed = Verdicts.of(model, rows).alarmed
            for anomaly in monitor.add(rows, records.keys, alarmed):
                value = msgspec.json.encode(anomaly)
                found.append(ReadRecord(0, len(found), 0, 0, anomaly.alert_id.encode(), value, ()))
            if random.random() < 0.3:
                kept = msgspec.msgpack.encode(monitor.pack())
                monitor = Monitor(pipeline, 0, msgspec.msgpack.decode(kept, type=Watched))
                monitor.serve(model.manifest)
    return found


def truth_of(pipeline: Pipeline, scoring: Sequence[tuple[int, Model]]) -> ScoredTruth:
    """What the oracle makes of the log."""
    since = {0: [Scoring(begin, model.manifest.version, ()) for begin, model in scoring]}
    judges = {model.manifest.version: Judge(model) for _, model in scoring}
    truth = ScoredTruth("payments", pipeline.definition, "id", pipeline.feature_names, judges, since, {0: 0})
    truth.add(0, [ReadRecord(0, offset, 0, 0, None, value, ()) for offset, value in enumerate(LOG)])
    truth.expected.clear()  # of records that are abnormal, test_scored tells
    return truth


def faults(verdict: ScoredJudgement) -> tuple[int, int, int]:
    return verdict.missing, verdict.invented, verdict.conflicting


@pytest.fixture(scope="module")
def judge(models: tuple[Pipeline, list[Model]]) -> Callable[..., ScoredJudgement]:
    """Judges what one model says of all days."""
    pipeline, (model, _) = models
    scoring = [(0, model)]
    right, truth = told(pipeline, scoring, Random(0)), truth_of(pipeline, scoring)

    def of(change: Callable[[list[ReadRecord]], list[ReadRecord]] = lambda said: said) -> ScoredJudgement:
        return judge_scored(truth, "payments", change(list(right)))

    return of


def changed(said: ReadRecord, **fields: Any) -> ReadRecord:
    anomaly = json.loads(said.value or b"")
    for name, value in fields.items():
        (anomaly["drift"] if name in anomaly["drift"] else anomaly)[name] = value
    return said._replace(value=json.dumps(anomaly).encode())


def test_each_day_of_drift_is_told_once_in_one_incident(models: tuple[Pipeline, list[Model]]) -> None:
    pipeline, (model, _) = models
    contents = set()
    for seed in range(3):
        said = told(pipeline, [(0, model)], Random(seed))
        contents.add(tuple(each.value for each in said))
    assert len(contents) == 1
    anomalies = [json.loads(each.value or b"") for each in said]
    assert [each["drift"]["day"] for each in anomalies] == ["2025-10-12", "2025-10-13", "2025-10-14"]
    assert len({each["incident_id"] for each in anomalies}) == 1
    assert len({each["alert_id"] for each in anomalies}) == 3
    first = anomalies[0]
    assert first["drift"]["features"][0]["feature"] == "log1p(amount)"
    assert (first["rule"], first["user_id"]) == ("pipeline/payments/drift", "pipeline/payments")
    assert (first["window_start"], first["window_end"]) == ("2025-10-12T00:00:00Z", "2025-10-13T00:00:00Z")
    assert first["drift"]["worth"] < CARDS < first["drift"]["records"]


def test_with_another_model_the_day_begins_anew(models: tuple[Pipeline, list[Model]]) -> None:
    pipeline, (first, second) = models
    scoring = list(zip(CHANGES, (first, second, first), strict=True))
    said = told(pipeline, scoring, Random(1))
    anomalies = [json.loads(each.value or b"") for each in said]
    # Of the first day the second has seen an hour; the last is shared with its successor.
    assert [each["drift"]["day"] for each in anomalies] == ["2025-10-13"]
    assert anomalies[0]["drift"]["version"] == second.manifest.version
    verdict = judge_scored(truth_of(pipeline, scoring), "payments", said)
    assert faults(verdict) == (0, 0, 0), verdict.examples
    assert verdict.drift == 1


def test_the_oracle_finds_the_same(judge: Callable[..., ScoredJudgement]) -> None:
    verdict = judge()
    assert faults(verdict) == (0, 0, 0), verdict.examples
    assert verdict.drift == 3
    assert judge(lambda said: [*said, said[0]]).repeats == 1


def test_the_oracle_sees_what_is_missing_invented_or_otherwise(judge: Callable[..., ScoredJudgement]) -> None:
    assert faults(judge(lambda said: said[1:])) == (1, 0, 0)
    assert faults(judge(lambda said: [*said, changed(said[0], day="2025-10-11")])) == (0, 1, 0)
    assert faults(judge(lambda said: [*said, changed(said[0], reasons=[])])) == (0, 0, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"records": 5},
        {"alarms": 0},
        {"budget": 1.0},
        {"worth": 9.0},
        {"limit": 0.1},
        {"unseen": 0.5},
        {"version": "0"},
        {"features": []},
        {"features": [{"feature": "log1p(amount)", "shift": 0.3, "missing": 0.0}]},
        {"alert_id": "0"},
        {"incident_id": "0"},
        {"user_id": "card-1"},
        {"category": "learned"},
        {"shadow": True},
        {"window_end": "2025-10-12T12:00:00Z"},
    ],
)
def test_the_oracle_sees_what_contradicts_it(
    judge: Callable[..., ScoredJudgement], wrong: dict[str, Any]
) -> None:
    assert faults(judge(lambda said: [changed(said[0], **wrong), *said[1:]])) == (0, 0, 1)


def test_nothing_is_said_of_a_clean_day(models: tuple[Pipeline, list[Model]]) -> None:
    pipeline, (model, _) = models
    monitor, features = Monitor(pipeline, 0, Watched()), Features(pipeline)
    monitor.serve(model.manifest)
    log = [*payments(20, 4, MIDNIGHT - 900, CARDS, 40), *days(4, seed=5)]
    for begin in range(0, len(log), 1_000):
        records = Records.of_json(pipeline, log[begin : begin + 1_000])
        rows = features.of(records)
        assert not list(monitor.add(rows, records.keys, Verdicts.of(model, rows).alarmed))
    known = monitor.pack()
    assert [day.day for day in known.days] == ["2025-10-11", "2025-10-12"]  # windows were full
    assert not any(day.drifted for day in known.days)
    assert [len(day.shifts) for day in known.days] == [3, len(pipeline.feature_names)]
