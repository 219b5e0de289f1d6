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
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012 - never changed


class Deliveries:
    """Sends records in order and says when Kafka has acknowledged them all.

    What Kafka does not take in time is sent again, with everything sent
    behind it, until it does: records may repeat, the last of a key is always
    the last that was sent, and none is given up. An error that no retry can
    mend is raised.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._sent: list[tuple[Outgoing, Awaitable[RecordMetadata]]] = []

    def __len__(self) -> int:
        return len(self._sent)

    async def send(self, record: Outgoing) -> None:
        """Hand over a record; waits while the producer's buffer is full."""
        while True:
            self._app.pulse.check()
            try:
                future = await self._app.producer.send(
                    record.topic, record.key, record.value, record.partition, None, record.headers
                )
            except (KafkaError, ProducerSendError) as error:
                await self._pause(error, record)
            else:
                self._sent.append((record, future))
                return

    def take(self) -> "Deliveries":
        """What was sent so far, to be waited for apart from what follows."""
        taken = Deliveries(self._app)
        taken._sent, self._sent = self._sent, []
        return taken

    async def acknowledged(self) -> list[RecordMetadata]:
        """Wait until Kafka has every record; where it put them, in their order."""
        received: list[RecordMetadata] = []
        while len(received) < len(self._sent):
            record, future = self._sent[len(received)]
            try:
                received.append(await future)
            except KafkaError as error:
                await self._pause(error, record)
                again, self._sent = self._sent[len(received) :], self._sent[: len(received)]
                for record, _ in again:
                    await self.send(record)
        self._sent.clear()
        return received

    async def _pause(self, error: Exception, record: Outgoing) -> None:
        cause = error.__cause__ if isinstance(error, ProducerSendError) else error
        if not getattr(cause, "retriable", False):
            raise error
        log.warning("Kafka did not take a record for %s (%s); sending it again", record.topic, cause)
        await asyncio.sleep(RETRY_SECONDS)
