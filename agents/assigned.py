"""The partitions of a topic that are assigned to this worker."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from faust.types import TP

from agents.owned import OwnedPartition
from app.application import Application
from app.transport import BEGINNING
from clickwarden.kafka.runs import Run
from tables.partitioned import PartitionedTable

O = TypeVar("O", bound=OwnedPartition[Any])  # noqa: E741


class Assigned(ABC, Generic[O]):
    """The partitions of one topic (:class:`app.transport.Source`).

    Args:
        app: the application.
        topic: its name.
        table: that holds their state.
    """

    def __init__(self, app: Application, topic: str, table: PartitionedTable) -> None:
        self._app = app
        self._topic = topic
        self._table = table
        self._partitions: dict[int, O] = {}

    def __iter__(self) -> Iterator[O]:
        """The partitions, as they are now."""
        return iter(list(self._partitions.values()))

    @abstractmethod
    def _open(self, partition: int) -> O:
        """A partition, with its state."""

    @abstractmethod
    async def _caught_up(self) -> None:
        """Wait until all is known that their last owners told of them."""

    async def open_assigned(self) -> None:
        """Read the state of the partitions just assigned, before their source is sought."""
        self._partitions.clear()
        with_state = {
            tp.partition
            for tp in self._app.assignor.assigned_actives()
            if tp.topic == self._table.changelog_topic_name
        }
        for tp in self._app.consumer.assignment():
            if tp.topic == self._topic:
                if tp.partition not in with_state:
                    raise RuntimeError(f"{tp} was assigned to this worker without its state")
                self._partitions[tp.partition] = self._open(tp.partition)
        # What their last owners told of them may have come this moment.
        await self._caught_up()
        await asyncio.gather(*(partition.resume() for partition in self))

    def drop(self) -> None:
        """Forget the partitions: they are revoked, their state is durable."""
        self._partitions.clear()

    def prepare(self, run: Run) -> None:
        """Begin what can be done before the run's turn to be taken comes."""

    def is_full(self, tp: TP) -> bool:
        """Whether nothing more of ``tp`` is to be fetched now."""
        return False

    async def take(self, partition: int, run: Run) -> None:
        """Take a run, unless its partition was revoked since it was fetched.

        Raises:
            SchemasMissing: see :meth:`~agents.owned.OwnedPartition.take`.
        """
        if partition in self._partitions:
            await self._partitions[partition].take(run)
        elif not self._app.rebalancing:
            raise RuntimeError(f"{self._topic}: records of partition {partition} came, which is not open")

    def position(self, tp: TP) -> int | None:
        """Offset the state of ``tp`` continues at, or BEGINNING; None if it has no state."""
        found = self._partitions.get(tp.partition)
        if found is None:
            return None
        return BEGINNING if found.next_offset is None else found.next_offset

    def lost(self, tp: TP, first: int, end: int) -> None:
        """Kafka no longer holds the offsets ``[first, end)`` of ``tp``."""
        self._partitions[tp.partition].lose(first, end)

    async def checkpoint(self) -> None:
        """Make the state of all partitions durable."""
        await asyncio.gather(*(partition.checkpoint() for partition in self))

    async def take_up(self) -> None:
        """Have the partitions take up what has changed."""
        await asyncio.gather(*(partition.take_up() for partition in self))
