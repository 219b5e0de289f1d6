"""Topics that a worker follows, whoever wrote them: those the page is made of, and the anomalies."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import time
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from clickwarden.errors import ClickwardenError
from clickwarden.kafka import rights, roles
from clickwarden.kafka.reader import poll, reader
from clickwarden.settings import Settings

log = logging.getLogger(__name__)

#: ``newest`` of who begins at the beginning.
ALL = 1 << 62
#: Pause before Kafka is tried again.
RETRY_SECONDS = 1.0
#: Records that are taken without letting go of the event loop, which counts clicks too.
AT_ONCE = 500
#: So much Kafka waits for, a moment, before it answers: an answer costs as much as a hundred records.
FETCH_BYTES = 64 * 1024
#: Between two polls where there is little to read: each costs as much as ten records.
PAUSE_SECONDS = 0.1
#: So long may it take to find out why Kafka cannot be read, before it is said that it cannot.
EXPLAIN_SECONDS = 3.0


def _ignore(partition: int, offset: int) -> None:
    pass


class Followed(NamedTuple):
    """A topic, and who takes its records.

    Attributes:
        topic: its name.
        take: called with each record; must not raise.
        newest: begin so many records before the end of each partition,
        seconds: or with what is so old.
        begin: called with a partition and the offset where reading it begins,
            first and where records in between are gone.
    """

    topic: str
    take: Callable[[ConsumerRecord], None]
    newest: int = 0
    seconds: float = 0
    begin: Callable[[int, int], None] = _ignore


class Following:
    """Reads some topics, and goes on where it was when Kafka was away.

    Attributes:
        loaded: set once all of them were read to what was their end then.
        trouble: why Kafka cannot be read now; empty when it can.
    """

    def __init__(self, topics: Sequence[Followed], now: Callable[[], float] = time) -> None:
        self.loaded = asyncio.Event()
        self.trouble = ""
        self._now = now
        self._topics: dict[str, Followed] = {}
        self._next: dict[TopicPartition, int] = {}
        self.add(*topics)

    def add(self, *topics: Followed) -> None:
        """Read these topics, too; before reading has begun."""
        self._topics |= {followed.topic: followed for followed in topics}

    @property
    def _names(self) -> str:
        return ", ".join(self._topics)

    async def follow(self, settings: Settings) -> None:
        """Read until cancelled."""
        while True:
            try:
                await self._read(settings)
            except ClickwardenError as error:
                self._lose(str(error))
            except Exception as error:
                # Whatever it is, the worker counts on and the page says so.
                log.exception("%s cannot be followed", self._names)
                self._lose(repr(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, settings: Settings) -> None:
        async with reader(settings, *self._topics, fetch_bytes=FETCH_BYTES) as consumer:
            ends = await consumer.end_offsets(consumer.assignment())
            await self._seek(consumer, ends)
            needed = roles.reader(*self._topics)
            while not self._grown(consumer):
                try:
                    batches = await poll(consumer, limit=AT_ONCE)
                    self.trouble = ""
                except KafkaError as error:  # the consumer finds Kafka again and reads on
                    self._lose(str(await rights.explain(settings, needed, error, EXPLAIN_SECONDS)))
                    continue
                for partition, records in batches.items():
                    self._take(partition, records)
                is_behind = sum(map(len, batches.values())) >= AT_ONCE or not self.loaded.is_set()
                await asyncio.sleep(0 if is_behind else PAUSE_SECONDS)
                if not self.loaded.is_set():
                    ends = {tp: end for tp, end in ends.items() if await consumer.position(tp) < end}
                    if not ends:
                        self.loaded.set()

    def _grown(self, consumer: AIOKafkaConsumer) -> bool:
        """Whether a topic has partitions that are not read yet."""
        there = sum(len(consumer.partitions_for_topic(topic) or ()) for topic in self._topics)
        return there > len(consumer.assignment())

    async def _seek(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        begins = await consumer.beginning_offsets(consumer.assignment())
        for partition, end in ends.items():
            followed, known = self._topics[partition.topic], self._next.get(partition)
            if known is None or not begins[partition] <= known <= end:
                start = await self._start(consumer, partition, followed, end)
                self._next[partition] = max(begins[partition], start)
                followed.begin(partition.partition, self._next[partition])
            consumer.seek(partition, self._next[partition])

    async def _start(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, followed: Followed, end: int
    ) -> int:
        if not followed.seconds:
            return end - followed.newest
        since = {partition: int((self._now() - followed.seconds) * 1000)}
        found = (await consumer.offsets_for_times(since))[partition]
        return end if found is None else int(found.offset)

    def _take(self, partition: TopicPartition, records: list[ConsumerRecord]) -> None:
        take = self._topics[partition.topic].take
        for record in records:
            self._next[partition] = record.offset + 1
            take(record)

    def _lose(self, trouble: str) -> None:
        if not self.trouble:
            log.warning("Nothing new is known of %s: %s", self._names, trouble)
        self.trouble = trouble


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task that speaks with Kafka, and wait until it has ended.

    A cancellation may get lost: asyncio.wait_for takes one that comes in the moment in which what it waits
    for is done for its own, before Python 3.12.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=RETRY_SECONDS)
