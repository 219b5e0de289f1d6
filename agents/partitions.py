"""The source partitions this worker counts, and the checkpoint that keeps them."""

import asyncio
import logging
from collections.abc import Iterator
from typing import NamedTuple

from faust.types import TP

from agents import anomalies
from agents.adoptions import Adoptions
from agents.aside import Aside
from agents.decoding import Decoding
from agents.lateness import Lateness
from agents.silence import Silence
from agents.snapshots import SnapshotRows
from app.application import Application
from app.delivery import Deliveries
from app.transport import BEGINNING
from clickwarden.alerts.sight import Sight
from clickwarden.detection import snapshot
from clickwarden.detection.activity import Activity
from clickwarden.detection.detection import Findings
from clickwarden.detection.intake import Counts, Intake
from clickwarden.detection.rules import fields_of
from clickwarden.errors import SchemasMissing, SnapshotError
from clickwarden.kafka.runs import Run
from clickwarden.times import isotime
from tables.partitioned import PartitionedTable

log = logging.getLogger(__name__)


class Tables(NamedTuple):
    """Where a partition's state is kept, and what people look up of it."""

    snapshots: PartitionedTable
    activity: PartitionedTable


class _Packed(NamedTuple):
    """A snapshot, and what has to happen with it: see :class:`Partition`.

    Attributes:
        position: of the source, that it was counted to; None before the first record, and while it is at
            the end and wall clock is about to decide what the last clicks close.
        dumped: what detection knows.
        outcomes: rows the snapshot refers to, of windows closed since the last one.
        gone: rows that it refers to no more, of windows forgotten since then.
        activity: rows of the activity table.
        sent: records that must be acknowledged first.
    """

    position: int | None
    dumped: bytes
    outcomes: dict[bytes, bytes | None]
    gone: dict[bytes, bytes | None]
    activity: dict[bytes, bytes | None]
    sent: int


