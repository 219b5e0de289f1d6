"""The partitions of a pipeline's topic that this worker scores."""

import asyncio
import logging
import math
from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

import numpy as np
from faust.types import TP
from numpy.typing import NDArray

from agents import anomalies
from agents.aside import Aside
from agents.assigned import Assigned
from agents.latency import Delays
from agents.lineups import Lineups
from agents.owned import OwnedPartition
from agents.segments import SegmentRows
from agents.shelf import Shelf
from app.application import Application
from clickwarden.alerts.sight import Sight
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.clicks import Rejected
from clickwarden.detection.intake import ACCEPTED, Counts, Intake
from clickwarden.detection.lineup import ONLINE, learning
from clickwarden.formats.fields import Record
from clickwarden.kafka.runs import RUN_RECORDS, Run
from clickwarden.models import standing as standings
from clickwarden.models.alarms import alarms
from clickwarden.models.artefact import Model
from clickwarden.models.dataset import FATES as WORDS
from clickwarden.models.features import (
    KEYLESS,
    LATE,
    TAKEN,
    TIMELESS,
    UNREADABLE,
    Features,
    Rows,
    Segment,
    moments_of,
)
from clickwarden.models.happened import happened
from clickwarden.models.judges import Judges
from clickwarden.models.monitor import JudgedDay, Monitor
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.standing import Comparison, Standing
from clickwarden.models.verdicts import Verdicts
from tables.partitioned import PartitionedTable

log = logging.getLogger(__name__)

BEHIND = "behind"
#: What becomes of a record, as the worker counts it.
FATES = {
    TAKEN: ACCEPTED,
    LATE: BEHIND,
    KEYLESS: "keyless",
    TIMELESS: "timeless",
    UNREADABLE: "unreadable",
}
#: Between two questions how many records wait where nothing is fetched.
LOOK_SECONDS = 5.0
#: Runs that wait to be scored before no more are fetched.
WAITING = 8
#: So many segments that follow one another become one, where each is smaller than this: or a quiet topic had
#: one for each checkpoint of its longest window.
MERGED, SMALL_BYTES = 32, 16 * 1024


class _Packed(NamedTuple):
    """A standing, and what has to happen with it: see :class:`~agents.owned.OwnedPartition`."""

    position: int | None
    dumped: bytes
    dropped: list[tuple[str, int]]
    sent: int


class _Scored(NamedTuple):
    """What was made of some records.

    Attributes:
        records: those that say that something happened.
        moments: int64[n], when each happened, epoch milliseconds.
        rows: their features.
        verdicts: of each model, the champion first.
        found: anomalies, of all models, and of days on which records have drifted.
    """

    records: Sequence[Record]
    moments: NDArray[np.int64]
    rows: Rows
    verdicts: list[Verdicts]
    found: list[Anomaly]


