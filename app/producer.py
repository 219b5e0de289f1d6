"""Sends clicks to the clicks topic, from a shop's own code or from our commands.

    async with ClickProducer(settings.load()) as producer:
        await producer.send("user-1", "view", "product-7", time.time())

A click waits in the outbox until Kafka has acknowledged it. Where Kafka is
away, at the start or later, the outbox fills, and full it makes the sender
wait; nothing is given up. Clicks of one user arrive in the order they were
sent, and once each: only after an error that ends Kafka's idempotent session
may some arrive again.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from numpy.typing import NDArray

from app import topics
from app.clicks import EVENT_MAX, USER_ID_MAX, Clicks, seconds
from app.errors import BrokerError, ClickError
from app.settings import Settings

log = logging.getLogger(__name__)

#: Memory for clicks without an acknowledgement: some 200,000 of usual size.
OUTBOX_BYTES = 64 * 1024 * 1024
#: What Python needs for a click besides its key and value.
OVERHEAD = 160
PRODUCT_MAX = 8 * 1024
BATCH_BYTES = 256 * 1024
#: From this many clicks on a batch is not held back for more.
BATCH_CLICKS = 1000
LINGER = 0.005
TICK = 0.02
#: Kafka is away when it has acknowledged nothing for so long; said again so often, in seconds.
AWAY = 3
REMIND = 30
RETRY = 1.0
#: How long a sender that is broken off waits for its last acknowledgements, in seconds.
FAREWELL = 2.0


class ClickProducer:
    """Keyed by ``user_id`` and partitioned by murmur2, as Java clients do.

    Kafka stamps the records when they arrive; event time is in the click.

    Attributes:
        sent: clicks taken from the caller.
        acked: clicks that Kafka holds on all in-sync replicas.
    """

    def __init__(self, settings: Settings) -> None:
        self.sent = 0
        self.acked = 0
        self._settings = settings
        self._click = msgspec.defstruct(
            "Click",
            [("user_id", str), ("event", str), ("timestamp", float), ("product_id", str | int | None, None)],
            rename=settings.field_names,
            omit_defaults=True,
            gc=False,
        )
        self._encode = msgspec.json.Encoder().encode
        partitions = list(range(settings.partitions))
        partitioner = DefaultPartitioner()
        self._partition: Callable[[bytes], int] = lru_cache(maxsize=2**17)(
            lambda key: partitioner(key, partitions, partitions)
        )
        self._outbox: list[deque[tuple[bytes, bytes]]] = [deque() for _ in partitions]
        self._held = 0
        self._filled = [asyncio.Event() for _ in partitions]
        self._progress = asyncio.Condition()
        self._failure: Exception | None = None

    @property
    def waiting(self) -> int:
        """Clicks without an acknowledgement."""
        return self.sent - self.acked

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self.flush()
            elif self._failure is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.flush(), FAREWELL)
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def send(self, user_id: str, event: str, product_id: str | None, timestamp: float) -> None:
        """Send one click; ``timestamp`` is its event time in epoch seconds.

        Returns when the click is in the outbox; :meth:`flush` waits for Kafka.

        Raises:
            ClickError: the worker would reject it.
            SettingsError: the clicks topic is not as the settings say.
        """
        if not user_id:
            raise ClickError("empty_user_id")
        if len(user_id) > USER_ID_MAX:
            raise ClickError("huge_user_id", f"{len(user_id)} characters")
        if len(event) > EVENT_MAX:
            raise ClickError("huge_event", f"{len(event)} characters")
        if product_id is not None and len(product_id) > PRODUCT_MAX:
            raise ClickError("wrong_field", f"product_id is longer than {PRODUCT_MAX} characters")
        self._put(user_id, event, product_id, seconds(timestamp))
        await self._until(lambda: self._held < OUTBOX_BYTES)

    async def send_all(self, clicks: Clicks) -> None:
        """Send clicks that have been checked, as :meth:`send` does."""
        columns = clicks.users, clicks.events, clicks.products, clicks.times.tolist()
        for click in zip(*columns, strict=True):
            self._put(*click)
        await asyncio.sleep(0)  # the batches go out while the caller makes more
        await self._until(lambda: self._held < OUTBOX_BYTES)

    async def pace(self, clicks: Clicks, due: NDArray[np.float64]) -> AsyncIterator[int]:
        """Send each click when the clock reaches its ``due`` (epoch seconds, ascending).

        Yields how many of the clicks are on their way.
        """
        sent = 0
        while sent < len(due):
            until = int(np.searchsorted(due, time.time(), side="right"))
            if until == sent:
                await asyncio.sleep(min(due[sent] - time.time(), 1.0))
                continue
            cut = slice(sent, until)
            yield (sent := until)
            await self.send_all(
                Clicks(clicks.users[cut], clicks.events[cut], clicks.products[cut], clicks.times[cut])
            )
            await asyncio.sleep(TICK)

    async def flush(self) -> None:
        """Wait until Kafka has acknowledged every click sent so far."""
        goal = self.sent
        await self._until(lambda: self.acked >= goal)

    def _put(self, user_id: str, event: str, product: str | int | None, timestamp: float) -> None:
        key = user_id.encode()
        partition = self._partition(key)
        value = self._encode(self._click(user_id, event, timestamp, product))
        self._outbox[partition].append((key, value))
        self._held += OVERHEAD + len(key) + len(value)
        self._filled[partition].set()
        self.sent += 1

    async def _until(self, condition: Callable[[], bool]) -> None:
        if not condition():
            async with self._progress:
                await self._progress.wait_for(lambda: self._failure or condition())
        if self._failure:
            raise self._failure

    async def _run(self) -> None:
        """Stay connected, whatever Kafka does; only a wrong setting ends it."""
        watch = asyncio.create_task(self._watch())
        told = ""
        try:
            while True:
                try:
                    await topics.declare(self._settings)
                    await self._deliver_all()
                except (BrokerError, KafkaError) as error:
                    if told != (told := str(error)):
                        log.warning("%s; clicks wait, trying again", told)
                    await asyncio.sleep(RETRY)
        except Exception as error:
            self._failure = error
            async with self._progress:
                self._progress.notify_all()
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        away = 0
        while True:
            acked, waiting = self.acked, self.waiting
            await asyncio.sleep(AWAY)
            if waiting and self.acked == acked:
                away += AWAY
                if away == AWAY or away % REMIND == 0:
                    log.warning("Kafka has acknowledged nothing for %d s; %d clicks wait", away, self.waiting)
            elif away:
                away = 0
                log.warning("Kafka answers again")

    async def _deliver_all(self) -> None:
        producer = AIOKafkaProducer(
            **self._settings.client_options(),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=10_000,
        )
        deliveries: list[asyncio.Task[None]] = []
        try:
            await producer.start()
            deliveries = [
                asyncio.create_task(self._deliver(producer, partition))
                for partition in range(len(self._outbox))
            ]
            await asyncio.gather(*deliveries)
        finally:
            for delivery in deliveries:
                delivery.cancel()
            # aiokafka's stop() waits for every batch, and so for ever where Kafka is away.
            try:
                await asyncio.wait_for(producer.stop(), FAREWELL)
            except TimeoutError:
                await producer.client.close()

    async def _deliver(self, producer: AIOKafkaProducer, partition: int) -> None:
        """Send the outbox of one partition, one batch in flight at a time.

        A click leaves the outbox when it is acknowledged: what takes the
        outbox's place has to append, be read from its head, and forget.
        """
        outbox, filled = self._outbox[partition], self._filled[partition]
        while True:
            await filled.wait()
            if len(outbox) < BATCH_CLICKS:
                await asyncio.sleep(LINGER)
            batch = producer.create_batch()
            for key, value in outbox:
                if batch.append(key=key, value=value, timestamp=None) is None:
                    break
            batch.close()
            await (await producer.send_batch(batch, self._settings.clicks_topic, partition=partition))
            for _ in range(batch.record_count()):
                key, value = outbox.popleft()
                self._held -= OVERHEAD + len(key) + len(value)
            if not outbox:
                filled.clear()
            self.acked += batch.record_count()
            async with self._progress:
                self._progress.notify_all()
