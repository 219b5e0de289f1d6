"""What the labels of pipelines say of their alarms, kept up to date from Kafka while the page is served."""

from collections.abc import Mapping

from aiokafka import ConsumerRecord

from app.main import app
from clickwarden.detection.anomaly import Anomaly
from clickwarden.kafka.following import Followed
from clickwarden.models.labelled import KEEP, KnownLabels, Labelled, label_of

#: Of the pipelines that have such a topic, by name.
_known = {
    pipeline.name: KnownLabels()
    for pipeline in app.pipelines.values()
    if pipeline.labels in app.labels_topics and pipeline.id
}


def labelled() -> Mapping[str, Labelled]:
    """What they say now, by pipeline."""
    return {name: known.labelled for name, known in _known.items()}


def followed() -> list[Followed]:
    """The topics of labels."""
    return [Followed(topic, _label, newest=KEEP) for topic in app.labels_topics]


def hear(anomaly: Anomaly) -> None:
    """Learn of an anomaly, of whichever kind."""
    if anomaly.scored is not None and anomaly.scored.pipeline in _known:
        _known[anomaly.scored.pipeline].alarm(anomaly.scored, shadow=anomaly.shadow)


def _label(record: ConsumerRecord) -> None:
    for pipeline in app.pipelines.values():
        if pipeline.labels != record.topic or pipeline.name not in _known:
            continue
        if (said := label_of(pipeline, record.key, record.value)) is not None:
            _known[pipeline.name].label(said)
