"""The batch transport: Faust on aiokafka, a run of records at a time.

Stock Faust builds a task, a lock and an event for every record, some 150 µs;
aiokafka builds an object with eleven fields. Here a *run*, some
:data:`~clickwarden.kafka.runs.RUN_RECORDS` records of one partition in Kafka's own record
batches, travels as one Faust message, so that those costs are paid once a run.

Where the source stands is not decided by acknowledged messages but by the
state that was counted from them: a :class:`Source` names, for each partition,
the offset its durable state continues at. That offset is sought after every
rebalance, whatever the group committed, and that offset is committed.

Reads are ``read_committed``: aborted transactions are left out, and the gaps
that control batches and compaction leave move the position like records do.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Container, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import faust
from aiokafka.consumer import consumer as consuming
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import ConsumerStoppedError, TopicAuthorizationFailedError
from aiokafka.protocol.produce import ProduceRequest
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from app.coordination import Coordination
from app.pulse import EXIT_CODE, REFUSED, end
from clickwarden.kafka.fetched import make_runs
from clickwarden.kafka.runs import Run

#: Kafka answers a fetch at once when it has data; this bounds the wait when it
#: has none. One fetch is under way to a broker at a time, so a long wait for
#: one partition delays the clicks of another: Faust's own 1500 ms capped the
#: alert latency at 1.5 s.
FETCH_WAIT_MS = 20

#: The position of a state that was counted from no record yet: the earliest offset there is. What the group
#: has committed may be of an owner whose state never counted.
BEGINNING = -1

#: Between two looks for a partition that is new.
LEARN_SECONDS = 0.05

#: How old Kafka's last word on the end of a partition may be.
FRESH_SECONDS = 2.0


class Source(Protocol):
    """Who counts the runs, and so knows where each partition continues."""

    def prepare(self, run: Run) -> None:
        """Begin what can be done before the run's turn to be counted comes."""

    def is_full(self, tp: TP) -> bool:
        """Whether nothing more of ``tp`` is to be fetched now: what was fetched waits."""

    def position(self, tp: TP) -> int | None:
        """Offset the state of ``tp`` continues at, or BEGINNING; None if it has no state."""

    def lost(self, tp: TP, first: int, end: int) -> None:
        """Kafka no longer holds the offsets ``[first, end)`` of ``tp``."""

    async def checkpoint(self) -> None:
        """Make the state of all partitions durable."""


class RunSchema(faust.Schema):  # type: ignore[misc]
    """Hands runs to the agent as they are."""

    def loads_key(self, app: Any, message: Any, **kwargs: Any) -> None:
        """A run has no key: its records have."""

    def loads_value(self, app: Any, message: Any, **kwargs: Any) -> Run:
        """The run."""
        run: Run = message.value
        return run


