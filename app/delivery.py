"""Records on their way to Kafka, kept until Kafka has them."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata
from faust.exceptions import ProducerSendError

log = logging.getLogger(__name__)

#: Pause before what Kafka did not take is sent again.
RETRY_SECONDS = 1.0


class Outgoing(NamedTuple):
    """A record to produce; ``partition`` None lets the key decide."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: list[tuple[str, bytes | None]] = []  # noqa: RUF012 - never changed


class Deliveries:
    """Sends records in order and says when Kafka has acknowledged them.

    What Kafka does not take in time is sent again, with everything sent
    behind it, until it does: records may repeat, the last of a key is always
    the last that was sent, and none is given up. An error that no retry can
    mend is raised.

    Attributes:
        sent: records handed over so far.
    """

    def __init__(self, app: Any) -> None:
        self.sent = 0
        self._app = app
        self._unacknowledged: list[tuple[Outgoing, Awaitable[RecordMetadata]]] = []
        self._sending = asyncio.Lock()

    async def send(self, record: Outgoing) -> None:
        """Hand over a record; waits while the producer's buffer is full."""
        async with self._sending:
            self._unacknowledged.append((record, await self._hand_over(record)))
            self.sent += 1

    async def acknowledged(self, sent: int) -> list[RecordMetadata]:
        """Wait until Kafka has the first ``sent`` records.

        Returns where it put those not waited for before, in their order. One
        at a time may wait.
        """
        received: list[RecordMetadata] = []
        waiting = sent - (self.sent - len(self._unacknowledged))
        while len(received) < waiting:
            record, future = self._unacknowledged[len(received)]
            try:
                received.append(await future)
            except KafkaError as error:
                await self._pause(error, record)
                await self._send_again(len(received))
        del self._unacknowledged[: len(received)]
        return received

    async def _send_again(self, first: int) -> None:
        async with self._sending:
            for index in range(first, len(self._unacknowledged)):
                record, _ = self._unacknowledged[index]
                self._unacknowledged[index] = record, await self._hand_over(record)

    async def _hand_over(self, record: Outgoing) -> Awaitable[RecordMetadata]:
        while True:
            self._app.pulse.check()
            try:
                future: Awaitable[RecordMetadata] = await self._app.producer.send(
                    record.topic,
                    record.key,
                    record.value,
                    record.partition,
                    self._app.clock.now(),  # Kafka refuses the stamp of a fast clock
                    record.headers,
                )
            except (KafkaError, ProducerSendError) as error:
                await self._pause(error, record)
            else:
                return future

    async def _pause(self, error: Exception, record: Outgoing) -> None:
        cause = error.__cause__ if isinstance(error, ProducerSendError) else error
        if not getattr(cause, "retriable", False):
            raise error
        log.warning("Kafka did not take a record for %s (%s); sending it again", record.topic, cause)
        await asyncio.sleep(RETRY_SECONDS)
