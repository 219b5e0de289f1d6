"""What ``rules try`` counts, and how: the topic or files, by the rules in force and by a draft."""

import asyncio
import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer
from rich.progress import Progress

from agents import garbage
from agents.decoding import Decoding
from clickwarden.alerts.words import plural
from clickwarden.audit.comparison import About
from clickwarden.audit.excuses import excuses
from clickwarden.audit.labels import Labels
from clickwarden.audit.told import Told
from clickwarden.audit.trial import Extent, FileRerun, PartitionRerun, Sealing, Sides, sealings
from clickwarden.detection import rulesfile
from clickwarden.detection.adoption import Adoption
from clickwarden.detection.batch import Batch
from clickwarden.detection.rules import Rule
from clickwarden.errors import AccessError, BrokerError, SchemasMissing, SettingsError, TopicMissing
from clickwarden.formats.choice import decoder_of
from clickwarden.formats.recognition import Reading
from clickwarden.kafka.history import Bounds, bounds, runs
from clickwarden.kafka.reader import reader, to_end
from clickwarden.kafka.registry import Registry
from clickwarden.kafka.rulestopic import RulesTopic
from clickwarden.kafka.runs import Run
from clickwarden.settings import Settings
from clickwarden.sources import files as sources
from clickwarden.sources import parsing
from clickwarden.times import isotime
from commands import reading
from commands.scanned import BATCH_CLICKS

#: Runs that are on their way through the decoding process.
AHEAD = 48
#: Seconds without an answer after which that is taken for frozen.
PATIENCE = 60.0