class _ReadOffsets(dict[TP, int | None]):
    """Faust's guard against reading twice, for single records only.

    It compares offsets with the last delivered one; the epoch of a run does
    that job where a seek may go back.
    """

    def __init__(self, sources: Container[str]) -> None:
        super().__init__()
        self._sources = sources

    def __missing__(self, tp: TP) -> None:
        return None

    def __getitem__(self, tp: TP) -> int | None:
        return None if tp.topic in self._sources else super().__getitem__(tp)


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Delivers runs; seeks and commits where the :class:`Source` says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _ReadOffsets(self.app.sources)
        self._fetching = asyncio.Lock()
        self._drained = asyncio.Event()
        self._epoch = 0
        self._durable: dict[TP, int] = {}

    def _new_consumer_thread(self) -> "BatchConsumerThread":
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _is_run_tp(self, tp: TP) -> bool:
        return tp.topic in self.app.sources

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        async with self._fetching:
            if active_partitions:
                active_partitions = {tp for tp in active_partitions if not self._is_full(tp)}
                if not active_partitions:
                    await asyncio.sleep(FETCH_WAIT_MS / 1000)
                    return {}
            fetched = await super()._getmany(active_partitions, timeout)
            for tp, records in fetched.items():
                for record in records:
                    if type(record) is Run:
                        record.epoch = self._epoch
                        self.app.sources[tp.topic].prepare(record)
            return fetched

    def _is_full(self, tp: TP) -> bool:
        """Whether who takes a topic has enough; Faust would have all others wait until there is room."""
        return tp.topic in self.app.sources and self.app.sources[tp.topic].is_full(tp)

    async def _wait_next_records(self, timeout: float) -> Any:
        """Fetch, once there is a partition to fetch for.

        Stock sleeps for a second when the runs of every partition wait to be
        counted, and has nothing left to count for most of it.
        """
        if self._buffered_partitions and not self._get_active_partitions():
            self._drained.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), timeout)
        return await super()._wait_next_records(timeout)

    def on_buffer_drop(self, tp: TP) -> None:
        """Note that a partition's runs were counted."""
        super().on_buffer_drop(tp)
        self._drained.set()

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Deliver what was fetched, except runs that a seek has overtaken."""
        async for tp, message in super().getmany(timeout):
            if type(message.value) is Run and self.is_stale(message.value):
                continue
            yield tp, message

    def is_stale(self, run: Run) -> bool:
        """Whether the source was sought since the run was fetched."""
        return run.epoch != self._epoch

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if type(record) is not Run:
            return super()._to_message(tp, record)
        # Faust's TP and aiokafka's are equal, but Faust asserts its own.
        tp = ensure_TP(tp)
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            record.next_offset - 1,
            None,
            None,
            None,
            None,
            record,
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def durable(self, tp: TP, next_offset: int) -> None:
        """State up to ``next_offset`` survives: commit it with the next commit."""
        self._durable[tp] = next_offset

    async def rejoin(self) -> None:
        """Have the partitions shared out again."""
        await self._thread.call_thread(self._thread.rejoin)

    def is_read_to_end(self, tp: TP, next_offset: int | None) -> bool:
        """Whether Kafka said, within the last seconds, that nothing lies behind ``next_offset``.

        Nor anything that a transaction may yet commit.
        """
        consumer = self._thread._ensure_consumer()
        if tp not in consumer.assignment():
            return False
        end, said = consumer.highwater(tp), consumer.last_poll_timestamp(tp)
        if end is None or said is None or next_offset is None:
            return False
        return bool(next_offset >= end and time.time() - said / 1000 < FRESH_SECONDS)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        yield from super()._filter_tps_with_pending_acks(topics)
        yield from (tp for tp in self._durable if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        if self._is_run_tp(tp):
            return self._durable.get(tp)
        offset: int | None = super()._new_offset(tp)
        return offset

    async def wait_empty(self) -> None:
        """Checkpoint and commit, on revocation and on stop.

        Stock waits for every delivered message to be acknowledged, without a
        deadline; what is delivered but not counted is read again by whoever
        owns the partition next. But it may not take so long that another
        worker owns it already: what we had in hand would come behind what the
        other has said since.
        """
        limit = self.app.conf.broker_session_timeout
        try:
            async with asyncio.timeout(limit):
                await asyncio.gather(*(source.checkpoint() for source in self.app.sources.values()))
                await self.commit_and_end_transactions()
        except TimeoutError:
            end(
                f"what was counted last could not be saved within {limit:.0f} s, and will be counted again",
                EXIT_CODE,
            )
        self._durable.clear()

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Ends of partitions; where a changelog ends before our copy of it, the worker does.

        Faust would go on to say so by a trace, and name no cure.
        """
        ends: Mapping[TP, int] = await super().highwaters(*partitions)
        for tp, changelog_end in ends.items():
            table = self.app.tables._changelogs.get(tp.topic)
            copied = None if table is None else table.persisted_offset(tp)
            if copied and changelog_end is not None and copied >= changelog_end:
                settings = self.app.settings
                end(
                    f"CLICKWARDEN_DATA_DIR={settings.data_dir}: the folder has {copied + 1:,} records of {tp}"
                    f", and Kafka at {settings.bootstrap} has {changelog_end:,}: it is a copy of the state "
                    "of another Kafka or another CLICKWARDEN_APP_ID, or Kafka has lost records; name another "
                    "folder, or remove this one, which is a copy",
                    REFUSED,
                )
        return ends

    async def perform_seek(self) -> None:
        """Seek every partition to the position of its state.

        No fetch may be under way meanwhile (stock loses or doubles what it
        drains), and what was fetched before is void: a new epoch begins.
        """
        async with self._fetching:
            self._epoch += 1
            await super().perform_seek()
            sources = [tp for tp in self.assignment() if self._is_run_tp(tp)]
            if not sources:
                return
            earliest = await self.earliest_offsets(*sources)
            wanted = {}
            for tp in sources:
                position = self.app.sources[tp.topic].position(tp)
                if position is None:
                    position = self._committed_offset.get(tp)
                if position == BEGINNING:
                    position = None
                if position is not None and position < earliest[tp]:
                    self.app.sources[tp.topic].lost(tp, position, earliest[tp])
                    position = None
                wanted[tp] = earliest[tp] if position is None else position
            await self.seek_wait(wanted)


