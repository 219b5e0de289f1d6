"""What the anomalies and the incidents topic say: read once in a worker, for all there that want to know."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from aiokafka import ConsumerRecord

from app.main import app, settings
from clickwarden.alerts import feed, known
from clickwarden.alerts.stories import Stories
from clickwarden.detection.anomaly import Anomaly
from clickwarden.kafka.following import Followed, Following, end

#: Called with a record of the anomalies topic, what it says, and the incidents that it may have changed.
Hear = Callable[[ConsumerRecord, Anomaly | None, Sequence[str]], None]


class Heard:
    """The newest of both topics, while somebody wants to know of it.

    Attributes:
        stories: what the anomalies make.
        anomaly: who is told of each of their records.
        incident: who is told of each record of the incidents topic.
        begun: who is told where a partition of the anomalies topic is read from.
        following: reads both.
    """

    def __init__(self) -> None:
        self.stories = Stories()
        self.anomaly: list[Hear] = []
        self.incident: list[Callable[[ConsumerRecord], None]] = []
        self.begun: list[Callable[[int, int], None]] = []
        self.following = Following(
            [
                # An anomaly is two records, and each partition may hold all the newest.
                Followed(settings.anomalies_topic, self._anomaly, newest=2 * feed.KEEP, begin=self._begin),
                Followed(settings.incidents_topic, self._incident, newest=known.KEEP),
            ],
            app.clock.now,
        )
        self._wanted = 0
        self._reading: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def wanted(self) -> AsyncIterator[None]:
        """In this context the topics are read."""
        self._wanted += 1
        if self._reading is None:
            self._reading = asyncio.create_task(self.following.follow(settings))
        try:
            yield
        finally:
            self._wanted -= 1
            if not self._wanted:
                reading, self._reading = self._reading, None
                await end(reading)

    def _anomaly(self, record: ConsumerRecord) -> None:
        anomaly = feed.read(record.value)
        changed = [] if anomaly is None else self.stories.hear(anomaly)
        for hear in self.anomaly:
            hear(record, anomaly, changed)

    def _incident(self, record: ConsumerRecord) -> None:
        for hear in self.incident:
            hear(record)

    def _begin(self, partition: int, offset: int) -> None:
        for begin in self.begun:
            begin(partition, offset)


heard = Heard()
