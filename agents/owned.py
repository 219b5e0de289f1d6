"""A partition of a topic that this worker owns: takes its records once each, and keeps what comes of them."""

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from faust.types import TP

from app.application import Application
from app.delivery import Deliveries
from clickwarden.errors import SchemasMissing, SnapshotError
from clickwarden.kafka.runs import Run

log = logging.getLogger(__name__)

#: What a checkpoint makes durable.
P = TypeVar("P")


class OwnedPartition(ABC, Generic[P]):
    """One partition: its state, and what is on its way because of it.

    A checkpoint keeps this order, so that after a crash at any point the
    worker finds a state and the position it belongs to, and nothing that the
    state has forgotten is unsaid:

    1. what is known, with the position it was taken to, is packed;
    2. every record sent because of it so far is acknowledged;
    3. the state goes to the changelog and is acknowledged, then to RocksDB,
       behind the rows it refers to;
    4. the position may be committed, and what no state refers to any more removed.

    What was sent after the last checkpoint is sent again after a crash, with
    the same ids and the same content.

    Attributes:
        tp: the partition's name in Kafka.
        lost: records that Kafka no longer held when they were to be taken.
        taken: what becomes of its records, in a word.
    """

    taken: ClassVar[str]

    def __init__(self, app: Application, tp: TP) -> None:
        self.tp = tp
        self.lost = 0
        self._app = app
        self._settings = app.settings
        self._deliveries = Deliveries(app)
        self._taken_up = 0
        # Whether the state is taken up: before, nothing is planned by it or written.
        self._resumed = False
        self._counting = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._changed = False
        # Whether all is said that taking records has brought up: not if it was cut short.
        self._whole = True
        # The run whose rest is taken next, when it is known of which schemas its records are.
        self._waiting: Run | None = None

    @property
    @abstractmethod
    def next_offset(self) -> int | None:
        """Where it goes on; None before the first record."""

    @property
    @abstractmethod
    def _in_force(self) -> int:
        """The number of the last change of what it goes by."""

    @abstractmethod
    async def _step(self, run: Run, begin: int) -> int:
        """Take records of a run from an offset on, as far as they go by the same; returns where to go on.

        Raises:
            SchemasMissing: nothing behind what was said can be taken before schemas are known.
        """

    @abstractmethod
    async def _pack(self) -> P:
        """Step 1, while nothing is taken, so that all it has brought up is sent."""

    @abstractmethod
    async def _save(self, packed: P) -> None:
        """Steps 2 to 4."""

    @abstractmethod
    async def _plan(self) -> bool:
        """Plan what is in force from the partition's end on; False if it is planned already."""

    @abstractmethod
    async def _tell(self) -> None:
        """Tell by what the partition goes since which offset, when the state holds it."""

    @abstractmethod
    def _advance(self, next_offset: int) -> None:
        """Take records up to an offset as taken."""

    def lose(self, first: int, end: int) -> None:
        """Kafka no longer holds the offsets ``[first, end)``: report it."""
        self.lost += end - first
        self._advance(end)
        log.error(
            "%s: retention deleted offsets %s to %s before they were %s: %s records lost",
            self.tp,
            first,
            end - 1,
            self.taken,
            end - first,
        )

    async def take(self, run: Run) -> None:
        """Take a run of records, which may begin with ones already taken.

        Raises:
            SchemasMissing: its rest is of schemas that are not known, and has to be taken next.
        """
        async with self._counting:
            if not self._whole or self._waiting not in (None, run):
                # Faust restarts its agent while the worker ends, behind what was not taken.
                raise RuntimeError(f"{self.tp}: the run before was cut short")
            self._whole, self._waiting = False, None
            begin = await self._begin(run)
            while begin < run.next_offset:
                try:
                    begin = await self._step(run, begin)
                except SchemasMissing:  # before a batch, so that all that was taken is said
                    self._whole, self._waiting = True, run
                    raise
            self._whole = True

    async def _begin(self, run: Run) -> int:
        """Offset in the run to begin at; behind the run if all of it was taken before.

        Raises:
            SnapshotError: the state is of records that Kafka does not have.
        """
        position = self.next_offset
        if position is None:
            return run.first
        if run.next_offset <= position:
            # Records of a topic made anew bear old offsets: whoever skips them has to look.
            await self._end()
            return run.next_offset
        if run.first > position:
            # A gap: transactions and compaction leave some, and so does retention.
            earliest = (await self._app.consumer.earliest_offsets(self.tp))[self.tp]
            if earliest > position:
                self.lose(position, earliest)
        return max(run.first, position)

    async def _end(self) -> int:
        """End of what Kafka holds.

        Raises:
            SnapshotError: the state is of records that Kafka does not have.
        """
        end: int = (await self._app.consumer.highwaters(self.tp))[self.tp]
        position = self.next_offset
        if position is not None and position > end:
            raise SnapshotError(
                f"{self.tp} ends at offset {end}, and its state is of {position} records: the topic was made "
                "anew, or Kafka has lost records; begin anew with another CLICKWARDEN_APP_ID"
            )
        return end

    async def checkpoint(self) -> None:
        """Make what was taken durable; see the class for the steps."""
        async with self._saving:
            if self._changed:
                async with self._counting:
                    if not self._whole:
                        return
                    self._changed = False
                    packed = await self._pack()
                await self._save(packed)

    async def resume(self) -> None:
        """Take up the state: plan what has changed, and make the state this owner's."""
        async with self._saving, self._counting:
            await self._plan()
            # Before anything is taken: what a predecessor has still under way is then behind it.
            self._changed = False
            await self._save(await self._pack())
            await self._tell()
            await self._go_on()
            self._resumed = True

    async def _go_on(self) -> None:
        """Say what was decided before a crash."""

    async def take_up(self) -> None:
        """Plan what has changed, once the state is taken up.

        Nothing is taken or told by it before the plan is part of the state, and is told of.
        """
        if not self._resumed or self._in_force == self._taken_up:
            return
        async with self._saving, self._counting:
            if not self._whole:
                return
            self._whole = False
            if await self._plan():
                self._changed = False
                await self._save(await self._pack())
                await self._tell()
            self._whole = True