class ScoredPartition(OwnedPartition[_Packed]):
    """One partition of a pipeline's topic: its features, and the models that score it.

    Attributes:
        features: of its next record.
        intake: what becomes of its records.
        standing: all that is known of it besides.
        judges: the models that score it.
        delays: how long its newest records waited.
        trouble: why nothing of it can be scored; empty where all can.
        waits: while nothing is fetched because nothing can be scored, how many records wait.
    """

    taken = "scored"

    def __init__(
        self, app: Application, table: PartitionedTable, pipeline: Pipeline, partition: int, shelf: Shelf
    ) -> None:
        super().__init__(app, TP(pipeline.topic, partition))
        self.features = Features(pipeline)
        self.intake = Intake(())
        self.delays = Delays()
        self.trouble = ""
        self.waits: int | None = None
        self._counted_at = -math.inf
        self._pipeline = pipeline
        self._shelf = shelf
        self.judges = Judges(pipeline, partition)
        self._rows = SegmentRows(table, pipeline.name, partition, app.consumer_generation_id)
        self.standing = (
            standings.load(self._rows.newest) if self._rows.newest else Standing(pipeline.definition_hash)
        )
        self._monitor = Monitor(pipeline, partition, self.standing.watched)
        self._newest: list[int] = []
        # The newest segments of this owner, as long as they are small.
        self._small: list[Segment] = []
        self._lineups = Lineups(app, pipeline.name, partition, self._rows.owner, self._deliveries)
        self._aside = Aside(self._settings, self.tp, self._deliveries)

    async def restore(self) -> None:
        """Learn again what its segments hold."""
        if self.standing.definition != self._pipeline.definition_hash:
            self.trouble = (
                f"the state of {self.tp} is of other features than {self._pipeline.folder} defines now; give "
                "the pipeline another name, under which it begins anew, or put its pipeline.toml back"
            )
            return

        def restore() -> None:
            segments = list(self._rows.segments(self.standing))
            self._newest = [segment.newest for segment in segments]
            self.features.restore(segment.data for segment in segments)

        await asyncio.to_thread(restore)

    @property
    def next_offset(self) -> int | None:
        """Where scoring goes on; None before the first record."""
        return self.standing.next_offset

    @property
    def _in_force(self) -> int:
        return self._app.modelstopic.number

    @property
    def is_waiting(self) -> bool:
        """Whether nothing of it can be scored now."""
        return bool(self.trouble) or self.judges.waiting

    @property
    def days(self) -> Sequence[JudgedDay]:
        """Those that were judged, the newest ones, in their order."""
        return self._monitor.known.days

    @property
    def sight(self) -> Sight:
        """What can be seen of its records."""
        fates = dict(self.standing.fates)
        return Sight.of(self.intake, Counts(fates.pop(ACCEPTED, 0), rejected=fates), {})

    async def _step(self, run: Run, begin: int) -> int:
        lineup = self.standing.lineup
        change = self.standing.adopt(begin)
        if self.standing.lineup != lineup:
            await self._choose()
        end = run.next_offset if change is None else min(change, run.next_offset)
        records = list(run.between(begin, end).unpack())
        for first in range(0, len(records), RUN_RECORDS):
            part = records[first : first + RUN_RECORDS]
            if scored := await asyncio.to_thread(self._score, part):
                await self._report(scored)
            self._advance(part[-1].offset + 1)
        self._advance(end)
        return end

    def _score(self, records: Sequence[Record]) -> _Scored | None:
        """What becomes of some records; None where none of them says that something happened."""
        records, read = happened(self._pipeline, records)
        if not records:
            return None
        rows, moments = self.features.of(read), moments_of(read)
        offsets = [record.offset for record in records]
        said = self.judges.judge(rows)
        found: list[Anomaly] = []
        for place, verdicts in enumerate(said):
            incidents = self.standing.incidents.setdefault(verdicts.version if place else "", {})
            beside = read, moments, offsets, self.tp.partition, incidents
            found += alarms(self._pipeline, verdicts, *beside, shadow=bool(place))
        if self.judges.trained is not None:
            found += self._monitor.add(rows, read.keys, said[0].alarmed)
        return _Scored(records, moments, rows, said, found)

    async def _report(self, scored: _Scored) -> None:
        self.standing.alarms += int(scored.verdicts[0].alarmed.sum())
        self._compare(scored)
        self._count(scored.records, scored.rows.fates)
        if scored.found:
            await anomalies.emit(scored.found, self._settings, self._deliveries, self._app.clock.now())
        for place in np.flatnonzero(scored.rows.fates != TAKEN).tolist():
            fate = int(scored.rows.fates[place])
            await self._aside.put_unscored(scored.records[place], _reason(fate), late=fate == LATE)
        self.delays.note(stamps_of(scored.records), self._app.clock.now())

    def _compare(self, scored: _Scored) -> None:
        """Hold the challengers against the champion."""
        taken = scored.rows.taken
        if not taken.any():
            return
        moments, champion = scored.moments[taken], scored.verdicts[0].alarmed
        for verdicts in scored.verdicts[1:]:
            known = self.standing.compared.setdefault(verdicts.version, Comparison())
            known.add(moments, verdicts.alarmed, champion)

    def _count(self, records: Sequence[Record], fates: NDArray[np.uint8]) -> None:
        """Learn what became of records."""
        total = self.standing.fates
        for fate, count in enumerate(np.bincount(fates, minlength=len(FATES)).tolist()):
            if count:
                total[FATES[fate]] = total.get(FATES[fate], 0) + count
        stamps = stamps_of(records)
        if (fates == TAKEN).all():
            self.intake.note(None, stamps, len(records))
            return
        numbers = np.array([self.intake.number(FATES[fate]) for fate in range(len(FATES))])
        self.intake.note(numbers[fates], stamps, len(records))
        self.intake.reject(
            Rejected(records[place].offset, None, records[place].value or b"", _reason(fate), WORDS[fate])
            for place in np.flatnonzero((fates != TAKEN) & (fates != LATE)).tolist()
            for fate in [int(fates[place])]
        )

    def _advance(self, next_offset: int) -> None:
        self.standing.next_offset = next_offset
        self._changed = True

    async def _pack(self) -> _Packed:
        segment = await asyncio.to_thread(self.features.segment)
        dropped = [] if segment is None else await self._keep(segment)
        while len(self._newest) > 1 and self._newest[0] <= self.features.forgotten:
            del self._newest[0]
            dropped.append(self.standing.drop())
        self.standing.watched = await asyncio.to_thread(self._monitor.pack)
        # None of it was made before those that score are chosen, behind the first time that all is packed.
        self.standing.learnt = self.judges.learnt() or self.standing.learnt
        sent = self._deliveries.sent
        return _Packed(self.standing.next_offset, standings.dump(self.standing), dropped, sent)

    async def _keep(self, segment: Segment) -> list[tuple[str, int]]:
        """Have a segment durable, as one with small ones before it; those that it stands for.

        No state names it before the one that is packed then.
        """
        gone: list[tuple[str, int]] = []
        small = [*self._small[-len(self._newest) :], segment] if self._newest else [segment]
        if len(small) >= MERGED:
            segment = await asyncio.to_thread(self.features.merged, small)
            gone = [self.standing.pop() for _ in small[1:]]
            del self._newest[len(self._newest) - len(gone) :]
            small = [segment]
        self._small = small if len(segment.data) < SMALL_BYTES else []
        self.standing.add(self._rows.owner, await self._rows.add(segment))
        self._newest.append(segment.newest)
        return gone

    async def _save(self, packed: _Packed) -> None:
        # 2. acknowledged before the standing that is behind it
        await self._deliveries.acknowledged(packed.sent)
        # 3. durable
        await self._rows.save(packed.dumped, packed.dropped)
        # 4. committed with the next commit
        if packed.position is not None:
            self._app.consumer.durable(self.tp, packed.position)

    async def checkpoint(self) -> None:
        """Make what was scored durable; a state of which nothing can be made stays as it is."""
        if not self.trouble:
            await super().checkpoint()

    async def resume(self) -> None:
        """Take up the state, unless nothing can be made of it."""
        await self.restore()
        if not self.trouble:
            await super().resume()

    async def _go_on(self) -> None:
        await self._choose()

    async def take_up(self) -> None:
        """Plan models that have changed, and look again for those that are missing."""
        if not self._resumed:
            return
        await super().take_up()
        if self.judges.waiting:
            async with self._counting:
                await self._choose()
        if not self.is_waiting:
            self.waits = None
        elif monotonic() > self._counted_at + LOOK_SECONDS:
            self._counted_at = monotonic()
            begin = self.next_offset
            if begin is None:
                begin = (await self._app.consumer.earliest_offsets(self.tp))[self.tp]
            self.waits = max(0, await self._end() - begin)

    async def _choose(self) -> None:
        """Have the models that score it ready, and those that are planned to."""
        for since in self.standing.planned:
            if await self._shelf.ready(since.lineup) is None:
                self._serve(None)
                return
        self._serve(await self._shelf.ready(self.standing.lineup))

    def _serve(self, models: list[Model] | None) -> None:
        """Score by these, the champion first, and hold days against what one that was trained has learnt."""
        self.judges.serve(self.standing.lineup, models, self.standing.learnt)
        if champion := self.judges.trained:
            self._monitor.serve(champion.manifest)

    async def _plan(self) -> bool:
        topic, end = self._app.modelstopic, await self._end()
        number, lineup = topic.number, topic.lineup(self._pipeline.name)
        if not lineup.champion and self._pipeline.detector == ONLINE:
            lineup = learning(lineup, self._pipeline.budget, self._app.assignor.partitions)
        changed = False
        if lineup.champion and (models := await self._shelf.ready(lineup)) is not None:
            before = self.standing.lineup
            changed = self.standing.plan(lineup, end)
            if self.standing.lineup != before:  # at once: it has no record yet
                self._serve(models)
            if changed:
                since = self.standing.planned[-1].offset if self.standing.planned else self.next_offset or 0
                log.info("%s: model %s scores it from offset %s on", self.tp, lineup.champion, since)
        self._taken_up = number
        return changed

    async def _tell(self) -> None:
        await self._lineups.tell(self.standing)


