"""Kafka's presence: whether it answers the worker."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.growth import Growth
from clickwarden.errors import BrokerError, ClickwardenError
from clickwarden.kafka import rights
from clickwarden.kafka.rights import Right
from clickwarden.settings import Settings

log = logging.getLogger(__name__)

ASK_SECONDS = 1.0
#: Kafka is away when it has not answered for so long.
AWAY_SECONDS = 3.0
#: aiokafka repeats an error of an outage a hundred times a second; one of a kind is let through so often.
REPEAT_SECONDS = 60.0


class Presence:
    """Asks the leader of every partition of the clicks topic, once a second, where it ends.

    Attributes:
        trouble: why Kafka is taken for away, in words; empty while it answers.
    """

    def __init__(self, settings: Settings, growth: Growth) -> None:
        self.trouble = ""
        self._settings = settings
        self._growth = growth
        self._needed = [Right("Describe", "topic", settings.clicks_topic)]
        self._told: type[ClickwardenError] | None = None
        self._answered = self._since = -math.inf

    @property
    def answering(self) -> float:
        """Seconds for which Kafka has answered without a break; 0 while it is away or nobody asks."""
        return monotonic() - self._since if self._silence < AWAY_SECONDS else 0.0

    @property
    def _silence(self) -> float:
        return monotonic() - self._answered

    async def watch(self) -> None:
        """Ask until cancelled; log when Kafka goes away, and when it is back."""
        self._answered = self._since = monotonic()
        while True:
            try:
                async with self._client() as kafka:
                    while True:
                        await kafka.end_offsets(self._places())
                        self._answer()
                        await asyncio.sleep(ASK_SECONDS)
            except Exception as error:  # whatever it is, the worker counts on if it can
                await self._miss(error)
                await asyncio.sleep(ASK_SECONDS)

    def _places(self) -> list[TopicPartition]:
        topic = self._settings.clicks_topic
        return [TopicPartition(topic, number) for number in range(self._growth.partitions)]

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[AIOKafkaConsumer]:
        client = AIOKafkaConsumer(
            **self._settings.client_options(), request_timeout_ms=int(AWAY_SECONDS * 1000)
        )
        try:
            await client.start()
            yield client
        finally:
            await client.stop()

    def _answer(self) -> None:
        if self._silence >= AWAY_SECONDS:
            self._since = monotonic()
        if self.trouble:
            log.warning("Kafka answers again after %.0f s; counting goes on", self._silence)
        self._answered, self.trouble, self._told = monotonic(), "", None

    async def _miss(self, error: Exception) -> None:
        if self._silence < AWAY_SECONDS:
            return
        trouble = f"Kafka does not answer ({error})"
        why = f"Kafka does not answer at {self._settings.bootstrap} ({error})"
        self.trouble = self.trouble or trouble
        cause = await rights.explain(self._settings, self._needed, error, AWAY_SECONDS)
        if not isinstance(cause, BrokerError):
            # What is known without a token names no user and no file.
            trouble, why = "Kafka refuses this worker, and its log says why", str(cause)
        if type(cause) is not self._told:
            log.warning("%s; counting waits and goes on when it is back", why)
        self.trouble, self._told = trouble, type(cause)


class SeldomRepeated(logging.Filter):
    """Lets each kind of aiokafka's log records pass once in a while, and those of others always.

    Of one kind are those of the same text about errors of the same type.
    """

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[object, ...], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        if record.name.partition(".")[0] != "aiokafka" or record.levelno < logging.WARNING:
            return True
        causes = [type(argument) for argument in record.args or () if isinstance(argument, BaseException)]
        kind = record.name, str(record.msg), *causes
        if record.created - self._passed.get(kind, 0.0) < REPEAT_SECONDS:
            return False
        self._passed[kind] = record.created
        return True
