"""Training: a detector learns from the first part of time, then is calibrated, and judged on the last."""

import hashlib
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clickwarden.errors import SettingsError
from clickwarden.models.calibration import (
    Calibration,
    Limit,
    best_threshold,
    limit_of,
    limits_of,
    own_thresholds,
)
from clickwarden.models.dataset import Dataset
from clickwarden.models.detectors.choice import SERIES, detector_of, learn
from clickwarden.models.drift import expected_of
from clickwarden.models.judgement import Alarms, Judgement, coin, judge
from clickwarden.models.manifest import LAYOUT, Data, Golden, Manifest, Usual
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.session import Session
from clickwarden.release import RELEASE
from clickwarden.times import isotime

#: What part of the rows a model learns from, and up to where it is calibrated.
LEARNT, CALIBRATED = 0.6, 0.8
#: Of fewer rows nothing can be learnt.
LEAST = 50
#: Rows whose scores are kept for whoever loads the model.
GOLDEN = 16
LIBRARIES = ("numpy", "onnx", "onnxruntime", "scikit-learn")
COIN = "coin"


class Split(NamedTuple):
    """A dataset in three parts of time: learnt from, calibrated on, judged on."""

    learnt: Dataset
    calibrated: Dataset
    judged: Dataset


class Trained(NamedTuple):
    """A detector that has learnt, and how it does on the last part.

    Attributes:
        detector: by name.
        model: ONNX; empty of the coin.
        calibration: for p-values.
        threshold: of an alarm.
        by: from where that is, "budget" or "labels".
        scores: float32[n], of the part that is judged.
        alarms: there.
        judgement: there; None without labels, or where all are of one kind.
        own: thresholds by key, of series that have one of their own.
    """

    detector: str
    model: bytes
    calibration: Calibration
    threshold: float
    by: str
    scores: NDArray[np.float32]
    alarms: Alarms
    judgement: Judgement | None
    own: dict[str, float]


def split(dataset: Dataset) -> Split:
    """Cut a dataset by the order of its rows.

    Raises:
        SettingsError: it is too small.
    """
    count = len(dataset.values)
    if count < LEAST:
        raise SettingsError(
            f"{count:,} records with features are too few to learn from; give {LEAST} or more"
        )
    first, second = int(count * LEARNT), int(count * CALIBRATED)
    learnt = dataset.part(0, first).learnable
    return Split(learnt, dataset.part(first, second), dataset.part(second, count))


def train(
    name: str, columns: Sequence[str], parts: Split, limit: Limit, *, budgeted: bool, seed: int
) -> Trained:
    """Train a detector.

    Args:
        name: of the detector, or COIN.
        columns: of the features.
        parts: of the dataset.
        limit: how many alarms there are to be.
        budgeted: whether somebody has said so; else labels decide, where there are any.
        seed: of all chance.

    Raises:
        SettingsError: there is no such detector, it needs labels, or a package is missing.
    """
    learnt, calibrated, judged = parts
    if name == COIN:
        model = b""
        scores = [coin(len(part.values), seed + place) for place, part in enumerate((calibrated, judged))]
    else:
        detector = detector_of(name, seed, columns)
        if detector.supervised and (learnt.abnormal is None or len(np.unique(learnt.abnormal)) < 2):
            raise SettingsError(
                f"detector {name!r} learns from labels of both kinds, and the first {LEARNT:.0%} of the "
                "records have none: name them in pipeline.toml (label), give --labels FILE, or choose another"
            )
        model = learn(detector, learnt.values, learnt.abnormal)
        session = Session(model)
        scores = [session.score(part.values) for part in (calibrated, judged)]
    calibration = Calibration.of(scores[0])
    threshold, by = calibration.threshold(limit.share), "budget"
    if model and not budgeted and learnt.abnormal is not None and calibrated.abnormal is not None:
        labels = np.append(calibrated.abnormal, learnt.abnormal)
        if labels.any():
            unseen = _halves(name, columns, learnt, seed)
            threshold, by = best_threshold(np.append(scores[0], unseen), labels), "labels"
    own: dict[str, float] = {}
    if name in SERIES and by == "budget" and learnt.series is not None and calibrated.series is not None:
        series = np.append(learnt.series, calibrated.series)
        if len(np.unique(series)) > 1:
            before = np.append(session.score(learnt.values), scores[0])
            own = own_thresholds(before, series, judged.names, limit.share)
    limits = limits_of(threshold, own, judged.keys)
    return Trained(
        name,
        model,
        calibration,
        threshold,
        by,
        scores[1],
        Alarms.of(scores[1], limits, judged.span, judged.share),
        None if judged.abnormal is None else judge(scores[1], judged.abnormal, limits, seed),
        own,
    )


def _halves(name: str, columns: Sequence[str], learnt: Dataset, seed: int) -> NDArray[np.float32]:
    """float32[n], scores of what is learnt from, each half by a detector that has learnt from the other.

    So a threshold has four times as many labels to go by, and none of them is of a record that was seen.
    """
    scores = np.zeros(len(learnt.values), np.float32)
    half = np.arange(len(scores)) % 2 == 0
    for seen in (half, ~half):
        labels = None if learnt.abnormal is None else learnt.abnormal[seen]
        model = learn(detector_of(name, seed, columns), learnt.values[seen], labels)
        scores[~seen] = Session(model).score(learnt.values[~seen])
    return scores