class Partition:
    """One source partition: its detection, and what is on its way because of it.

    A checkpoint keeps this order, so that after a crash at any point the
    worker finds a state and the position it belongs to, and nothing that the
    state has forgotten is unsaid:

    1. what detection knows, with the position it was counted to, is packed;
    2. every anomaly, rejected and late record sent so far is acknowledged;
    3. the snapshot goes to the changelog and is acknowledged, then to RocksDB,
       behind the rows it refers to;
    4. the position may be committed, and what no snapshot refers to any more removed.

    What was sent after the last snapshot is sent again after a crash, with
    the same ids and the same content.

    Attributes:
        detection: what is known of it, and counts.
        intake: what becomes of its records.
        lost: records that Kafka no longer held when they were to be counted.
        capped: closed windows in which the places for suspects were all taken.
        lateness: what is told of clicks that come late.
    """

    def __init__(self, app: Application, tables: Tables, partition: int) -> None:
        self._app = app
        self._settings = app.settings
        self._rows = SnapshotRows(tables.snapshots, partition, app.consumer_generation_id)
        self._activity = tables.activity
        self.detection = self._rows.load(app.rules, app.settings)
        self.activity = Activity(partition, tables.activity.rows(partition))
        self.intake = Intake(app.rules)
        self._rules = app.rules
        self.lost = 0
        self.capped = 0
        self.lateness = Lateness(self.tp, self.detection, app.settings)
        self._silence = Silence(self.detection, app.settings.idle_timeout)
        self._deliveries = Deliveries(app)
        self._aside = Aside(self._settings, partition, self._deliveries)
        self._adoptions = Adoptions(app, self._rows.owner, self._deliveries)
        self._counting = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._changed = False
        # Whether all is said that counting has brought up: not if it was cut short.
        self._whole = True
        # The run whose rest is counted next, when it is known of which schemas its records are.
        self._waiting: Run | None = None

    @property
    def tp(self) -> TP:
        """The partition's name in Kafka."""
        return TP(self._settings.clicks_topic, self.detection.partition)

    @property
    def sight(self) -> Sight:
        """What can be seen of its records."""
        detection = self.detection
        total = Counts(detection.accepted, detection.late, detection.uncounted, detection.rejected)
        return Sight.of(self.intake, total, self._settings.field_names)

    async def count(self, run: Run, decoding: Decoding) -> None:
        """Count a run of records, which may begin with ones already counted.

        Raises:
            SchemasMissing: its rest is of schemas that are not known, and has to be counted next.
        """
        async with self._counting:
            if not self._whole or self._waiting not in (None, run):
                # Faust restarts its agent while the worker ends, behind what was not counted.
                raise RuntimeError(f"{self.tp}: the run before was cut short")
            self._whole, self._waiting = False, None
            begin = await self._begin(run)
            if begin < run.next_offset:
                self._silence.begin()
            while begin < run.next_offset:
                change = self.detection.adopt(begin)
                end = run.next_offset if change is None else min(change, run.next_offset)
                # Decoded ahead, before the rules were known by which it is counted, it may lack fields.
                part = run.between(begin, end).reading(self.detection.fields)
                try:
                    await self._count(part, decoding)
                except SchemasMissing:  # before a batch, so that all that was counted is said
                    self._whole, self._waiting = True, run
                    raise
                begin = end
            self._whole = True

    async def _begin(self, run: Run) -> int:
        """Offset in the run to begin at; behind the run if all of it was counted before.

        Raises:
            SnapshotError: the state is of records that Kafka does not have.
        """
        position = self.detection.next_offset
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

    async def _count(self, run: Run, decoding: Decoding) -> None:
        counted = 0
        async for batch, next_offset in decoding.decoded(run):
            findings = self.detection.count(batch)
            self.intake.take(batch, findings)
            self.lateness.by_silence += findings.late_by_silence
            self._advance(next_offset)
            await self._report(findings)
            await self._aside.put_rejected(batch)
            if findings.late:
                records = run.records[counted : counted + batch.taken]
                await self._aside.put_late(records, batch, findings, decoding.elements)
            counted += batch.taken
            await asyncio.sleep(0)  # for the pulse, and to keep the decoding process fed
        self._advance(run.next_offset)

    def _advance(self, next_offset: int) -> None:
        self.detection.advance(next_offset)
        self._changed = True

    async def _report(self, findings: Findings) -> None:
        for window in findings.closed:
            self.activity.close(window)
            self.intake.close(window)
            if window.full:
                self.capped += 1
                log.warning(
                    "%s: all %s places for suspects of the window %s of rule %s were taken; who came behind "
                    "was reported if over the threshold, with less evidence: CLICKWARDEN_MAX_SUSPECTS",
                    self.tp,
                    sum(pane.max_suspects for pane in window.panes),
                    isotime(window.start),
                    window.rule.name,
                )
        if findings.anomalies:
            now = self._app.clock.now()
            await anomalies.emit(findings.anomalies, self._settings, self._deliveries, now)

    def lose(self, first: int, end: int) -> None:
        """Kafka no longer holds the offsets ``[first, end)``: report it."""
        self.lost += end - first
        self._advance(end)
        log.error(
            "%s: retention deleted offsets %s to %s before they were counted: %s records lost",
            self.tp,
            first,
            end - 1,
            end - first,
        )

    async def checkpoint(self) -> None:
        """Make what was counted durable; see the class for the steps."""
        self.lateness.tell()
        async with self._saving:
            if self._changed:
                async with self._counting:
                    if not self._whole:
                        return
                    packed = self._pack()
                await self._save(packed)

    def _pack(self) -> _Packed:
        # 1. while nothing is counted, so that all it has brought up is sent
        self._changed = False
        undecided = self.detection.leaps and self._read_to_end
        return _Packed(
            position=None if undecided else self.detection.next_offset,
            dumped=snapshot.dump(self.detection),
            outcomes=self._outcomes(),
            gone=self._gone(),
            activity=self.activity.rows(self.detection),
            sent=self._deliveries.sent,
        )

    def _outcomes(self) -> dict[bytes, bytes | None]:
        """Rows of the windows closed since the last snapshot."""
        rows: dict[bytes, bytes | None] = {}
        for window in self.detection.closed:
            if window.outcome is not None and not window.stored:
                rows[snapshot.outcome_key(window.name)] = snapshot.dump_outcome(window.outcome)
                window.stored = True
        return rows

    def _gone(self) -> dict[bytes, bytes | None]:
        """Rows of the windows forgotten since the last snapshot."""
        names, self.detection.closed.gone = self.detection.closed.gone, []
        return dict.fromkeys(map(snapshot.outcome_key, names))

    async def _save(self, packed: _Packed) -> None:
        compressed = await asyncio.to_thread(snapshot.compress, packed.dumped)
        # 2. acknowledged before the snapshot that forgets it
        await self._deliveries.acknowledged(packed.sent)
        # 3. durable
        await self._rows.save(compressed, packed.outcomes, packed.gone)
        # 4. committed with the next commit
        if packed.position is not None:
            self._app.consumer.durable(self.tp, packed.position)
        await self._activity.put(self.detection.partition, packed.activity)

    async def close_if_idle(self) -> None:
        """Close windows by wall clock where the partition is read to its end and silent.

        Event time then goes on at the pace of wall clock from the newest
        click. The decision is durable before anything is said because of it,
        so that a replay finds it decided. While Kafka is away, or a
        transaction open, nobody can know whether the partition is silent: its
        silence begins when that is over. Nor is a pause silence where event
        time arrives in pieces (:class:`~agents.silence.Silence`).
        """
        if not self._read_to_end:
            self._silence.begin()
            return
        if self._silence.seconds(self._app.rules) is None:
            return
        async with self._saving, self._counting:
            silence = self._silence.seconds(self._app.rules)
            if not self._whole or silence is None or not self.detection.decide(silence):
                return
            await self._save(self._pack())
            await self._report(self.detection.close())
            self._changed = True

    @property
    def _read_to_end(self) -> bool:
        return bool(self._app.consumer.is_read_to_end(self.tp, self.detection.next_offset))

    async def resume(self) -> None:
        """Take up the state: plan changed rules, and say what was decided before a crash."""
        async with self._saving, self._counting:
            await self._plan()
            # Before anything is counted: what a predecessor has still under way is then behind it.
            await self._save(self._pack())
            await self._adoptions.tell(self.detection)
            await self._report(self.detection.close())
            self._changed = True

    async def take_up(self) -> None:
        """Plan rules that have changed.

        Nothing is counted by them before the plan is part of the state, and is told of.
        """
        if self._app.rules is self._rules:
            return
        async with self._saving, self._counting:
            if not self._whole:
                return
            self._whole = False
            if await self._plan():
                await self._save(self._pack())
                await self._adoptions.tell(self.detection)
            self._whole = True

    async def _plan(self) -> bool:
        """Put the rules in force into effect from the partition's end on; False if they are already."""
        rules, end = self._app.rules, await self._end()
        changed = self.detection.plan(rules, end)
        if changed:
            log.info("%s: the rules changed; the new ones count from offset %s on", self.tp, end)
        self.intake.watch(rules)
        self._rules = rules
        return changed

    async def _end(self) -> int:
        """End of what Kafka holds.

        Raises:
            SnapshotError: the state is of records that Kafka does not have.
        """
        end: int = (await self._app.consumer.highwaters(self.tp))[self.tp]
        position = self.detection.next_offset
        if position is not None and position > end:
            raise SnapshotError(
                f"{self.tp} ends at offset {end}, and its state is of {position} records: the topic was made "
                "anew, or Kafka has lost records; begin anew with another CLICKWARDEN_APP_ID"
            )
        return end


