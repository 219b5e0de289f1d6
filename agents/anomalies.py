"""Anomalies become records of the anomalies topic.

Called by the clicks agent, not fed through a Faust channel: Faust empties its
channels at every rebalance, and an anomaly in one would be lost.
"""

import asyncio
from collections.abc import Iterable

import msgspec

from app.delivery import Deliveries, Outgoing
from clickwarden.detection.anomaly import Anomaly
from clickwarden.settings import Settings
from clickwarden.times import epoch, isotime

#: What happened so long ago is told for the record; and a day that was over then.
CAUGHT_UP_SECONDS, CAUGHT_UP_DAY = 60, 86_400
#: Sent before others have their turn: a model may alarm all records of a run, which are thousands.
TOGETHER = 100

_encode = msgspec.json.Encoder().encode


async def emit(anomalies: Iterable[Anomaly], settings: Settings, deliveries: Deliveries, now: float) -> None:
    """Send anomalies, keyed by ``alert_id``; ``deliveries`` knows when Kafka has them.

    Args:
        anomalies: in their order.
        settings: name this worker and the topic.
        deliveries: to send with.
        now: by Kafka's clock, epoch seconds.
    """
    worker = settings.member
    for number, anomaly in enumerate(anomalies, 1):
        known_since = anomaly.last_seen if anomaly.status == "ongoing" else anomaly.window_end
        since = CAUGHT_UP_SECONDS if anomaly.drift is None else CAUGHT_UP_DAY
        anomaly.caught_up = epoch(known_since) < now - since
        anomaly.emitted_at = isotime(now)
        anomaly.worker = worker
        key = anomaly.alert_id.encode()
        await deliveries.send(Outgoing(settings.anomalies_topic, key, _encode(anomaly)))
        if number % TOGETHER == 0:
            await asyncio.sleep(0)  # for the pulse: handing over waits for nobody
