"""The partitions of the clicks topic that this worker counts."""

import asyncio
import logging
from typing import NamedTuple

from faust.types import TP

from agents import anomalies
from agents.adoptions import Adoptions
from agents.aside import Aside
from agents.assigned import Assigned
from agents.decoding import Decoding
from agents.lateness import Lateness
from agents.owned import OwnedPartition
from agents.silence import Silence
from agents.snapshots import SnapshotRows
from app.application import Application
from clickwarden.alerts.sight import Sight
from clickwarden.detection import snapshot
from clickwarden.detection.activity import Activity
from clickwarden.detection.detection import Findings
from clickwarden.detection.intake import Counts, Intake
from clickwarden.detection.rules import fields_of
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


class Partition(OwnedPartition[_Packed]):
    """One partition of the clicks topic: its detection, and what is on its way because of it.

    Attributes:
        detection: what is known of it, and counts.
        intake: what becomes of its records.
        capped: closed windows in which the places for suspects were all taken.
        lateness: what is told of clicks that come late.
    """

    taken = "counted"

    def __init__(self, app: Application, tables: Tables, partition: int, decoding: Decoding) -> None:
        super().__init__(app, TP(app.settings.clicks_topic, partition))
        self._rows = SnapshotRows(tables.snapshots, partition, app.consumer_generation_id)
        self._activity = tables.activity
        self._decoding = decoding
        self.detection = self._rows.load(app.rules, app.settings)
        self.activity = Activity(partition, tables.activity.rows(partition))
        self.intake = Intake(app.rules)
        self.detection.allowing.entries = app.rulestopic.book.allow_list
        self.capped = 0
        self.lateness = Lateness(self.tp, self.detection, app.settings)
        self._silence = Silence(self.detection, app.settings.idle_timeout)
        self._aside = Aside(self._settings, self.tp, self._deliveries)
        self._adoptions = Adoptions(app, self._rows.owner, self._deliveries)

    @property
    def next_offset(self) -> int | None:
        """Where counting goes on; None before the first record."""
        return self.detection.next_offset

    @property
    def _in_force(self) -> int:
        return self._app.rulestopic.book.number

    @property
    def sight(self) -> Sight:
        """What can be seen of its records."""
        detection = self.detection
        total = Counts(detection.accepted, detection.late, detection.uncounted, detection.rejected)
        return Sight.of(self.intake, total, self._settings.field_names)

    async def _step(self, run: Run, begin: int) -> int:
        self._silence.begin()
        change = self.detection.adopt(begin)
        end = run.next_offset if change is None else min(change, run.next_offset)
        # Decoded ahead, before the rules were known by which it is counted, it may lack fields.
        await self._count(run.between(begin, end).reading(self.detection.fields))
        return end

    async def _count(self, run: Run) -> None:
        counted = 0
        async for batch, next_offset in self._decoding.decoded(run):
            findings = self.detection.count(batch)
            self.intake.take(batch, findings)
            self.lateness.by_silence += findings.late_by_silence
            self._advance(next_offset)
            await self._report(findings)
            await self._aside.put_rejected(batch)
            if findings.late:
                records = run.records[counted : counted + batch.taken]
                await self._aside.put_late(records, batch, findings, self._decoding.elements)
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

    async def checkpoint(self) -> None:
        """Make what was counted durable, and tell of what came late."""
        self.lateness.tell()
        await super().checkpoint()

    async def _pack(self) -> _Packed:
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
            if not self._whole or silence is None:
                return
            self.detection.adopt(self.detection.next_offset or 0)
            if not self.detection.decide(silence):
                return
            self._changed = False
            await self._save(await self._pack())
            await self._report(self.detection.close())
            self._changed = True

    @property
    def _read_to_end(self) -> bool:
        return bool(self._app.consumer.is_read_to_end(self.tp, self.detection.next_offset))

    async def _go_on(self) -> None:
        await self._report(self.detection.close())
        self._changed = True

    async def _tell(self) -> None:
        await self._adoptions.tell(self.detection)

    async def _plan(self) -> bool:
        book, end = self._app.rulestopic.book, await self._end()
        rules, number, allow_list = book.rules, book.number, book.allow_list.number
        if changed := self.detection.plan(rules, end):
            log.info("%s: the rules changed; the new ones count from offset %s on", self.tp, end)
        if others := self.detection.allowing.plan(allow_list, end):
            log.info("%s: the allow-list changed; the new one holds from offset %s on", self.tp, end)
        self.intake.watch(rules)
        self._taken_up = number
        return changed or others


class Partitions(Assigned[Partition]):
    """The partitions of the clicks topic assigned to this worker."""

    def __init__(
        self, app: Application, snapshots: PartitionedTable, activity: PartitionedTable, decoding: Decoding
    ) -> None:
        super().__init__(app, app.settings.clicks_topic, snapshots)
        self._tables = Tables(snapshots, activity)
        self._decoding = decoding
        self._fields: frozenset[str] = frozenset()

    def _open(self, partition: int) -> Partition:
        return Partition(self._app, self._tables, partition, self._decoding)

    async def _caught_up(self) -> None:
        await self._app.rulestopic.caught_up()

    async def open_assigned(self) -> None:
        """Read the state of the partitions just assigned, before their source is sought."""
        await super().open_assigned()
        self._look()

    def _look(self) -> None:
        """See which fields of clicks rules look at, in force or soon."""
        detections = [partition.detection for partition in self]
        planned = [rules for detection in detections for _, rules in detection.changes]
        of_all = (fields_of(rules) for rules in (self._app.rules, *planned))
        self._fields = frozenset().union(*of_all, *(detection.fields for detection in detections))

    def prepare(self, run: Run) -> None:
        """Have a run decoded before its turn to be counted comes."""
        run.fields = self._fields
        self._decoding.submit(run)

    async def take_up(self) -> None:
        """Have the partitions take up rules that have changed."""
        await super().take_up()
        self._look()

    async def close_idle(self) -> None:
        """Let wall clock close windows of silent partitions."""
        await asyncio.gather(*(partition.close_if_idle() for partition in self))
