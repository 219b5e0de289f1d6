"""What ``train`` learns from: files, and topics with what is known of their records by now."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiokafka import ConsumerRecord
from rich.progress import Progress

from app.main import settings
from clickwarden.alerts.feedback import KnownFeedback
from clickwarden.detection.anomaly import Anomaly
from clickwarden.errors import BrokerError, SettingsError, TopicMissing
from clickwarden.formats.json import UNREADABLE
from clickwarden.kafka.reader import reader
from clickwarden.models.dataset import Dataset, Reading, check_label, dataset
from clickwarden.models.happened import happened
from clickwarden.models.hindsight import Hindsight
from clickwarden.models.kinds import span
from clickwarden.models.labelled import Label, label_of
from clickwarden.models.labels import Labels, abnormal
from clickwarden.models.pipeline import Pipeline
from commands.progress import read

_anomaly = msgspec.json.Decoder(Anomaly).decode


class Source(NamedTuple):
    """What is to be learnt from.

    Attributes:
        file: of the records; None: they are in a topic.
        topic: of the records, where they are in one.
        labels: a file, or a topic, of labels; None: where the pipeline says.
        span: of the records of a topic, the newest so many milliseconds; None: all.
    """

    file: Path | None
    topic: str
    labels: Path | str | None
    span: int | None


def source_of(
    pipeline: Pipeline,
    data: str | None,
    since: str | None,
    labels: str | None,
    *,
    feedback: bool,
    spark: bool,
) -> Source:
    """What is to be learnt from.

    Raises:
        SettingsError: that is not to be known.
    """
    said = None if labels is None else _file_or_topic("--labels", labels)
    if data is not None:
        if since is not None or feedback:
            raise SettingsError("--data is read whole; leave out --since and --with-feedback, or it")
        found = _file_or_topic("--data", data)
        if isinstance(found, Path):
            return Source(found, "", said, None)
        if spark:
            raise SettingsError(f"--spark reads a file, and there is none called {data}; leave it out")
        _check_keyed(pipeline)
        return Source(None, found, said, None)
    if spark:
        raise SettingsError("--spark reads a file; give --data FILE, or leave it out")
    if since is None:
        raise SettingsError("say what is to be learnt from: --data FILE or TOPIC, or --since 30d")
    if not pipeline.topic:
        raise SettingsError(f"{pipeline.folder}: has no topic to learn from; give --data FILE")
    try:
        return Source(None, pipeline.topic, said, span(since))
    except ValueError as error:
        raise SettingsError(f"--since: {error}") from None


def _file_or_topic(option: str, given: str) -> Path | str:
    """A file where there is one, else the name of a topic."""
    path = Path(given)
    if path.is_file():
        return path
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", given):
        raise SettingsError(f"{option}: there is no file {given}, and no topic can be called so")
    return given


def _check_keyed(pipeline: Pipeline) -> None:
    if not (pipeline.key and pipeline.time):
        raise SettingsError(
            f"{pipeline.folder}: records of a topic have no order but by time; add key and time to "
            "pipeline.toml"
        )


async def beside(pipeline: Pipeline, source: Source, progress: Progress) -> Labels | None:
    """The labels that do not stand in the records; None where there are none."""
    if isinstance(source.labels, Path):
        return Labels.read(source.labels, pipeline)
    if source.labels is not None:
        with _named("--labels", source.labels):
            return await labels_of(pipeline, source.labels, progress)
    if source.file is None and pipeline.labels and pipeline.id:
        with suppress(TopicMissing):  # nobody has said anything yet
            return await labels_of(pipeline, pipeline.labels, progress)
    return None


@contextmanager
def _named(option: str, topic: str) -> Iterator[None]:
    """Say that a topic which cannot be read may have been meant to be a file."""
    try:
        yield
    except BrokerError as error:
        raise BrokerError(f"{option}: there is no file {topic}; and as a topic: {error}") from error


async def relearnt(
    pipeline: Pipeline, source: Source, labels: Labels | None, feedback: bool, progress: Progress
) -> tuple[Dataset, Hindsight]:
    """The rows of a topic, each partition's made in its order; and what is known of them.

    Args:
        pipeline: of the records.
        source: the topic. Rows that are further behind the newest than its span are left out; they are
            looked at all the same, since later ones depend on them.
        labels: of them, by id; None: they are in the records, or nowhere.
        feedback: whether what people said of incidents counts.
        progress: to be shown.

    Raises:
        BrokerError, AccessError: a topic cannot be read.
        SettingsError: nothing has features, a model would be shown its label, or labels have no ids.
    """
    check_label(pipeline)
    known = Hindsight()
    if labels is not None:
        if labels.by_id is None:
            raise SettingsError(
                f"{labels.what}: labels of a topic's records are by id; name the field of it in id of "
                f"{pipeline.folder}/pipeline.toml"
            )
        for id, said in labels.by_id.items():
            if id is not None:
                known.label(Label(id, bool(abnormal([said])[0])))
    if feedback:
        await _feedback(pipeline, known, progress)
    readings: dict[int, Reading] = {}
    hashes: dict[int, Any] = {}
    with nullcontext() if source.span else _named("--data", source.topic):
        async with reader(settings, source.topic) as consumer:
            async for partition, run in read(consumer, "Records", progress):
                reading = readings.setdefault(partition, Reading(pipeline))
                digest = hashes.setdefault(partition, hashlib.sha256())
                for record in run:
                    digest.update((record.value or b"") + b"\n")
                _, records = happened(pipeline, run)
                found = known.of(records.ids, records.keys, records.times)
                reading.add(records, found | abnormal(records.labels) if labels is None else found)
    digests = b"".join(hashes[partition].digest() for partition in sorted(hashes))
    rows = dataset(
        pipeline,
        [readings[partition] for partition in sorted(readings)],
        f"topic {source.topic}",
        hashlib.sha256(digests).hexdigest(),
        labelled=bool(known.labels or known.incidents or (labels is None and pipeline.label)),
        span=source.span,
    )
    return rows, known


async def labels_of(pipeline: Pipeline, topic: str, progress: Progress) -> Labels:
    """The labels of a topic, of each record the last.

    Raises:
        BrokerError, AccessError: it cannot be read.
        SettingsError: records have no ids.
    """
    if not pipeline.id:
        raise SettingsError(
            f"topic {topic}: labels of a topic are by id; name the field of it in id of "
            f"{pipeline.folder}/pipeline.toml"
        )
    found: dict[str | None, str | None] = {}
    async with reader(settings, topic) as consumer:
        async for _, run in read(consumer, "Labels", progress):
            for record in run:
                if (label := label_of(pipeline, record.key, record.value)) is not None:
                    found.pop(label.id, None)
                    if label.abnormal is not None:
                        found[label.id] = "abnormal" if label.abnormal else None
    return Labels(f"topic {topic}", [], found)


async def _feedback(pipeline: Pipeline, known: Hindsight, progress: Progress) -> None:
    said = KnownFeedback()
    async with reader(settings, settings.feedback_topic) as consumer:
        async for _, run in read(consumer, "Feedback", progress):
            for record in run:
                said.take(record.value)
    for each in said.all():
        known.say(each.incident_id, each.verdict)
    async with reader(settings, settings.anomalies_topic) as consumer:
        async for _, run in read(consumer, "Anomalies", progress):
            for record in run:
                if (anomaly := _told(pipeline, record)) is not None:
                    known.alarm(anomaly)


def _told(pipeline: Pipeline, record: ConsumerRecord) -> Anomaly | None:
    """The anomaly of a champion of the pipeline that a record is."""
    try:
        anomaly = _anomaly(record.value or b"")
    except UNREADABLE:
        return None
    ours = anomaly.scored is not None and anomaly.scored.pipeline == pipeline.name
    return anomaly if ours and not anomaly.shadow else None