class Partitions:
    """The partitions assigned to this worker (:class:`app.transport.Source`)."""

    def __init__(
        self, app: Application, snapshots: PartitionedTable, activity: PartitionedTable, decoding: Decoding
    ) -> None:
        self._app = app
        self._tables = Tables(snapshots, activity)
        self._partitions: dict[int, Partition] = {}
        self._decoding = decoding
        self._fields: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Partition]:
        """The partitions, as they are now."""
        return iter(list(self._partitions.values()))

    async def open_assigned(self) -> None:
        """Read the state of the partitions just assigned, before their source is sought."""
        self._partitions.clear()
        with_state = {
            tp.partition
            for tp in self._app.assignor.assigned_actives()
            if tp.topic == self._tables.snapshots.changelog_topic_name
        }
        for tp in self._app.consumer.assignment():
            if tp.topic == self._app.settings.clicks_topic:
                if tp.partition not in with_state:
                    raise RuntimeError(f"{tp} was assigned to this worker without its snapshots")
                self._partitions[tp.partition] = Partition(self._app, self._tables, tp.partition)
        # What their last owners told of them may have come this moment.
        await self._app.rulestopic.caught_up()
        await asyncio.gather(*(partition.resume() for partition in self))
        self._look()

    def _look(self) -> None:
        """See which fields of clicks rules look at, in force or soon."""
        detections = [partition.detection for partition in self]
        planned = [rules for detection in detections for _, rules in detection.changes]
        of_all = (fields_of(rules) for rules in (self._app.rules, *planned))
        self._fields = frozenset().union(*of_all, *(detection.fields for detection in detections))

    def drop(self) -> None:
        """Forget the partitions: they are revoked, their state is durable."""
        self._partitions.clear()

    def prepare(self, run: Run) -> None:
        """Have a run decoded before its turn to be counted comes."""
        run.fields = self._fields
        self._decoding.submit(run)

    async def count(self, partition: int, run: Run) -> None:
        """Count a run, unless its partition was revoked since it was fetched.

        Raises:
            SchemasMissing: see :meth:`Partition.count`.
        """
        if partition in self._partitions:
            await self._partitions[partition].count(run, self._decoding)
        elif not self._app.rebalancing:
            raise RuntimeError(f"clicks of partition {partition} arrived, which is not open")

    def position(self, tp: TP) -> int | None:
        """Offset the state of ``tp`` continues at, or BEGINNING; None if it has no state."""
        found = self._partitions.get(tp.partition)
        if found is None:
            return None
        return BEGINNING if found.detection.next_offset is None else found.detection.next_offset

    def lost(self, tp: TP, first: int, end: int) -> None:
        """Kafka no longer holds the offsets ``[first, end)`` of ``tp``."""
        self._partitions[tp.partition].lose(first, end)

    async def checkpoint(self) -> None:
        """Make the state of all partitions durable."""
        await asyncio.gather(*(partition.checkpoint() for partition in self))

    async def take_up(self) -> None:
        """Have the partitions take up rules that have changed."""
        await asyncio.gather(*(partition.take_up() for partition in self))
        self._look()

    async def close_idle(self) -> None:
        """Let wall clock close windows of silent partitions."""
        await asyncio.gather(*(partition.close_if_idle() for partition in self))
