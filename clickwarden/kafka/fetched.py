"""What aiokafka has fetched, as runs of records: Kafka's own record batches, not an object a record."""

from collections.abc import Container, Iterator

from aiokafka.consumer import fetcher as fetching
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.record.memory_records import MemoryRecords

from clickwarden.kafka.runs import RUN_RECORDS, Run


class _RawRecords(MemoryRecords):  # type: ignore[misc]
    """Record batches that remember the bytes they are read from."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.raw = raw


# What aiokafka makes of each partition's part of a fetch.
fetching.MemoryRecords = _RawRecords


def make_runs(fetcher: Fetcher, topics: Container[str]) -> None:
    """Have aiokafka hand out runs where it would hand out the single records of these topics."""
    for tp, result in fetcher._records.items():
        if tp.topic in topics and type(result) is FetchResult:
            fetched = result._partition_records
            fetched._records_iterator = _runs(fetched)


def _runs(fetched: PartitionRecords) -> Iterator[Run]:
    """The records of a fetch, cut into runs: stands in for aiokafka's iterator over single ones.

    The last run takes the fetch position to its end, though it may hold no record.
    """
    first = fetched.next_fetch_offset
    held: list[bytes] = []
    for batch, next_offset in _batches(fetched):
        held.append(batch)
        if next_offset - first >= RUN_RECORDS:
            yield Run(b"".join(held), first, next_offset)
            first, held = next_offset, []
    if fetched.next_fetch_offset > first:
        yield Run(b"".join(held), first, fetched.next_fetch_offset)


def _batches(fetched: PartitionRecords) -> Iterator[tuple[bytes, int]]:
    """The record batches a ``read_committed`` reader sees, and the offset behind each.

    Follows aiokafka's ``PartitionRecords._unpack_records``; moves the fetch position.
    """
    records: _RawRecords = fetched._records
    begin = 0
    while records.has_next():
        batch = records.next_batch()
        # Base offset and length, 8 and 4 bytes, stand before what the length counts.
        end = begin + 12 + int.from_bytes(records.raw[begin + 8 : begin + 12])
        visible = not batch.is_control_batch
        if batch.producer_id is not None:
            fetched._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and fetched._contains_abort_marker(batch):
                fetched._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in fetched._aborted_producers:
                visible = False
        fetched.next_fetch_offset = batch.next_offset
        if visible:
            yield records.raw[begin:end], batch.next_offset
        begin = end
