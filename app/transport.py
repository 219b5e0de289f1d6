"""The batch transport: Faust on aiokafka, a run of records at a time.

Stock Faust builds a task, a lock and an event for every record, some 150 µs;
aiokafka builds an object with eleven fields. Here a *run*, up to
:data:`RUN_RECORDS` records of one partition as aiokafka's parser left them,
travels as one Faust message, so that those costs are paid once a run.

Where the source stands is not decided by acknowledged messages but by the
state that was counted from them: a :class:`Source` names, for each partition,
the offset its durable state continues at. That offset is sought after every
rebalance, whatever the group committed, and that offset is committed.

Reads are ``read_committed``: aborted transactions are left out, and the gaps
that control batches and compaction leave move the position like records do.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import faust
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from app.clicks import Record

#: Longer runs make users of one run share more cells of a sketch, which are
#: then updated one by one; shorter ones pay the cost a run more often.
RUN_RECORDS = 2000

#: Kafka answers a fetch at once when it has data; this bounds the wait when it
#: has none. One fetch is under way to a broker at a time, so a long wait for
#: one partition delays the clicks of another: Faust's own 1500 ms capped the
#: alert latency at 1.5 s.
FETCH_WAIT_MS = 20

#: How old Kafka's last word on the end of a partition may be.
FRESH_SECONDS = 2.0


class Run:
    """Consecutive records of one partition.

    Attributes:
        records: in offset order; empty where only control batches, aborted
            or compacted records were passed over.
        next_offset: where to read on behind the run.
    """

    __slots__ = ("epoch", "next_offset", "records")

    def __init__(self, records: list[Record], next_offset: int) -> None:
        self.records = records
        self.next_offset = next_offset
        self.epoch = 0


class Source(Protocol):
    """Who counts the runs, and so knows where each partition continues."""

    def position(self, tp: TP) -> int | None:
        """Offset the state of ``tp`` continues at; None if it has no state."""

    def lost(self, tp: TP, first: int, end: int) -> None:
        """Kafka no longer holds the offsets ``[first, end)`` of ``tp``."""

    async def checkpoint(self) -> None:
        """Make the state of all partitions durable."""


class RunSchema(faust.Schema):  # type: ignore[misc]
    """Hands runs to the agent as they are."""

    def loads_key(self, app: Any, message: Any, **kwargs: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **kwargs: Any) -> Run:
        run: Run = message.value
        return run


class _ReadOffsets(dict[TP, int | None]):
    """Faust's guard against reading twice, for single records only.

    It compares offsets with the last delivered one; the epoch of a run does
    that job where a seek may go back.
    """

    def __init__(self, run_topics: frozenset[str]) -> None:
        super().__init__()
        self._run_topics = run_topics

    def __missing__(self, tp: TP) -> None:
        return None

    def __getitem__(self, tp: TP) -> int | None:
        return None if tp.topic in self._run_topics else super().__getitem__(tp)


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Delivers runs; seeks and commits where the :class:`Source` says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _ReadOffsets(self.app.run_topics)
        self._fetching = asyncio.Lock()
        self._epoch = 0
        self._durable: dict[TP, int] = {}

    def _new_consumer_thread(self) -> "BatchConsumerThread":
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _is_run_tp(self, tp: TP) -> bool:
        return tp.topic in self.app.run_topics

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        async with self._fetching:
            fetched = await super()._getmany(active_partitions, timeout)
            for records in fetched.values():
                for record in records:
                    if type(record) is Run:
                        record.epoch = self._epoch
            return fetched

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

    def is_read_to_end(self, tp: TP, next_offset: int | None) -> bool:
        """Whether Kafka said, within the last seconds, that nothing lies behind ``next_offset``."""
        consumer = self._thread._ensure_consumer()
        if tp not in consumer.assignment():
            return False
        end, said = consumer.last_stable_offset(tp), consumer.last_poll_timestamp(tp)
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
        owns the partition next.
        """
        await self.app.source.checkpoint()
        await self.commit_and_end_transactions()
        self._durable.clear()

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
                position = self.app.source.position(tp)
                if position is None:
                    position = self._committed_offset.get(tp)
                if position is not None and position < earliest[tp]:
                    self.app.source.lost(tp, position, earliest[tp])
                    position = None
                wanted[tp] = earliest[tp] if position is None else position
            await self.seek_wait(wanted)


def _take_runs(result: FetchResult, max_records: int | None = None) -> list[Run]:
    """All of a fetch result, cut into runs: stands in for its ``getall``.

    Follows aiokafka's ``PartitionRecords._unpack_records``, without making a
    ``ConsumerRecord`` of each record.
    """
    if not result.check_assignment(result._topic_partition) or not result.has_more():
        return []
    fetched: PartitionRecords = result._partition_records
    first = fetched.next_fetch_offset
    rows: list[Record] = []
    for batch in _batches(fetched):
        rows += batch
    if rows and rows[0].offset < first:  # a batch is fetched whole even if sought into
        rows = [record for record in rows if record.offset >= first]
    result._update_position()
    result._partition_records = None
    end = fetched.next_fetch_offset
    if not rows:
        return [Run([], end)] if end > first else []
    runs = []
    for cut in range(0, len(rows), RUN_RECORDS):
        records = rows[cut : cut + RUN_RECORDS]
        runs.append(Run(records, records[-1].offset + 1))
    runs[-1].next_offset = end
    return runs


def _batches(fetched: PartitionRecords) -> Iterator[Any]:
    """The record batches a ``read_committed`` reader sees; moves the fetch position."""
    records = fetched._records
    while records.has_next():
        batch = records.next_batch()
        if fetched._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {fetched._tp}")
        visible = not batch.is_control_batch
        if batch.producer_id is not None:
            fetched._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and fetched._contains_abort_marker(batch):
                fetched._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in fetched._aborted_producers:
                visible = False
        if visible:
            yield batch
        fetched.next_fetch_offset = batch.next_offset


class BatchConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Runs the aiokafka consumer."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust has no setting for either; both are read when the consumer starts.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._isolation_level = "read_committed"
        return consumer

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
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError()
        with fetcher._subscriptions.fetch_context():
            if fetcher._subscriptions.reassignment_in_progress:
                return {}
            for tp, result in fetcher._records.items():
                if tp.topic in self.app.run_topics and type(result) is FetchResult:
                    result.getall = partial(_take_runs, result)
            fetched: Mapping[TP, list[Any]] = await fetcher.fetched_records(active_partitions, timeout=0)
            if not fetched:
                waiter = fetcher._create_fetch_waiter()
                await asyncio.wait([waiter], timeout=min(timeout or 0, FETCH_WAIT_MS / 1000))
                if not waiter.done():
                    waiter.cancel()
            return fetched


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with the consumer of this module."""

    Consumer = BatchConsumer
