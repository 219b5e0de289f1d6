"""The oracle of pipelines agrees with workers, and sees what is missing, invented or contradicted."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from clickwarden.audit.scored import ScoredJudgement, ScoredTruth, Scoring, judge_scored
from clickwarden.detection.lineup import Lineup, Since, learning
from clickwarden.models import artefact
from clickwarden.models import standing as standings
from clickwarden.models.alarms import Incidents, alarms
from clickwarden.models.artefact import Model
from clickwarden.models.features import Features, moments_of
from clickwarden.models.judges import Judges
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records
from clickwarden.models.standing import Standing
from clickwarden.models.verdicts import Verdicts
from tests.pipelines import Judge, define, payments, train
from tests.site import ReadRecord

RECEIVED = 1_800_000_000_000


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, list[Model]]:
    """A pipeline, and two models for it; by the second most cards have a threshold of their own."""
    pipeline = define(tmp_path_factory.mktemp("made") / "payments", "payments")
    found = []
    for seed, detector in ((1, "iforest"), (2, "autoencoder_window")):
        train(pipeline, seed, detector)
        found.append(artefact.load(pipeline))
    assert not found[0].manifest.thresholds
    assert len(set(found[1].manifest.thresholds.values())) > 30
    return pipeline, found


def record(offset: int, value: bytes | None, key: bytes | None = None) -> ReadRecord:
    return ReadRecord(0, offset, RECEIVED, 1, key, value, ())


def told(pipeline: Pipeline, scoring: list[tuple[Model, Sequence[bytes]]]) -> list[ReadRecord]:
    """What a worker says of records, by one model after the other."""
    features, incidents, offset = Features(pipeline), Incidents(), 0
    found: list[ReadRecord] = []
    for model, values in scoring:
        for first in range(0, len(values), 300):
            part = values[first : first + 300]
            records = Records.of_json(pipeline, part, [RECEIVED / 1000] * len(part))
            verdicts = Verdicts.of(model, features.of(records))
            offsets = range(offset, offset + len(part))
            offset += len(part)
            for each in alarms(pipeline, verdicts, records, moments_of(records), offsets, 0, incidents):
                found.append(record(len(found), msgspec.json.encode(each), each.alert_id.encode()))
    return found


@pytest.fixture(scope="module")
def judged(models: tuple[Pipeline, list[Model]]) -> Callable[..., ScoredJudgement]:
    """Judges what was told of 1,500 records by one model and 1,500 by another."""
    pipeline, (first, second) = models
    values = payments(3_000, seed=3)
    since = {0: [Scoring(0, first.manifest.version, ()), Scoring(1_500, second.manifest.version, ())]}
    judges = {model.manifest.version: Judge(model) for model in (first, second)}
    truth = ScoredTruth("payments", pipeline.definition, "id", pipeline.feature_names, judges, since, {0: 0})
    truth.add(0, [record(offset, value) for offset, value in enumerate(values)])
    right = told(pipeline, [(first, values[:1_500]), (second, values[1_500:])])

    def judge(change: Callable[[list[ReadRecord]], list[ReadRecord]] = lambda said: said) -> ScoredJudgement:
        return judge_scored(truth, "payments", change(list(right)))

    return judge


def changed(said: ReadRecord, **fields: Any) -> ReadRecord:
    anomaly = json.loads(said.value or b"")
    for name, value in fields.items():
        (anomaly["scored"] if name in anomaly["scored"] else anomaly)[name] = value
    return said._replace(value=json.dumps(anomaly).encode())


def faults(verdict: ScoredJudgement) -> tuple[int, int, int]:
    return verdict.missing, verdict.invented, verdict.conflicting


def test_what_workers_say_is_right_whatever_the_batches(judged: Callable[..., ScoredJudgement]) -> None:
    verdict = judged()
    assert faults(verdict) == (0, 0, 0), verdict.examples
    assert verdict.expected == verdict.reported > 20
    assert {"taken", "late", "keyless", "unreadable"} == set(verdict.fates)


def test_repeats_are_no_fault(judged: Callable[..., ScoredJudgement]) -> None:
    verdict = judged(lambda said: [*said, *(changed(each, worker="another") for each in said[:5])])
    assert faults(verdict) == (0, 0, 0)
    assert verdict.repeats == 5


def test_what_is_missing_is_seen(judged: Callable[..., ScoredJudgement]) -> None:
    assert faults(judged(lambda said: said[1:])) == (1, 0, 0)


def test_what_is_invented_is_seen(judged: Callable[..., ScoredJudgement]) -> None:
    assert faults(judged(lambda said: [*said, changed(said[0], offset=17)])) == (0, 1, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": 0.5},
        {"p_value": 0.5},
        {"threshold": 0.1},
        {"user_id": "card-x"},
        {"shadow": True},
        {"incident_id": "0"},
        {"alert_id": "0"},
        {"causes": [{"feature": "log1p(amount)", "value": 1.0, "usual": [0, 1, 2], "effect": 1.0}]},
    ],
)
def test_what_contradicts_the_reference_is_seen(
    judged: Callable[..., ScoredJudgement], wrong: dict[str, Any]
) -> None:
    assert faults(judged(lambda said: [changed(said[0], **wrong), *said[1:]])) == (0, 0, 1)


@pytest.mark.parametrize("name", ["key_mean", "key_count", "key_std", "key_window"])
def test_what_a_key_has_not_done_before_is_seen(judged: Callable[..., ScoredJudgement], name: str) -> None:
    def change(said: list[ReadRecord]) -> list[ReadRecord]:
        found = [json.loads(each.value or b"")["scored"]["causes"] for each in said]
        place = next(place for place, causes in enumerate(found) if any(each["key_mean"] for each in causes))
        wrong = [cause | {name: "2h" if name == "key_window" else 17.5} for cause in found[place]]
        return [*said[:place], changed(said[place], causes=wrong), *said[place + 1 :]]

    assert faults(judged(change)) == (0, 0, 1)


def test_what_contradicts_an_earlier_copy_is_seen(judged: Callable[..., ScoredJudgement]) -> None:
    assert faults(judged(lambda said: [*said, changed(said[0], reasons=[])])) == (0, 0, 1)


def test_another_model_than_the_one_in_charge_is_seen(
    models: tuple[Pipeline, list[Model]], judged: Callable[..., ScoredJudgement]
) -> None:
    pipeline, (first, _) = models
    verdict = judged(lambda said: told(pipeline, [(first, payments(3_000, seed=3))]))
    assert verdict.conflicting + verdict.missing + verdict.invented > 5


def test_nothing_is_judged_of_a_partition_that_has_lost_its_beginning(
    models: tuple[Pipeline, list[Model]], tmp_path: Path
) -> None:
    pipeline, _ = models
    truth = ScoredTruth("payments", pipeline.definition, "id", pipeline.feature_names, {}, {}, {0: 5})
    truth.add(0, [record(5, payments(1)[0])])
    verdict = judge_scored(truth, "payments", [])
    assert (verdict.ok, verdict.unjudged, verdict.fates) == (True, [0], {})


def online(
    pipeline: Pipeline, values: Sequence[bytes], last: Model, kills: Sequence[int]
) -> list[ReadRecord]:
    """What a worker says that learns while it scores 3,000 records, and then scores by a trained model.

    Before each of these offsets it is killed, and behind each 200th record its state is durable.
    """
    found: list[ReadRecord] = []
    standing, features, begin = Standing(pipeline.definition_hash, lineup=LEARNING), Features(pipeline), 0
    judges = Judges(pipeline, 0)
    judges.serve(LEARNING, [], b"")
    for end in [*range(200, 3_000, 200), 3_000, 3_900]:
        trained = begin >= 3_000
        if trained:
            standing.planned = [Since(3_000, Lineup(last.manifest.version))]
            standing.adopt(begin)
            judges.serve(standing.lineup, [last], standing.learnt)
        cut = next((kill for kill in kills if begin < kill < end), None)
        if cut is not None:  # what is told of these is told again
            known = standings.dump(standing)
            _tell(pipeline, features, judges, standing, values, begin, cut, found)
            features, standing = _again(pipeline, values, begin), standings.load(known)
            judges = Judges(pipeline, 0)
            judges.serve(standing.lineup, [last] if trained else [], standing.learnt)
        _tell(pipeline, features, judges, standing, values, begin, end, found)
        standing.learnt = judges.learnt()
        begin = end
    assert not standing.learnt
    return found


def _again(pipeline: Pipeline, values: Sequence[bytes], end: int) -> Features:
    features = Features(pipeline)
    part = values[:end]
    features.of(Records.of_json(pipeline, part, [RECEIVED / 1000] * len(part)))
    return features


def _tell(
    pipeline: Pipeline,
    features: Features,
    judges: Judges,
    standing: Standing,
    values: Sequence[bytes],
    begin: int,
    end: int,
    found: list[ReadRecord],
) -> None:
    part = values[begin:end]
    records = Records.of_json(pipeline, part, [RECEIVED / 1000] * len(part))
    incidents = standing.incidents.setdefault("", {})
    (verdicts,) = judges.judge(features.of(records))
    for each in alarms(pipeline, verdicts, records, moments_of(records), range(begin, end), 0, incidents):
        found.append(record(len(found), msgspec.json.encode(each), each.alert_id.encode()))


LEARNING = learning(Lineup(), 2_000, 4)


@pytest.mark.parametrize("seed", range(3))
def test_killed_anywhere_one_that_learns_while_it_scores_says_what_it_should_until_a_trained_one_does(
    models: tuple[Pipeline, list[Model]], seed: int
) -> None:
    pipeline, (trained, _) = models
    values = payments(3_900, seed=30 + seed, step=20)
    since = {0: [Scoring(0, LEARNING.champion, ()), Scoring(3_000, trained.manifest.version, ())]}
    judges = {trained.manifest.version: Judge(trained)}
    about = pipeline.definition, "id", pipeline.feature_names, judges, since, {0: 0}
    truth = ScoredTruth("payments", *about)
    truth.add(0, [record(offset, value) for offset, value in enumerate(values)])
    kills = np.sort(np.random.default_rng(seed).integers(1, 3_900, 12)).tolist()
    said = online(pipeline, values, trained, kills)
    verdict = judge_scored(truth, "payments", said)
    assert faults(verdict) == (0, 0, 0), verdict.examples
    assert verdict.repeats > 0
    by = [json.loads(each.value or b"")["scored"] for each in said]
    assert {each["detector"] for each in by if each["offset"] < 3_000} == {"online"}
    assert {each["version"] for each in by} == {"online-500", trained.manifest.version}
    assert min(each["offset"] for each in by) >= 250
    for wrong in ({"threshold": 0.1}, {"p_value": 0.5}, {"score": 0.9}, {"detector": "iforest"}):
        assert faults(judge_scored(truth, "payments", [changed(said[0], **wrong), *said[1:]]))[2] > 0
    without = [each for each in said if json.loads(each.value or b"")["alert_id"] != by_id(said[0])]
    assert faults(judge_scored(truth, "payments", without)) == (1, 0, 0)


def by_id(said: ReadRecord) -> str:
    found: str = json.loads(said.value or b"")["alert_id"]
    return found


def test_a_challenger_beside_one_that_learns_is_judged_as_beside_any_other(
    models: tuple[Pipeline, list[Model]],
) -> None:
    pipeline, (beside, _) = models
    version, values = beside.manifest.version, payments(1_500, seed=40, step=20)
    lineup = Lineup(LEARNING.champion, (version,))
    since = {0: [Scoring(0, lineup.champion, lineup.challengers)]}
    judge = {version: Judge(beside)}
    truth = ScoredTruth("payments", pipeline.definition, "id", pipeline.feature_names, judge, since, {0: 0})
    truth.add(0, [record(offset, value) for offset, value in enumerate(values)])
    judges, features = Judges(pipeline, 0), Features(pipeline)
    said: list[ReadRecord] = []
    judges.serve(lineup, [beside], b"")
    incidents: dict[str, Incidents] = {"": {}, version: {}}
    for first in range(0, len(values), 130):
        records = Records.of_json(
            pipeline, values[first : first + 130], [RECEIVED / 1000] * len(values[first : first + 130])
        )
        for verdicts, name in zip(judges.judge(features.of(records)), incidents, strict=True):
            about = range(first, first + 130), 0, incidents[name]
            shadow = bool(name)
            for each in alarms(pipeline, verdicts, records, moments_of(records), *about, shadow=shadow):
                said.append(record(len(said), msgspec.json.encode(each), each.alert_id.encode()))
    verdict = judge_scored(truth, "payments", said)
    assert faults(verdict) == (0, 0, 0), verdict.examples
    by = [json.loads(each.value or b"") for each in said]
    assert {(each["shadow"], each["scored"]["version"]) for each in by} == {
        (False, "online-500"), (True, version),
    }  # fmt: skip
    unserved = Judges(pipeline, 0)
    unserved.serve(lineup, None, b"")
    assert unserved.waiting
    assert not judges.waiting
