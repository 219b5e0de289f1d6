"""Runs: consecutive records of one partition, as Kafka keeps them."""

from asyncio import Queue
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from clickwarden.formats.fields import Record
from clickwarden.formats.records import Fault
from clickwarden.formats.schema import Schema

#: Records to make a run of. Longer runs make users of one run share more cells
#: of a sketch, which are then updated one by one; shorter ones pay the cost a
#: run more often.
RUN_RECORDS = 8000


class Run:
    """The records with offsets in ``[first, next_offset)`` that a reader may see.

    Attributes:
        raw: their record batches, whole, so that there may be records of other offsets in them.
        epoch: of the consumer that fetched it.
        decoded: what they say, piece by piece, if somebody decodes them ahead.
        answers: what a schema registry has said of schemas that they name, by the schema's number.
        fields: of their clicks that rules look at, and so are read when it is decoded.
    """

    __slots__ = ("_records", "answers", "decoded", "epoch", "fields", "first", "next_offset", "raw")

    def __init__(self, raw: bytes, first: int, next_offset: int) -> None:
        self.raw = raw
        self.first = first
        self.next_offset = next_offset
        self.epoch = 0
        self.decoded: Queue[Any] | None = None
        self.answers: Mapping[int, Schema | Fault] = {}
        self.fields: frozenset[str] = frozenset()
        self._records: list[Record] | None = None

    def unpack(self) -> Iterator[Record]:
        """The records, in the order of their offsets.

        Raises:
            CorruptRecordException: a batch is not what was written.
        """
        return chain.from_iterable(self._batches())  # not a step of our own for each record

    def _batches(self) -> Iterator[Iterable[Record]]:
        batches = MemoryRecords(self.raw)
        while batches.has_next():
            batch = batches.next_batch()
            if not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC in the batch at offset {batch.base_offset}")
            if self.first <= batch.base_offset and batch.next_offset <= self.next_offset:
                yield batch
            else:
                yield (record for record in batch if self.first <= record.offset < self.next_offset)

    @property
    def records(self) -> list[Record]:
        """All of them, unpacked once."""
        if self._records is None:
            self._records = list(self.unpack())
        return self._records

    def between(self, first: int, next_offset: int) -> "Run":
        """The part of the run with these offsets."""
        return (
            self if (first, next_offset) == (self.first, self.next_offset) else self._part(first, next_offset)
        )

    def reading(self, fields: frozenset[str]) -> "Run":
        """The run with these fields of its clicks read: another one where they would not be."""
        if fields <= self.fields:
            return self
        run = self._part(self.first, self.next_offset)
        run.fields |= fields
        return run

    def _part(self, first: int, next_offset: int) -> "Run":
        part = Run(self.raw, first, next_offset)
        part.answers, part.fields = self.answers, self.fields
        return part
