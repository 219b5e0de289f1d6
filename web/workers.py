"""All workers and the partitions of all of them, from what each says of itself."""

from typing import Literal, NamedTuple

import msgspec
from aiokafka import ConsumerRecord

from agents.status import GONE_SECONDS, PartitionStatus, Status
from clickwarden.formats.json import UNREADABLE
from clickwarden.times import isotime

#: Silence after which it is not shown any more.
FORGET_SECONDS = 600.0


class AssignedPartition(PartitionStatus, kw_only=True):
    """A partition, and the worker that counted it last.

    Attributes:
        worker: its name in the consumer group.
    """

    worker: str


class WorkerStatus(msgspec.Struct):
    """A worker as it said itself.

    Attributes:
        worker: its name in the consumer group.
        state: ``gone`` after ten seconds of silence, else what it said.
        seen: when it said that, Kafka's clock, ISO-8601 UTC.
        version: of Clickwarden.
        clicks_per_second: records counted, over the last five seconds; None until known.
        partitions: those it counted last and nobody has taken over since.
        detail: why it is blind, or what it waits for, in words; else empty.
    """

    worker: str
    state: Literal["ready", "blind", "recovering", "rebalancing", "away", "gone"]
    seen: str
    version: str
    clicks_per_second: float | None
    partitions: list[AssignedPartition]
    detail: str = ""


class _Word(NamedTuple):
    time: float
    status: Status


class Workers:
    """The newest word of each worker."""

    def __init__(self) -> None:
        self._words: dict[str, _Word] = {}
        self._newest = 0.0
        self._owners: dict[int, str] = {}

    def take(self, record: ConsumerRecord) -> Status | None:
        """Take over a record of the status topic; None if it is no status."""
        try:
            status = msgspec.json.decode(record.value or b"", type=Status)
        except UNREADABLE:
            return None
        self._newest = max(self._newest, record.timestamp / 1000)
        self._words[status.worker] = _Word(record.timestamp / 1000, status)
        for partition in status.partitions:
            self._owners[partition.partition] = status.worker
        return status

    def all(self) -> list[WorkerStatus]:
        """The workers by name; their silence is measured by Kafka's clock, which stamps all they say."""
        for name in [name for name, word in self._words.items() if self._silence(word) > FORGET_SECONDS]:
            del self._words[name]
        return [self._worker(word) for _, word in sorted(self._words.items())]

    def heard(self) -> list[Status]:
        """What those who are not gone said last, by name."""
        words = (word for _, word in sorted(self._words.items()))
        return [word.status for word in words if self._silence(word) <= GONE_SECONDS]

    def _silence(self, word: _Word) -> float:
        return self._newest - word.time

    def _worker(self, word: _Word) -> WorkerStatus:
        status, gone = word.status, self._silence(word) > GONE_SECONDS
        return WorkerStatus(
            worker=status.worker,
            state="gone" if gone else status.state,
            seen=isotime(word.time),
            version=status.version,
            clicks_per_second=0.0 if gone else status.clicks_per_second,
            partitions=[
                AssignedPartition(**msgspec.structs.asdict(partition), worker=status.worker)
                for partition in status.partitions
                if self._owners[partition.partition] == status.worker
            ],
            detail="" if gone else status.detail,
        )