class Tried:
    """A draft beside the rules in force, over what there is to count.

    Nothing is written, and no group joined.

    Args:
        settings: of the topic.
        draft: the rules that are tried.
        labels: of users, which are told who has clicks; None where there are none.
        progress: of what is read.

    Attributes:
        sides: what both tell.
        rules: in force now.
    """

    def __init__(
        self, settings: Settings, draft: Sequence[Rule], labels: Labels | None, progress: Progress
    ) -> None:
        self.sides = Sides(Told(), Told())
        self.rules: tuple[Rule, ...] = ()
        self._settings = settings
        self._draft = draft
        self._labels = labels
        self._progress = progress
        self._task = progress.add_task("Reading", total=None, unit="clicks")

    @property
    def progressed(self) -> str:
        """How far it has got, in words."""
        task = self._progress.tasks[self._task]
        of = "" if task.total is None else f" of {task.total:,.0f}"
        return f"{task.completed:,.0f}{of} {task.fields['unit']} were counted"

    async def topic(self, since: float | None) -> About:
        """Count the topic.

        Args:
            since: leave out what Kafka says is older, epoch seconds; None: nothing.

        Raises:
            TopicMissing, BrokerError, AccessError: it cannot be read.
            SettingsError: it was counted by a rule that this release does not know.
        """
        settings = self._settings
        # The clicks first: where their topic is misspelt, that is what to say.
        async with reader(settings, settings.clicks_topic) as consumer:
            where = await bounds(consumer, since)
            adoptions, against = await self._adoptions(where)
            sealed = await self._sealed(since)
            reruns = {
                tp.partition: PartitionRerun(
                    tp.partition,
                    adoptions[tp.partition],
                    self._draft,
                    settings,
                    self.sides,
                    sealed.get(tp.partition, ()),
                    first,
                    # What Kafka had received by then says that it happened no later than this.
                    math.inf if since is None else since + settings.max_skew,
                )
                for tp, (first, _) in where.items()
            }
            total = sum(end - first for first, end in where.values())
            self._progress.update(self._task, description="Clicks", total=total)
            garbage.tune()
            try:
                await self._count(consumer, where, reruns)
            except BaseExceptionGroup as failed:
                raise failed.exceptions[0] from None
        for rerun in reruns.values():
            rerun.end()
        counted = [rerun.detection for rerun in reruns.values()]
        rejected = sum((Counter(one.rejected) for one in counted), Counter[str]())
        return _about(
            f"topic {settings.clicks_topic}",
            against,
            [rerun.extent for rerun in reruns.values()],
            since=None if since is None else isotime(round(since)),
            partial=any(first for first, _ in where.values()),
            clicks=sum(one.accepted + one.late for one in counted),
            late=sum(one.late for one in counted),
            rejected=dict(rejected.most_common()),
        )

    async def _sealed(self, since: float | None) -> dict[int, list[Sealing]]:
        """What the topic of late clicks says of windows that were closed."""
        settings = self._settings
        try:
            async with reader(settings, settings.late_topic) as consumer:
                for tp, (first, _) in (await bounds(consumer, since)).items():
                    consumer.seek(tp, first)
                late = [record async for _, records in to_end(consumer) for record in records]
        except TopicMissing:
            return {}
        return sealings(excuses(late, settings.clicks_topic))

    async def _adoptions(self, where: Bounds) -> tuple[dict[int, list[Adoption]], str]:
        """By which rules each partition was counted, since which offset; and which they are, in words."""
        topic = RulesTopic(self._settings)
        with suppress(TopicMissing):
            await topic.read()
        against = self._in_force(topic)
        try:
            told = topic.adoptions.told
        except msgspec.MsgspecError as error:
            raise SettingsError(
                f"a rule that was in force is of a newer release ({error}): try it with that one"
            ) from None
        adoptions = {tp.partition: told.get(tp.partition) or [Adoption(0, self.rules)] for tp in where}
        changes = {
            adoption.rules
            for tp, (first, end) in where.items()
            for adoption in adoptions[tp.partition]
            if first < adoption.offset < end
        }
        if changes:
            against += f", which changed {plural(len(changes), 'time')} meanwhile"
        return adoptions, against

    def _in_force(self, topic: RulesTopic) -> str:
        """Learn the rules in force; which they are, in words."""
        if topic.book.number:
            self.rules = topic.book.rules
            for side in self.sides:
                side.allow_list = topic.book.allow_list
            return f"the rules in force (change {topic.book.number})"
        self.rules = rulesfile.load(self._settings.rules)
        return f"the rules of {self._settings.rules}"

    async def _count(
        self, consumer: AIOKafkaConsumer, where: Bounds, reruns: dict[int, PartitionRerun]
    ) -> None:
        """Count the runs within the bounds, which another process decodes meanwhile."""
        decoding = Decoding(decoder_of(self._settings), self._settings.seed, PATIENCE)
        registry = Registry(self._settings)
        waiting: asyncio.Queue[tuple[int, Run] | None] = asyncio.Queue(AHEAD)

        async def read() -> None:
            async for partition, run in runs(consumer, where):
                edges = [run.first, *reruns[partition].cuts(run.first, run.next_offset), run.next_offset]
                for first, next_offset in pairwise(edges):
                    part = run.between(first, next_offset).reading(reruns[partition].fields)
                    decoding.submit(part)
                    await waiting.put((partition, part))
            await waiting.put(None)

        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(decoding.run())
            tasks.create_task(read())
            while (found := await waiting.get()) is not None:
                partition, run = found
                await self._count_run(reruns[partition], run, decoding, registry)
            serving.cancel()

    async def _count_run(
        self, rerun: PartitionRerun, run: Run, decoding: Decoding, registry: Registry
    ) -> None:
        rerun.begin(run.first)
        done = run.first
        while done < run.next_offset:
            try:
                async for batch, next_offset in decoding.decoded(run):
                    self._take(rerun, batch)
                    self._progress.advance(self._task, next_offset - done)
                    done = next_offset
                    await asyncio.sleep(0)  # to keep the decoding process fed
                self._progress.advance(self._task, run.next_offset - done)
                done = run.next_offset
            except SchemasMissing as missing:
                known = {
                    number: await asyncio.to_thread(registry.answer, number) for number in missing.newest
                }
                answers = {**run.answers, **known}
                run = run.between(done, run.next_offset)
                run.answers = answers
                decoding.submit(run)

    def _take(self, rerun: PartitionRerun | FileRerun, batch: Batch) -> None:
        rerun.count(batch)
        if self._labels is not None:
            self._labels.see(batch.users)

    async def files(self, log: Path, topic: Settings, how: Reading) -> About:
        """Count a log, or whatever else ``scan`` reads.

        Args:
            log: a file, a folder, or a pattern.
            topic: the settings, with the fields that were named.
            how: a log is read.

        Raises:
            ClickwardenError: it cannot be read.
        """
        rules_topic = RulesTopic(self._settings)
        with suppress(BrokerError, AccessError):
            await rules_topic.read()
        against = self._in_force(rules_topic)
        paths = sources.found([log])
        rejected: Counter[str] = Counter()
        clicks = 0
        size = reading.size(paths)
        self._progress.update(self._task, description=str(log), total=size, unit="bytes")
        garbage.tune()
        with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as other:
            rerun = FileRerun(self.rules, self._draft, topic, self.sides, (one, other))
            how = replace(how, fields=rerun.fields)
            with closing(parsing.read_all(paths, topic, how, size)) as blocks:
                for block in blocks:
                    rejected.update(record.reason for record in block.clicks.rejected)
                    clicks += len(block.clicks.users)
                    for part in block.clicks.cut(BATCH_CLICKS):
                        self._take(rerun, Batch(part, rerun.fields))
                    self._progress.update(self._task, completed=block.read)
                    await asyncio.sleep(0)  # for Ctrl-C
            rerun.end()
        return _about(
            str(log),
            against,
            [rerun.extent],
            since=None,
            partial=False,
            clicks=clicks,
            late=0,
            rejected=dict(rejected.most_common()),
        )


def _about(source: str, against: str, extents: Sequence[Extent], **counted: object) -> About:
    begin, end = min(one.begin for one in extents), max(one.end for one in extents)
    known = begin <= end
    return About(
        source=source,
        against=against,
        begin=isotime(begin) if known else None,
        end=isotime(end) if known else None,
        seconds=end - begin if known else 0.0,
        took=0.0,
        **counted,  # type: ignore[arg-type]
    )