def tested(parts: Split, columns: Sequence[str], seed: int) -> Trained:
    """Grubbs' test of the last part, to hold detectors against; it looks at all of that at once."""
    from clickwarden.models import grubbs

    judged = parts.judged
    scores = grubbs.check(judged, parts.learnt, columns).distance.astype(np.float32)
    threshold = float(np.nextafter(np.float32(1), np.float32(2)))
    return Trained(
        grubbs.NAME,
        b"",
        Calibration.of(scores),
        threshold,
        "budget",
        scores,
        Alarms.of(scores, threshold, judged.span, judged.share),
        None if judged.abnormal is None else judge(scores, judged.abnormal, threshold, seed),
        {},
    )


def limit(pipeline: Pipeline, dataset: Dataset) -> Limit:
    """The alarm budget of a pipeline as a share of these records."""
    return limit_of(pipeline.budget, round(len(dataset.values) / dataset.share), dataset.span)


def compared(
    names: Sequence[str],
    columns: Sequence[str],
    parts: Split,
    limit: Limit,
    *,
    budgeted: bool,
    seed: int,
    told: Callable[[str], None],
) -> list[Trained]:
    """Train several, and a coin; ``told`` is called with the name of each before."""
    found = []
    for name in (*names, COIN):
        told(name)
        found.append(train(name, columns, parts, limit, budgeted=budgeted, seed=seed))
    return found


def manifest_of(
    trained: Trained, pipeline: Pipeline, dataset: Dataset, limit: Limit, seed: int, now: float
) -> Manifest:
    """What is known of a model; ``now`` is in epoch seconds."""
    learnt = split(dataset).learnt.values
    chosen = learnt[np.linspace(0, len(learnt) - 1, min(GOLDEN, len(learnt))).round().astype(int)]
    scores = Session(trained.model).score(chosen)
    times = dataset.times
    return Manifest(
        layout=LAYOUT,
        release=RELEASE,
        pipeline=pipeline.name,
        pipeline_version=pipeline.version,
        detector=trained.detector,
        seed=seed,
        trained=isotime(now),
        definition=pipeline.definition,
        definition_hash=pipeline.definition_hash,
        features=pipeline.feature_names,
        model_sha256=hashlib.sha256(trained.model).hexdigest(),
        threshold=trained.threshold,
        threshold_by="labels" if trained.by == "labels" else "budget",
        share=limit.share if trained.by == "budget" else None,
        calibration=trained.calibration,
        usual=usual_of(learnt),
        expected=expected_of(full(split(dataset).learnt, pipeline).values),
        golden=tuple(
            Golden(tuple(float(each) if np.isfinite(each) else None for each in row), float(score))
            for row, score in zip(chosen, scores, strict=True)
        ),
        data=Data(
            dataset.sha256,
            dataset.records,
            dataset.aside,
            len(learnt),
            "" if times is None else isotime(times[0] / 1000),
            "" if times is None else isotime(times[-1] / 1000),
        ),
        libraries={name: version(name) for name in LIBRARIES},
        metrics=metrics_of(trained) | ({"sampled": dataset.share} if dataset.share < 1 else {}),
        thresholds=trained.own,
    )


def full(learnt: Dataset, pipeline: Pipeline) -> Dataset:
    """What is learnt from, without the time in which windows fill, if more is left."""
    if learnt.times is None:
        return learnt
    rows = learnt.times >= learnt.times[0] + pipeline.longest
    return learnt.those(rows) if rows.sum() >= LEAST else learnt


def usual_of(values: NDArray[np.float32]) -> tuple[Usual, ...]:
    """What each column of float32[n, d] usually is."""
    from clickwarden.models.detectors.cleaning import Cleaning
    from clickwarden.models.detectors.scaling import Scaling

    clean = Cleaning.of(values)(values)
    low, median, high = np.percentile(clean.astype(np.float64), [5, 50, 95], axis=0)
    missing = np.isnan(values).mean(0)
    columns = np.stack([low, median, high, Scaling.of(clean).width, missing], 1)
    return tuple(Usual(*column) for column in columns.tolist())


def metrics_of(trained: Trained) -> dict[str, float | None]:
    """The figures of the last part, by name."""
    alarms, judgement = trained.alarms, trained.judgement
    found: dict[str, float | None] = {
        "records": alarms.records,
        "alarmed": alarms.alarmed,
        "alarms_a_day": alarms.a_day,
    }
    if judgement is None:
        return found
    for name, interval in (("roc_auc", judgement.roc), ("pr_auc", judgement.pr)):
        found |= {name: interval.figure, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return found | {
        "precision": judgement.precision,
        "recall": judgement.recall,
        "f1": judgement.f1,
        "hits": judgement.hits,
        "false": judgement.false,
        "missed": judgement.missed,
        "quiet": judgement.quiet,
    }
