"""What rules in shadow would have told of, by the anomalies topic."""

from collections.abc import Iterable
from time import time

import msgspec

from clickwarden.detection.anomaly import Anomaly
from clickwarden.errors import TopicMissing
from clickwarden.formats.json import UNREADABLE
from clickwarden.kafka.reader import reader, to_end
from clickwarden.settings import Settings

#: So far back it looks, seconds.
DAY = 86_400


async def would_have_told(settings: Settings, names: Iterable[str]) -> dict[str, int]:
    """Incidents told of in the last 24 h of rules that were in shadow then, by these names.

    Raises:
        BrokerError: Kafka does not answer.
        AccessError: it refuses us, or denies the right to read the anomalies.
    """
    found: dict[str, set[str]] = {name: set() for name in names}
    try:
        async with reader(settings, settings.anomalies_topic) as consumer:
            since = 1000 * int(time() - DAY)
            starts = await consumer.offsets_for_times(dict.fromkeys(consumer.assignment(), since))
            ends = await consumer.end_offsets(consumer.assignment())
            for partition, start in starts.items():
                consumer.seek(partition, ends[partition] if start is None else start.offset)
            async for _, records in to_end(consumer):
                for record in records:
                    _take(record.value, found)
    except TopicMissing:
        pass  # no worker has run yet
    return {name: len(incidents) for name, incidents in found.items()}


def _take(value: bytes | None, found: dict[str, set[str]]) -> None:
    try:
        anomaly = msgspec.json.decode(value or b"", type=Anomaly)
    except UNREADABLE:
        return  # no record of ours; verify reports it
    if anomaly.shadow and anomaly.rule in found:
        found[anomaly.rule].add(anomaly.incident_id)
