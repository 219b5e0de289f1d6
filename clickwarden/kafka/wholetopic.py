"""A topic of one partition that is read whole, and then followed."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from clickwarden.errors import ClickwardenError
from clickwarden.kafka import rights
from clickwarden.kafka.reader import poll, reader, to_end
from clickwarden.kafka.rights import Right
from clickwarden.settings import Settings

log = logging.getLogger(__name__)

#: Between two looks whether something was written.
PAUSE_SECONDS = 0.2
#: Pause before Kafka is tried again.
RETRY_SECONDS = 1.0


class WholeTopic(ABC):
    """What the topic holds, as far as it was read.

    Args:
        settings: say how Kafka is reached.
        topic: its name.
        what: it holds, in words.

    Attributes:
        trouble: why it cannot be read now; empty when it can.
    """

    def __init__(self, settings: Settings, topic: str, what: str) -> None:
        self.trouble = ""
        self._settings = settings
        self._what = what
        self._partition = TopicPartition(topic, 0)
        self._next = 0
        self._followed = False
        self._waiting: list[asyncio.Future[None]] = []

    @abstractmethod
    def _take(self, records: Sequence[ConsumerRecord]) -> None:
        """Take over records, in their order."""

    def _hear(self, records: Sequence[ConsumerRecord]) -> None:
        self._next = records[-1].offset + 1
        self._take(records)

    async def read(self) -> None:
        """Read the topic to its end.

        Raises:
            BrokerError: Kafka does not answer, or there is no such topic.
            AccessError: Kafka refuses us, or denies the right to read it.
        """
        async with reader(self._settings, self._partition.topic) as consumer:
            consumer.seek(self._partition, self._next)
            async for _, records in to_end(consumer):
                self._hear(records)

    async def _write(
        self, records: Sequence[tuple[bytes, bytes | None]], needed: list[Right], most: int
    ) -> None:
        """Write records, and read what is there then.

        Args:
            records: keys and values.
            needed: to write them.
            most: bytes of the largest.

        Raises:
            BrokerError, AccessError: as :meth:`read`.
        """
        await rights.check(self._settings, needed)
        producer = AIOKafkaProducer(**self._settings.client_options(), acks="all", max_request_size=most)
        try:
            await producer.start()
            for key, value in records:
                await producer.send_and_wait(self._partition.topic, value, key, 0)
        except KafkaError as error:
            raise await rights.explain(self._settings, needed, error) from None
        finally:
            await producer.stop()
        await (self.caught_up() if self._followed else self.read())

    async def follow(self) -> None:
        """Read on until cancelled, also where Kafka is away for a time."""
        self._followed = True
        while True:
            waiting: list[asyncio.Future[None]] = []
            try:
                async with reader(self._settings, self._partition.topic) as consumer:
                    consumer.seek(self._partition, self._next)
                    while True:
                        waiting, self._waiting = [*waiting, *self._waiting], []
                        end = (await consumer.end_offsets([self._partition]))[self._partition]
                        while await consumer.position(self._partition) < end:
                            for records in (await poll(consumer)).values():
                                self._hear(records)
                        self.trouble = ""
                        while waiting:
                            _settle(waiting.pop())
                        await asyncio.sleep(PAUSE_SECONDS)
            except ClickwardenError as error:
                self._lose(str(error))
            except Exception as error:
                log.exception("The %s cannot be read", self._what)
                self._lose(repr(error))
            self._waiting += waiting
            await asyncio.sleep(RETRY_SECONDS)

    def _lose(self, trouble: str) -> None:
        if not self.trouble:
            log.warning("A change of the %s would not be noticed now: %s", self._what, trouble)
        self.trouble = trouble

    async def caught_up(self) -> None:
        """Wait until everything is read that was there when this was called, by :meth:`follow`."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting


def _settle(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
