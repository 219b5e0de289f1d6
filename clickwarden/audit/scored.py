"""What a pipeline's models must have found in its topic, record by record, and what was told of it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

from clickwarden.audit import drifted, habits
from clickwarden.audit.changes import new_row
from clickwarden.audit.drifted import Days, DriftExpected, Learnt
from clickwarden.audit.features import TAKEN, FeatureReference, longest, text_of
from clickwarden.audit.halfspace import HalfSpaceReference
from clickwarden.audit.reading import AuditRecord
from clickwarden.audit.statement import CIRCUMSTANCES

#: Examples kept of each fault.
EXAMPLES = 5
#: Alarms of a key that are no further apart are one incident, milliseconds; and keys that are remembered.
APART, KEYS = 120_000, 500
#: The version of a champion that learns while it scores: with its alarms a day in each partition.
LEARNING = re.compile(r"online(?:-([0-9.e+-]+))?")
#: Records that are scored at once.
BATCH = 1000


class Judging(Learnt, Protocol):
    """A model, as far as it is asked here."""

    def threshold(self, key: str) -> float:
        """An alarmed record of this key has at least this score."""

    def score(self, rows: Sequence[Sequence[float]]) -> Sequence[float]:
        """The score of each row of features, float32."""

    def p_value(self, score: float) -> float:
        """The share of usual records that score as high."""


class Place(NamedTuple):
    """Where a record is, and by which model it is scored."""

    partition: int
    offset: int
    version: str


class Scoring(NamedTuple):
    """Versions that score from an offset on; the champion is empty where there is none."""

    offset: int
    champion: str
    challengers: Sequence[str]


class Expected(NamedTuple):
    """An anomaly that must be told."""

    name: str
    key: str
    incident: str
    shadow: str
    content: Mapping[str, Any]
    values: Mapping[str, float]
    own: Mapping[str, Sequence[str]]


class _Seen(NamedTuple):
    partition: int
    offset: int
    key: str
    moment: int
    identity: str | None
    event: int | None
    values: list[float]


class ScoredTruth:
    """What must have been found in a topic.

    Args:
        pipeline: its name.
        definition: of its features, as plain data, with the names of fields for key, time and id.
        identity: the field that names a record; empty where none does.
        columns: names of the features.
        models: those that were trained, by version.
        since: of each partition, by which versions it is scored, from which offset on.
        begins: first offset of each partition.

    Attributes:
        expected: what must be told, by place.
        drifted: days that must be told, by partition and date.
        fates: what became of the records.
        unjudged: partitions that have lost their beginning, and so what the features of the next depend on.
    """

    def __init__(
        self,
        pipeline: str,
        definition: Mapping[str, Any],
        identity: str,
        columns: Sequence[str],
        models: Mapping[str, Judging],
        since: Mapping[int, Sequence[Scoring]],
        begins: Mapping[int, int],
    ) -> None:
        self.expected: dict[Place, Expected] = {}
        self.drifted: dict[tuple[int, str], DriftExpected] = {}
        self.fates: Counter[str] = Counter()
        self.unjudged = sorted(partition for partition, offset in begins.items() if offset)
        self._pipeline = pipeline
        self._definition = definition
        self._changes = definition.get("format") == "debezium"
        self._identity = identity
        self._columns = columns
        self._own = habits.own_of(definition, columns)
        self._models = models
        self._since = since
        self._learning: dict[int, tuple[str, HalfSpaceReference]] = {}
        self._references: dict[int, FeatureReference] = {}
        self._days: dict[int, Days] = {}
        self._changed: Counter[int] = Counter()
        self._incidents: dict[int, dict[str, dict[str, tuple[str, int]]]] = {}

    def add(self, partition: int, records: Iterable[AuditRecord]) -> None:
        """Read on in a partition."""
        if partition in self.unjudged:
            return
        reference = self._references.setdefault(partition, FeatureReference(self._definition))
        waiting: list[_Seen] = []
        scoring = -1
        for record in records:
            received = record.timestamp / 1000 if record.timestamp_type == 1 else None
            value: Mapping[str, Any] | bytes | None = record.value
            if self._changes:
                try:
                    value = new_row(record, self._definition)
                except ValueError:
                    value = b""
                if value is None:
                    continue
            judged = reference.judge(value, received)
            self.fates[judged.fate] += 1
            if judged.fate != TAKEN:
                continue
            identity = text_of(reference.held.get(self._identity))
            now = self._scoring(partition, record.offset)
            if now != scoring or len(waiting) >= BATCH:
                self._score(scoring, waiting)
                scoring, waiting = now, []
            key, moment = reference.key, reference.moment
            seen = _Seen(partition, record.offset, key, moment, identity, reference.event, judged.values)
            waiting.append(seen)
        self._score(scoring, waiting)

    def _scoring(self, partition: int, offset: int) -> int:
        """Which of the changes of its models is in force; -1 before the first."""
        return sum(each.offset <= offset for each in self._since.get(partition, ())) - 1

    def _score(self, number: int, batch: Sequence[_Seen]) -> None:
        if number < 0 or not batch:
            return  # nobody is in charge there: what is told of it is invented
        partition = batch[0].partition
        known, changes = self._incidents.setdefault(partition, {}), self._since[partition]
        for change in changes[self._changed[partition] : number + 1]:
            for name in known.keys() - {"", *change.challengers}:
                del known[name]
        self._changed[partition] = number + 1
        scoring = changes[number]
        if not scoring.champion:
            return
        learns = LEARNING.fullmatch(scoring.champion)
        if learns:
            budget = float(learns[1]) if learns[1] else None
            self._learn(batch, scoring.champion, budget, known.setdefault("", {}))
        for version in scoring.challengers if learns else (scoring.champion, *scoring.challengers):
            model = self._models[version]
            shadow = "" if version == scoring.champion else f"/{version}"
            incidents = known.setdefault(version if shadow else "", {})
            for seen, score in zip(batch, model.score([each.values for each in batch]), strict=True):
                alarmed = score >= model.threshold(seen.key)
                if not shadow:
                    self._watch(seen, version, model, alarmed=alarmed)
                if alarmed:
                    content = {
                        "score": score,
                        "p_value": model.p_value(score),
                        "threshold": model.threshold(seen.key),
                    }
                    self._expect(seen, content, version, shadow, incidents)

    def _learn(
        self,
        batch: Sequence[_Seen],
        version: str,
        budget: float | None,
        incidents: dict[str, tuple[str, int]],
    ) -> None:
        """Have records scored by a champion that learns from them."""
        partition = batch[0].partition
        began, trees = self._learning.get(partition, ("", None))
        if trees is None or began != version:
            trees = HalfSpaceReference(self._pipeline, partition, len(self._columns), budget)
            self._learning[partition] = version, trees
        for seen in batch:
            said = trees.judge(seen.values, seen.event)
            if said is not None and said.score >= said.threshold:
                content = said._asdict() | {"detector": "online"}
                self._expect(seen, content, version, "", incidents)

    def _watch(self, seen: _Seen, version: str, model: Judging, *, alarmed: bool) -> None:
        if seen.partition not in self._days:
            window = longest(self._definition)
            self._days[seen.partition] = Days(self._pipeline, seen.partition, self._columns, window)
        days = self._days[seen.partition]
        if told := days.add(version, model, seen.event, seen.key, seen.values, alarmed):
            self.drifted[seen.partition, told.content["day"]] = told

    def _expect(
        self,
        seen: _Seen,
        said: Mapping[str, Any],
        version: str,
        shadow: str,
        incidents: dict[str, tuple[str, int]],
    ) -> None:
        text = f"{self._pipeline}{shadow}\0{seen.partition}\0{seen.offset}\0{seen.moment}\0{seen.key}"
        name = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        incident, last = incidents.pop(seen.key, (name, seen.moment))
        if not last - APART <= seen.moment <= last + APART:
            incident, last = name, seen.moment
        incidents[seen.key] = incident, max(last, seen.moment)
        if len(incidents) > KEYS:
            incidents.pop(next(iter(incidents)))
        content = {**said, "record_id": seen.identity}
        values = dict(zip(self._columns, seen.values, strict=True))
        place = Place(seen.partition, seen.offset, version)
        self.expected[place] = Expected(name, seen.key, incident, shadow, content, values, self._own)


@dataclass(frozen=True, slots=True)
class ScoredJudgement:
    """What was told, held against what must be.

    Attributes:
        missing: records over the threshold that were not told, and days of drift.
        invented: records told that are not over it, days without drift, and what is no anomaly.
        conflicting: anomalies that contradict themselves, an earlier copy or the reference.
        expected: records over the threshold.
        reported: records told.
        drift: days of a partition on which it has drifted.
        repeats: records that say again what an earlier one said.
        fates: what became of the records of the topic.
        unjudged: partitions that have lost their beginning.
        examples: in words, the first few of each fault.
    """

    missing: int
    invented: int
    conflicting: int
    expected: int
    reported: int
    drift: int
    repeats: int
    fates: dict[str, int]
    unjudged: list[int]
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether no fault was found."""
        return not (self.missing or self.invented or self.conflicting)


