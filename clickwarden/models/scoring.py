"""A file's records with their scores, and nothing running."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from clickwarden.detection.anomaly import Cause
from clickwarden.models import datafile
from clickwarden.models.artefact import Model
from clickwarden.models.dataset import FATES
from clickwarden.models.drift import Drift
from clickwarden.models.features import Features
from clickwarden.models.fields import NO_TIME
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.verdicts import Verdicts
from clickwarden.times import isotime


class Scored(msgspec.Struct, frozen=True):
    """A record's score.

    Attributes:
        record: its number in the file, from 1.
        id: its own; None where it has none.
        key: its key; None where it has none.
        time: when it happened, ISO-8601; None where it does not say.
        score: higher is more abnormal; None where it has no features.
        anomaly: whether that is at or over the threshold.
        p_value: the share of usual records that score as high; None without a score.
        threshold: of the model, or of its series.
        reasons: of an anomaly, the features that did it, the strongest first.
        model: the pipeline and its detector.
        version: of the model.
        aside: why it has no features; empty where it has.
    """

    record: int
    id: str | None
    key: str | None
    time: str | None
    score: float | None
    anomaly: bool
    p_value: float | None
    threshold: float
    reasons: tuple[Cause, ...]
    model: str
    version: str
    aside: str


def score(path: Path, pipeline: Pipeline, model: Model, drift: Drift | None = None) -> Iterator[list[Scored]]:
    """Score the records of a file in its order, some thousand at a time.

    Args:
        path: of the file.
        pipeline: that says what is read.
        model: which scores.
        drift: that what was scored is added to.

    Raises:
        SettingsError: it cannot be read.
    """
    manifest = model.manifest
    name, version = f"{pipeline.name}/{manifest.detector}", manifest.version
    features = Features(pipeline)
    count = 0
    for records in datafile.read(path, pipeline):
        rows = features.of(records)
        verdicts = Verdicts.of(model, rows)
        scores, found, p_values = verdicts.scores, verdicts.alarmed, verdicts.p_values
        if drift:
            drift.add(rows.values[rows.taken], records.times[rows.taken], found[rows.taken])
        causes = iter(verdicts.causes)
        yield [
            Scored(
                count + place + 1,
                id,
                records.keys[place],
                None if moment == NO_TIME else isotime(moment / 1000),
                float(scores[place]) if taken else None,
                bool(found[place]),
                float(p_values[place]) if taken else None,
                float(verdicts.thresholds[place]),
                next(causes) if found[place] else (),
                name,
                version,
                "" if taken else FATES[int(rows.fates[place])],
            )
            for place, (id, taken, moment) in enumerate(
                zip(records.ids, rows.taken.tolist(), records.times.tolist(), strict=True)
            )
        ]
        count += records.size
