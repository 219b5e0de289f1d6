"""The keeper of the incidents topic: has it say of each incident what the anomalies say."""

import asyncio
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import islice
from time import monotonic

import msgspec
import xxhash
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from clickwarden.alerts.feed import read
from clickwarden.alerts.incidents import Incident
from clickwarden.alerts.stories import Stories
from clickwarden.kafka.following import ALL, Followed, Following, end
from clickwarden.settings import Settings

#: Between two records of one incident, seconds.
SECONDS = 1.0
#: Records that are written without letting go of the event loop, which counts clicks too.
AT_ONCE = 200

_encode = msgspec.json.Encoder().encode


class Keeper:
    """Reads the anomalies from their beginning, and writes what the incidents topic does not say of them.

    It reads the topic that it writes, too. So it knows what an earlier keeper
    has written, and sets right what one writes that has been taken for dead.

    Args:
        settings: name the topics.
        now: by Kafka's clock, epoch seconds.
        tell: called with each incident that the topic says something else of from then on.
        stories: the incidents; others may have the anomalies heard in them, too.

    Attributes:
        following: reads both topics.
    """

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], float],
        tell: Callable[[Incident], None],
        stories: Stories,
    ) -> None:
        self._settings = settings
        self._stories = stories
        self._tell = tell
        self.following = Following(
            [
                Followed(settings.anomalies_topic, self._hear, newest=ALL),
                Followed(settings.incidents_topic, self.read, newest=ALL),
            ]
        )
        self._topic = settings.incidents_topic
        self._now = now
        self._read: dict[TopicPartition, tuple[int, int]] = {}
        self._said: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._resting: dict[str, float] = {}
        self._ends: list[tuple[float, str]] = []

    async def catch_up(self) -> None:
        """Read both topics to their end; from now on somebody else reads what is written behind it."""
        reading = asyncio.create_task(self.following.follow(self._settings))
        try:
            await self.following.loaded.wait()
        finally:
            await end(reading)

    def _hear(self, record: ConsumerRecord) -> None:
        anomaly = read(record.value)
        if anomaly is not None:
            self.mark(self._stories.hear(anomaly))

    def mark(self, incident_ids: Iterable[str]) -> None:
        """Note that the topic may have to say something else of these."""
        for incident_id in incident_ids:
            self._mark(incident_id)

    def read(self, record: ConsumerRecord) -> None:
        """Take over a record of the incidents topic, if it was not before, as two may read it at a time."""
        partition = TopicPartition(record.topic, record.partition)
        offset, stamp = self._read.get(partition, (-1, -1))
        if record.offset <= offset and record.timestamp <= stamp:  # of a topic made anew the stamps are newer
            return
        self._read[partition] = record.offset, record.timestamp
        incident_id = (record.key or b"").decode(errors="replace")
        said = _digest(record.value or b"")
        if self._said.get(incident_id) != said:
            self._said[incident_id] = said
            self._mark(incident_id)

    def _mark(self, incident_id: str) -> None:
        self._due.setdefault(incident_id, self._resting.get(incident_id, 0.0))

    async def write(self, producer: AIOKafkaProducer) -> bool:
        """Write what the topic does not say; returns whether there is more.

        Raises:
            KafkaError: Kafka did not take it all, which is written again.
        """
        if not self.following.loaded.is_set():
            return False
        now = self._now()
        while self._ends and self._ends[0][0] <= now:
            self._mark(heappop(self._ends)[1])
        turn = monotonic()
        due = list(islice((incident_id for incident_id, at in self._due.items() if at <= turn), AT_ONCE))
        for incident_id in due:
            del self._due[incident_id]
        try:
            await self._write(producer, due, now)
        except BaseException:
            for incident_id in due:
                self._mark(incident_id)
            raise
        self._rest(due, turn)
        return len(due) == AT_ONCE

    async def _write(self, producer: AIOKafkaProducer, incident_ids: list[str], now: float) -> None:
        sent = []
        for incident_id in incident_ids:
            incident = self._stories.get(incident_id, now)
            if incident is None:  # its anomalies are no longer there, or somebody else's record
                self._said.pop(incident_id, None)
                continue
            ending = self._stories.ending(incident_id)
            if ending is not None and ending > now:
                heappush(self._ends, (ending, incident_id))
            value = _encode(incident)
            said = _digest(value)
            if self._said.get(incident_id) != said:
                future = await producer.send(self._topic, value, incident_id.encode())
                sent.append((incident, said, future))
        for incident, said, future in sent:
            await future
            self._said[incident.incident_id] = said
            self._tell(incident)

    def _rest(self, incident_ids: list[str], turn: float) -> None:
        """Have nothing written of these for a moment."""
        for incident_id in incident_ids:
            self._resting.pop(incident_id, None)
            self._resting[incident_id] = turn + SECONDS
        while self._resting and self._resting[first := next(iter(self._resting))] <= turn:
            del self._resting[first]


def _digest(value: bytes) -> int:
    return xxhash.xxh3_64_intdigest(value)
