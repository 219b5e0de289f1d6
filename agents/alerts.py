"""Alerts: anomalies become records of the anomalies topic.

Called by the clicks agent, not fed through a Faust channel: Faust empties its
channels at every rebalance, and an alert in one would be lost.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from app.application import settings
from app.delivery import Deliveries, Outgoing
from app.records import Anomaly

_encode = msgspec.json.Encoder().encode


async def emit(anomalies: Iterable[Anomaly], deliveries: Deliveries) -> None:
    """Send anomalies, keyed by ``alert_id``; ``deliveries`` knows when Kafka has them."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for anomaly in anomalies:
        anomaly.emitted_at = now
        anomaly.worker = settings.member
        key = anomaly.alert_id.encode()
        await deliveries.send(Outgoing(settings.anomalies_topic, key, _encode(anomaly)))
