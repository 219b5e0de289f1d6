"""What ``train --since`` learns from: a pipeline's topic, and what is known of its records by now."""

import hashlib
from typing import Any

import msgspec
from aiokafka import ConsumerRecord
from rich.progress import Progress

from app.main import settings
from clickwarden.alerts.feedback import KnownFeedback
from clickwarden.detection.anomaly import Anomaly
from clickwarden.errors import TopicMissing
from clickwarden.formats.json import UNREADABLE
from clickwarden.kafka.reader import reader
from clickwarden.models.dataset import Dataset, Reading, check_label, dataset
from clickwarden.models.happened import happened
from clickwarden.models.hindsight import Hindsight
from clickwarden.models.labelled import label_of
from clickwarden.models.pipeline import Pipeline
from commands.progress import read

_anomaly = msgspec.json.Decoder(Anomaly).decode


async def relearnt(
    pipeline: Pipeline, span: int, feedback: bool, progress: Progress
) -> tuple[Dataset, Hindsight]:
    """The rows of a pipeline's topic, each partition's made in its order; and what is known of them.

    Args:
        pipeline: of the topic.
        span: rows so far behind the newest are left out, milliseconds; they are looked at all the same, since
            later ones depend on them.
        feedback: whether what people said of incidents counts.
        progress: to be shown.

    Raises:
        BrokerError, AccessError: a topic cannot be read.
        SettingsError: nothing has features, or a model would be shown its label.
    """
    check_label(pipeline)
    known = Hindsight()
    if pipeline.labels and pipeline.id:
        await _labels(pipeline, known, progress)
    if feedback:
        await _feedback(pipeline, known, progress)
    readings: dict[int, Reading] = {}
    hashes: dict[int, Any] = {}
    async with reader(settings, pipeline.topic) as consumer:
        async for partition, run in read(consumer, "Records", progress):
            reading = readings.setdefault(partition, Reading(pipeline))
            digest = hashes.setdefault(partition, hashlib.sha256())
            for record in run:
                digest.update((record.value or b"") + b"\n")
            _, records = happened(pipeline, run)
            reading.add(records, known.of(records.ids, records.keys, records.times))
    digests = b"".join(hashes[partition].digest() for partition in sorted(hashes))
    found = dataset(
        pipeline,
        [readings[partition] for partition in sorted(readings)],
        f"topic {pipeline.topic}",
        hashlib.sha256(digests).hexdigest(),
        labelled=bool(known.labels or known.incidents),
        span=span,
    )
    return found, known


async def _labels(pipeline: Pipeline, known: Hindsight, progress: Progress) -> None:
    try:
        async with reader(settings, pipeline.labels) as consumer:
            async for _, run in read(consumer, "Labels", progress):
                for record in run:
                    if (label := label_of(pipeline, record.key, record.value)) is not None:
                        known.label(label)
    except TopicMissing:  # nobody has said anything yet
        return


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