# What aiokafka makes of its part in the consumer group.
consuming.GroupCoordinator = Coordination


class BatchConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Runs the aiokafka consumer."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust has no setting for either; both are read when the consumer starts.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._isolation_level = "read_committed"
        return consumer

    async def rejoin(self) -> None:
        """Join the group again, with what is to be told to it now."""
        self._ensure_consumer()._coordinator.request_rejoin()

    def highwater(self, tp: TP) -> int:
        """End of what a ``read_committed`` reader can see."""
        end: int = self._ensure_consumer().last_stable_offset(tp)
        return end

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP] | None,
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Mapping[TP, list[Any]]:
        if not self.consumer.flow_active:
            return {}
        fetcher: Fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError()
        with fetcher._subscriptions.fetch_context():
            if fetcher._subscriptions.reassignment_in_progress:
                return {}
            make_runs(fetcher, self.consumer.app.sources)
            try:
                fetched: Mapping[TP, list[Any]] = await fetcher.fetched_records(active_partitions, timeout=0)
            except TopicAuthorizationFailedError as error:
                await self.consumer.app.end_if_refused(error)
                raise
            if not fetched:
                # What comes meanwhile is not taken here, but by the next call, which makes runs of it.
                await self._wait_for_fetch(fetcher, min(timeout or 0, FETCH_WAIT_MS / 1000))
            return fetched

    async def _wait_for_fetch(self, fetcher: Fetcher, timeout: float) -> None:
        waiter = fetcher._create_fetch_waiter()
        await asyncio.wait([waiter], timeout=timeout)
        if not waiter.done():
            waiter.cancel()


class CertainProducer(driver.Producer):  # type: ignore[misc]
    """Writes to Kafka only while the worker's place in the group is certain.

    Looked at last, where a request goes out: what waits in aiokafka's buffers,
    through an outage perhaps, was handed over under what was known then.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known: set[tuple[str, int]] = set()

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        producer.client.send = partial(self._send, producer.client, producer.client.send)
        return producer

    async def send(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int | None, *more: Any
    ) -> Any:
        """Hand over a record when its partition, which may be new, is known; stock asserts that it is."""
        if partition is not None and (topic, partition) not in self._known:
            producer = self._ensure_producer()
            while partition not in await producer.partitions_for(topic):
                await producer.client.force_metadata_update()
                await asyncio.sleep(LEARN_SECONDS)
            self._known.add((topic, partition))
        return await super().send(topic, key, value, partition, *more)

    async def _send(self, client: Any, send: Any, node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, ProduceRequest):
            await client.ready(node, **options)  # connecting takes time
            await self.app.membership.certain()
            self.app.pulse.check()
        return await send(node, request, **options)


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with the consumer and the producer of this module."""

    Consumer = BatchConsumer
    Producer = CertainProducer