def judge_scored(truth: ScoredTruth, pipeline: str, records: Iterable[AuditRecord]) -> ScoredJudgement:
    """Hold the anomalies of a pipeline, repeats included, against what must be; others are passed over."""
    hearing = _Hearing(truth)
    for record in records:
        anomaly = _anomaly(record.value)
        scored, drift = anomaly.get("scored"), anomaly.get("drift")
        if isinstance(scored, dict) and scored.get("pipeline") == pipeline:
            place = Place(int(anomaly["partition"]), int(scored["offset"]), str(scored["version"]))
            expected = truth.expected.get(place)
            hearing.hear(place, anomaly, expected and _wrong(anomaly, scored, expected, record.key))
        elif isinstance(drift, dict) and drift.get("pipeline") == pipeline:
            day = int(anomaly["partition"]), str(drift["day"])
            known = truth.drifted.get(day)
            hearing.hear(day, anomaly, known and drifted.wrong(anomaly, drift, known, record.key))
    return hearing.judgement()


class _Hearing:
    """Anomalies, as they are heard one by one."""

    def __init__(self, truth: ScoredTruth) -> None:
        self._truth = truth
        self._faults: dict[str, dict[object, str]] = {"missing": {}, "invented": {}, "conflicting": {}}
        self._told: dict[Place | tuple[int, str], dict[str, Any]] = {}
        self._repeats = 0

    def hear(self, place: Place | tuple[int, str], anomaly: Mapping[str, Any], wrong: str | None) -> None:
        """What is told of a record, or of a day; ``wrong`` is None where there is nothing to be told."""
        if place[0] in self._truth.unjudged:
            return
        content = {name: value for name, value in anomaly.items() if name not in CIRCUMSTANCES}
        first = self._told.setdefault(place, content)
        if first is not content:
            if first == content:
                self._repeats += 1
            else:
                changed = sorted(name for name in content if content[name] != first.get(name))
                self._find("conflicting", place, f"told again with another {changed}")
        if wrong is None:
            self._find("invented", place, "told, and there is no such anomaly")
        elif wrong:
            self._find("conflicting", place, wrong)

    def judgement(self) -> ScoredJudgement:
        """What was told, when all of it was."""
        truth = self._truth
        for place, expected in truth.expected.items():
            if place not in self._told:
                self._find("missing", place, f"score {expected.content['score']}, not told")
        for day, known in truth.drifted.items():
            if day not in self._told:
                self._find("missing", day, f"drift of up to {known.farthest}, not told")
        return ScoredJudgement(
            **{fault: len(found) for fault, found in self._faults.items()},
            expected=len(truth.expected),
            reported=sum(isinstance(place, Place) for place in self._told),
            drift=len(truth.drifted),
            repeats=self._repeats,
            fates=dict(truth.fates),
            unjudged=truth.unjudged,
            examples={
                fault: list(found.values())[:EXAMPLES] for fault, found in self._faults.items() if found
            },
        )

    def _find(self, fault: str, place: object, words: str) -> None:
        self._faults[fault].setdefault(place, f"{place}: {words}")


def _anomaly(value: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _wrong(
    anomaly: Mapping[str, Any], scored: Mapping[str, Any], expected: Expected, key: bytes | None
) -> str:
    """What of an anomaly is not as it must be; empty where all is."""
    for name, value in expected.content.items():
        if scored.get(name) != value:
            return f"expected {name} {value!r}, found {scored.get(name)!r}"
    for name, value in (
        ("alert_id", expected.name),
        ("user_id", expected.key),
        ("incident_id", expected.incident),
        ("rule", f"pipeline/{scored['pipeline']}{expected.shadow}"),
        ("shadow", bool(expected.shadow)),
        ("status", "closed"),
    ):
        if anomaly.get(name) != value:
            return f"expected {name} {value!r}, found {anomaly.get(name)!r}"
    if key != expected.name.encode():
        return f"expected key {expected.name!r}, found {key!r}"
    for cause in scored["causes"]:
        value = expected.values.get(cause["feature"])
        if value is None or (cause["value"] != value and (cause["value"], value == value) != (None, False)):
            return f"expected {cause['feature']} {value!r}, found {cause['value']!r}"
        if "key_mean" in cause and (why := habits.wrong(cause, expected.own, expected.values)):
            return why
    return ""