class ScoredPartitions(Assigned[ScoredPartition]):
    """The partitions of a pipeline's topic assigned to this worker.

    Attributes:
        pipeline: of the topic.
        shelf: its models.
    """

    def __init__(self, app: Application, pipeline: Pipeline, table: PartitionedTable) -> None:
        super().__init__(app, pipeline.topic, table)
        self.pipeline = pipeline
        self.shelf = Shelf(pipeline, app.modelstopic)
        self._runs = 0

    def _open(self, partition: int) -> ScoredPartition:
        return ScoredPartition(self._app, self._table, self.pipeline, partition, self.shelf)

    async def _caught_up(self) -> None:
        await self._app.modelstopic.caught_up()

    @property
    def trouble(self) -> str:
        """Why some of the partitions cannot be scored; empty where all can."""
        return next((each.trouble or self.shelf.trouble for each in self if each.is_waiting), "")

    async def open_assigned(self) -> None:
        """Read the state of the partitions just assigned, before their source is sought."""
        self._runs = 0
        await super().open_assigned()

    def prepare(self, run: Run) -> None:
        """Note that a run waits."""
        self._runs += 1

    def is_full(self, tp: TP) -> bool:
        """Whether nothing more of ``tp`` is to be fetched now."""
        found = self._partitions.get(tp.partition)
        return self._runs >= WAITING or found is None or found.is_waiting

    async def take(self, partition: int, run: Run) -> None:
        """Take a run, when there is a model for it, unless its partition was revoked since it was fetched."""
        self._runs -= 1
        while (found := self._partitions.get(partition)) and found.is_waiting:
            if self._app.consumer.is_stale(run):
                return
            await asyncio.sleep(0.25)
        await super().take(partition, run)


def stamps_of(records: Sequence[Record]) -> NDArray[np.float64]:
    """float64[n], the time stamps of records, epoch seconds."""
    return np.array([record.timestamp / 1000 for record in records])


def _reason(fate: int) -> str:
    return "late" if fate == LATE else FATES[fate]
