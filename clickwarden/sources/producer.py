"""Sends clicks to the clicks topic, from a shop's own code or from our commands.

A click goes to the outbox on disk first, and from there to Kafka. Each
transaction with Kafka sends a run of clicks and commits, as the offset of a
consumer group that nobody joins, the position in the outbox up to which they
are sent: Kafka has both or neither (KIP-98). After kill -9, an outage or an
error the next transaction starts at the committed position. Before that one is
read, Kafka has closed the transaction of whoever came before and refuses what
that one still has on its way (the transactional id is the outbox's name). So
readers of committed records find each click once, and those of a user in the
order they were sent.

A producer that dies within a transaction, of some 20 ms, holds these readers up
until the next one starts, or Kafka finds the transaction too old
(``TRANSACTION_TIMEOUT`` and ``transaction.abort.timed.out.transaction.cleanup.interval.ms``).
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import repeat
from types import TracebackType
from typing import Self, TypeVar

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from numpy.typing import NDArray

from clickwarden.detection.clicks import Clicks, Request
from clickwarden.errors import BrokerError, ClickError, OutboxError, SettingsError
from clickwarden.formats.shapes import EVENT_MAX, USER_ID_MAX
from clickwarden.formats.timestamps import seconds
from clickwarden.kafka import rights, roles, topics
from clickwarden.settings import PREFIX, Settings
from clickwarden.sources.outbox import KeyValue, Outbox

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Stands for the request of a click that was none.
NO_REQUEST = Request("", 0)
PRODUCT_MAX = 8 * 1024
#: What Kafka would refuse (max.message.bytes) would keep from it all that is behind.
RECORD_MAX = 512 * 1024
BATCH_BYTES = 256 * 1024
#: What a transaction sends, about: some 10,000 clicks of usual size.
TRANSACTION_BYTES = 1024 * 1024
TRANSACTION_TIMEOUT = 5.0
#: A transaction costs Kafka the same for one click or many: it waits for more so long.
LINGER = 0.01
#: While Kafka still ends the transaction before, it refuses the next one: aiokafka then waits so long.
BACKOFF_MS = 20
TICK = 0.02
#: New partitions of the topic are used from about so long on.
METADATA_MS = 5_000
#: Kafka is away when it has acknowledged nothing for so long; said again so often, in seconds.
AWAY = 3
REMIND = 30
RETRY = 1.0
#: How long a sender that is broken off waits for its last acknowledgements, in seconds.
FAREWELL = 2.0


class ClickProducer:
    """Sends clicks to Kafka, each once and those of a user in their order, whatever dies meanwhile.

        async with ClickProducer(Settings.load()) as producer:
            await producer.send("user-1", "view", "product-7", time.time())

    Records are keyed by ``user_id`` and partitioned by murmur2, as Java clients
    do. Kafka stamps them when they arrive; event time is in the click.

    For one event loop. Entered, it sends what the producer before it has left
    in the outbox. Left, it waits until Kafka has every click, as long as that
    takes; left by an exception or a cancellation, some seconds at most, and what
    is not sent by then waits on disk for the next producer of that folder.

    Args:
        settings: where Kafka is and how to talk to it, ``clicks_topic`` (where it
            does not exist, with ``partitions``) and the names of its fields,
            ``data_dir`` (folder of the outbox, for one producer at a time),
            ``outbox_quota`` (MiB).

    Attributes:
        left: clicks that were in the outbox when it was opened.
        sent: clicks taken from the caller, and on disk.
        acked: clicks, of both, that Kafka holds on all in-sync replicas.

    Raises:
        SettingsError: when it is made: a field of a click stands where none can be written.
        OutboxError: on entering: another producer uses the outbox, or it is broken.
        SettingsError: on leaving: the clicks topic is not as the settings say.
        AccessError: on sending and on leaving: Kafka refuses the user, or denies a right.
    """

    def __init__(self, settings: Settings) -> None:
        self.left = 0
        self.sent = 0
        self.acked = 0
        self._settings = settings
        self._click = msgspec.defstruct(
            "Click",
            [
                ("user_id", str),
                ("event", str),
                ("timestamp", float),
                ("product_id", str | int | None, None),
                ("method", str, ""),
                ("status", int, 0),
            ],
            rename=_written_names(settings),
            omit_defaults=True,
            gc=False,
        )
        self._encode = msgspec.json.Encoder().encode
        self._partition: Callable[[bytes, int], int] = lru_cache(maxsize=2**17)(_partition)
        self._thread = ThreadPoolExecutor(1, "outbox")
        self._committing = asyncio.Lock()
        self._group: list[KeyValue] = []
        self._commit: asyncio.Task[None] | None = None  # of the group, or of the one before
        self._filled = asyncio.Event()
        self._progress = asyncio.Condition()
        self._failure: Exception | None = None

    @property
    def waiting(self) -> int:
        """Clicks on disk that Kafka has not acknowledged."""
        return self.left + self.sent - self.acked

    async def __aenter__(self) -> Self:
        """Open the outbox, and begin to send what is in it."""
        self._outbox = await self._on_disk(Outbox, self._settings)
        self.left = self._outbox.found
        self._reached = self._outbox.last
        if self.left:
            log.warning("%d clicks of an earlier producer wait on disk, and go first", self.left)
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until Kafka has every click, after an error only for a moment; the rest waits on disk."""
        try:
            if error is None:
                await self.flush()
            elif self._failure is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.flush(), FAREWELL)
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])
            await self._on_disk(self._outbox.close)
            self._thread.shutdown()

    async def send(self, user_id: str, event: str, product_id: str | None, timestamp: float) -> None:
        """Send one click.

        Returns when the click is on the disk (fsync; calls that come while the
        disk is busy share the next one). From there on neither kill -9 nor a
        power cut loses or doubles it, as long as the disk keeps what it has
        confirmed. A call that is cancelled, killed or that raises OutboxError
        has promised nothing: its click arrives once or not at all.
        :meth:`flush` waits for Kafka.

        Args:
            user_id: 1 to 256 characters.
            event: what the user did: ``view``, ``login``, …; at most 64 characters.
            product_id: at most 8,192 characters; None where the click is of no product.
            timestamp: when the user did it, epoch seconds. One that is more than
                ``max_skew`` ahead of Kafka's clock is taken here, and rejected there.

        Raises:
            ClickError: the worker would reject it.
            OutboxError: the quota or the disk is full; Kafka will get what was sent before.
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
        await self._keep([self._record(user_id, event, product_id, seconds(timestamp))])

    async def send_all(self, clicks: Clicks) -> None:
        """Send clicks that have been checked, as :meth:`send` does, all or none.

        Raises:
            ClickError: one is too large for Kafka.
        """
        columns = clicks.users, clicks.events, clicks.products, clicks.times.tolist()
        requests = clicks.requests or repeat(NO_REQUEST, len(clicks.users))
        await self._keep([self._record(*click) for click in zip(*columns, requests, strict=True)])

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
            part = clicks.pick(range(sent, until))
            yield (sent := until)
            await self.send_all(part)
            await asyncio.sleep(TICK)

    async def flush(self, leaving: int = 0) -> None:
        """Wait until Kafka has acknowledged what was sent so far, but for ``leaving`` clicks.

        Raises:
            SettingsError: the clicks topic is not as the settings say.
        """
        if self._commit:
            await asyncio.wait([self._commit])
        goal = self.left + self.sent - leaving
        if self.acked < goal:
            async with self._progress:
                await self._progress.wait_for(lambda: self._failure or self.acked >= goal)
        if self._failure:
            raise self._failure

    def _record(
        self,
        user_id: str,
        event: str,
        product: str | int | None,
        timestamp: float,
        request: Request = NO_REQUEST,
    ) -> KeyValue:
        value = self._encode(self._click(user_id, event, timestamp, product, *request))
        if len(value) > RECORD_MAX:
            raise ClickError("wrong_field", f"the click has {len(value)} bytes, more than {RECORD_MAX}")
        return user_id.encode(), value

    async def _on_disk(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _keep(self, records: list[KeyValue]) -> None:
        if self._failure:
            raise self._failure
        if self._commit is None or not self._group:
            self._commit = asyncio.create_task(self._commit_group())
        self._group += records
        await asyncio.shield(self._commit)

    async def _commit_group(self) -> None:
        async with self._committing:
            group, self._group = self._group, []
            await self._on_disk(self._outbox.append, group)
        self.sent += len(group)
        self._filled.set()

    async def _run(self) -> None:
        """Stay connected, whatever Kafka does; only a wrong setting or a missing right ends it."""
        watch = asyncio.create_task(self._watch())
        needed = roles.producer(self._settings, self._identity)
        told = ""
        try:
            while True:
                try:
                    await rights.check(self._settings, needed)
                    await topics.declare(self._settings)
                    await self._deliver()
                except (BrokerError, KafkaError, OutboxError) as error:
                    # What Kafka says passes by itself is worth a word only where it lasts: see _watch().
                    if not getattr(error, "retriable", False):
                        cause = error
                        if isinstance(error, KafkaError):
                            cause = await rights.explain(self._settings, needed, error)
                        if not isinstance(cause, (BrokerError, OutboxError)):
                            raise cause from None
                        if told != (told := str(cause)):
                            log.warning("%s; clicks wait on disk, trying again", told)
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
                    log.warning(
                        "Kafka has acknowledged nothing for %d s; %d clicks wait on disk", away, self.waiting
                    )
            elif away:
                away = 0
                log.warning("Kafka answers again")

    async def _deliver(self) -> None:
        """Send what is in the outbox, a transaction at a time, from where Kafka has it."""
        producer = AIOKafkaProducer(
            **self._settings.client_options(),
            transactional_id=self._identity,
            transaction_timeout_ms=int(TRANSACTION_TIMEOUT * 1000),
            compression_type="lz4",
            max_batch_size=BATCH_BYTES,
            metadata_max_age_ms=METADATA_MS,
            request_timeout_ms=10_000,
            retry_backoff_ms=BACKOFF_MS,
        )
        try:
            await producer.start()
            position = await self._committed()
            await self._forget(position)
            while True:
                self._filled.clear()
                position, records = await self._on_disk(self._outbox.read, position, TRANSACTION_BYTES)
                if records:
                    self._reached = position
                    await self._transact(producer, position, records)
                    await self._forget(position)
                else:
                    await self._filled.wait()
                    await asyncio.sleep(LINGER)
        finally:
            # aiokafka's stop() waits for every batch, and so for ever where Kafka is away.
            try:
                await asyncio.wait_for(producer.stop(), FAREWELL)
            except TimeoutError:
                await producer.client.close()

    @property
    def _identity(self) -> str:
        """The transactional id, and the group whose offset is the position."""
        return f"{self._settings.app_id}-outbox-{self._outbox.name}"

    @property
    def _place(self) -> TopicPartition:
        """Kafka keeps offsets by partition, and we need one."""
        return TopicPartition(self._settings.clicks_topic, 0)

    async def _committed(self) -> int:
        """The position up to which Kafka has the outbox.

        Kafka forgets it after a week of rest (offsets.retention.minutes): an
        outbox whose producer died after a transaction, before it removed what
        that had sent, and that none opened for so long, sends it again.
        """
        admin = AIOKafkaAdminClient(**self._settings.client_options())
        try:
            await admin.start()
            # Asked for by name: an answer without it is an error that aiokafka has overlooked.
            found = await admin.list_consumer_group_offsets(self._identity, partitions=[self._place])
        finally:
            await admin.close()
        if self._place not in found:
            raise BrokerError("Kafka does not say yet up to where it has the outbox")
        position: int = found[self._place].offset
        if position > self._reached:
            raise SettingsError(
                f"{PREFIX}DATA_DIR={self._settings.data_dir}: the outbox there is an old copy: it ends at "
                f"{self._reached}, Kafka has clicks of it up to {position}; name the original's folder, or "
                "a new one"
            )
        return position

    async def _transact(self, producer: AIOKafkaProducer, position: int, records: list[KeyValue]) -> None:
        """Send the records and commit the position, both or neither."""
        topic = self._settings.clicks_topic
        number = len(await producer.partitions_for(topic))
        await producer.begin_transaction()
        offsets = {self._place: position}
        sending = [asyncio.ensure_future(producer.send_offsets_to_transaction(offsets, self._identity))]
        batches = [producer.create_batch() for _ in range(number)]

        async def send(partition: int) -> None:
            batches[partition].close()
            sending.append(await producer.send_batch(batches[partition], topic, partition=partition))

        for key, value in records:
            partition = self._partition(key, number)
            if batches[partition].append(key=key, value=value, timestamp=None) is None:
                await send(partition)
                batches[partition] = producer.create_batch()
                batches[partition].append(key=key, value=value, timestamp=None)
        for partition, batch in enumerate(batches):
            if batch.record_count():
                await send(partition)
        try:
            await asyncio.gather(*sending)
        finally:
            # aiokafka keeps an error for who waits for this, and complains where nobody does.
            end = producer._txn_manager.wait_for_transaction_end()  # noqa: SLF001 - it has no public name
            if end.done():
                end.exception()
        await producer.commit_transaction()

    async def _forget(self, position: int) -> None:
        self.acked += await self._on_disk(self._outbox.forget, position)
        async with self._progress:
            self._progress.notify_all()


def _partition(key: bytes, number: int) -> int:
    partitions = list(range(number))
    found: int = DefaultPartitioner()(key, partitions, partitions)
    return found


def _written_names(settings: Settings) -> dict[str, str]:
    """The name at the top of a click that each field is written under, and read by these settings.

    Raises:
        SettingsError: there is none.
    """
    return {field: _written_name(field, places) for field, places in settings.field_names.items()}


def _written_name(field: str, places: str) -> str:
    for place in places.split("|"):
        if place == "@key" and field == "user_id":
            return field  # the key is the user, and nobody reads the field
        if place in ("@key", "@timestamp"):
            break
        if not place.startswith("@header:"):
            return place.removeprefix("@field:")  # a path too: a field of its very name is found first
    raise SettingsError(
        f"{PREFIX}FIELD_{field.upper()}={places}: a click that is sent from here holds it in a field: "
        f"name one first, as in {field}|{places}"
    )
