"""``faust -A app verify``: holds the anomalies against an exact recount of the clicks."""

import sys
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NoReturn

import click
import msgspec
import numpy as np
from aiokafka import ConsumerRecord
from faust.cli import argument, option
from rich.console import Console
from rich.progress import Progress

from app.main import settings
from clickwarden.alerts.sight import Sight
from clickwarden.alerts.words import plural
from clickwarden.audit.adoptions import adoptions_told
from clickwarden.audit.allowed import Lists
from clickwarden.audit.excuses import excuses
from clickwarden.audit.oracle import Judgement, judge
from clickwarden.audit.recount import Recount
from clickwarden.detection import rulesfile
from clickwarden.detection.intake import FATES, WINDOWS, Commonest, Counts, Intake
from clickwarden.detection.rules import Rule
from clickwarden.errors import ClickwardenError, TopicMissing
from clickwarden.kafka.findings import is_compacted
from clickwarden.kafka.inspection import configuration
from clickwarden.kafka.reader import reader
from clickwarden.kafka.registry import TopicDecoder
from clickwarden.kafka.runs import RUN_RECORDS
from clickwarden.models.pipeline import Pipeline
from commands.command import BLIND, AsyncCommand
from commands.judged import judged
from commands.progress import read
from commands.terminal import faults_table, show_sight

FAULTY, COULD_NOT = 1, 2

MEANINGS = {
    "missing": "users over a threshold that were not reported",
    "invented": "users reported that were not over a threshold",
    "conflicting": "alerts that contradict themselves or an earlier copy",
    "interval_misses": "counts, or shares, outside the interval reported",
}


class Verify(AsyncCommand):
    """Recount the clicks exactly and hold the anomalies against it.

    Counts every user anew from the clicks topic, with code that shares nothing
    with the detection, and compares what the anomalies topic says: missing,
    invented and conflicting anomalies, and counts outside their interval.
    It means something once the worker has caught up with the clicks.

    With PIPELINE, a folder with pipeline.toml, the same of its topic: the features of each record are made
    anew, one by one, by code that shares nothing with the worker's, and scored by the models that were in
    charge.

    With --table, a table of PostgreSQL that is captured: its rows, at one moment, against those of which the
    topic tells: missing, extra, and told twice.

    Exit code: 0 all is well; 1 a fault was found; 2 it could not be done; 3 no
    fault was found, but that says little: too much of what comes cannot be
    counted (CLICKWARDEN_BLIND_SHARE); the topic is compacted and clicks are gone;
    or a user is over a threshold with clicks in several partitions, each of
    which is counted by itself; or a table's slot is lost.
    """

    options = [  # noqa: RUF012
        argument("pipeline", type=click.Path(path_type=Path), required=False),
        option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        option(
            "--table", default="", metavar="SCHEMA.TABLE", help="Verify what is captured from this table."
        ),
        option("--topic", default="", help="That it is captured into.  [default: debezium.SCHEMA.TABLE]"),
        option(
            "--database",
            default="",
            metavar="URL",
            help="postgresql://ROLE@HOST:PORT/NAME, of a role that may read it.  [default: "
            "CLICKWARDEN_CAPTURE_DATABASE, or what 'faust -A app postgres' runs]",
        ),
        option("--slot", default="clickwarden", show_default=True, help="By which it is captured."),
    ]

    async def run(
        self, pipeline: Path | None, as_json: bool, table: str, topic: str, database: str, slot: str
    ) -> None:
        """Print the verdict, and exit with its code."""
        console = Console(stderr=True)
        if table:
            await self._verify_table((table, topic, database, slot), console, as_json=as_json or self.json)
        if pipeline is not None:
            await self._verify_pipeline(pipeline, console, as_json=as_json or self.json)
        try:
            with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
                verdict, sight, watched = await _verify(progress)
        except ClickwardenError as error:
            print(f"clickwarden: {error}", file=sys.stderr)
            sys.exit(COULD_NOT)
        blindness = sight.blindness(settings.blind_share)
        if as_json or self.json:
            seen = {"blindness": blindness, "warnings": list(sight.warnings(watched).values())}
            found = {"ok": verdict.ok, "accounted": verdict.accounted} | asdict(verdict) | seen
            print(msgspec.json.encode(found).decode())
        else:
            console = Console(highlight=False, markup=False)
            _show(verdict, console)
            show_sight(sight, watched, blindness, console)
            if verdict.ok and verdict.conclusive and blindness is None:
                console.print("OK: every anomaly is as it should be", style="bold green")
        if not verdict.ok:
            sys.exit(FAULTY)
        sys.exit(0 if verdict.conclusive and blindness is None else BLIND)

    async def _verify_pipeline(self, folder: Path, console: Console, *, as_json: bool) -> NoReturn:
        """Print the verdict on a pipeline, and exit with its code."""
        from commands.verified import show, verify  # what reads models is imported where there are some

        try:
            with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
                verdict = await verify(Pipeline.load(folder), progress)
        except ClickwardenError as error:
            print(f"clickwarden: {error}", file=sys.stderr)
            sys.exit(COULD_NOT)
        if as_json:
            print(msgspec.json.encode({"ok": verdict.ok} | asdict(verdict)).decode())
        else:
            show(verdict, Console(highlight=False, markup=False))
        if not verdict.ok:
            sys.exit(FAULTY)
        sys.exit(BLIND if verdict.unjudged else 0)

    async def _verify_table(
        self, asked: tuple[str, str, str, str], console: Console, *, as_json: bool
    ) -> NoReturn:
        """Print the verdict on a table, and exit with its code."""
        from commands.tabled import show, usual_topic, verify

        table, given, _, _ = asked
        topic = given or usual_topic(table)
        try:
            with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
                verdict = await verify(*asked, progress)
        except ClickwardenError as error:
            print(f"clickwarden: {error}", file=sys.stderr)
            sys.exit(COULD_NOT)
        found = verdict.judgement
        if as_json:
            said = {"ok": found.ok, "slot": verdict.slot, "table": table, "topic": topic}
            print(msgspec.json.encode(said | asdict(found)).decode())
        else:
            show(table, topic, verdict, Console(highlight=False, markup=False))
        if not found.ok:
            sys.exit(FAULTY)
        sys.exit(0 if verdict.conclusive else BLIND)


class _Topic:
    """The clicks topic as far as it was read: what the recount made of its records, and why."""

    def __init__(self, recount: Recount, watched: Sequence[Rule], decoder: TopicDecoder) -> None:
        self._recount = recount
        self._watched = watched
        self._decode = decoder.decode
        self._intakes: dict[int, Intake] = {}
        self._fates: dict[int, Counter[str]] = {}

    def take(self, number: int, run: list[ConsumerRecord]) -> None:
        """Read on in a partition."""
        intake = self._intakes.setdefault(number, Intake(self._watched))
        fates = self._fates.setdefault(number, Counter())
        for first in range(0, len(run), RUN_RECORDS):
            records = run[first : first + RUN_RECORDS]
            clicks = self._decode(records)  # which says why, where the recount says no more than that
            reasons = {(bad.offset, bad.element or 0): bad.reason for bad in clicks.rejected}
            read = self._recount.add(number, records)
            told = [
                reasons.get((record.offset, element), fate) if fate == "rejected" else fate
                for record, held in zip(records, read, strict=True)
                for element, fate in enumerate(held)
            ]
            fates.update(told)
            stamps = np.repeat([record.timestamp / 1000.0 for record in records], list(map(len, read)))
            intake.note(np.array([intake.number(fate) for fate in told]), stamps, len(told))
            intake.hear(len(clicks.users), dict.fromkeys(clicks.events))
            intake.reject(clicks.rejected)

    def sight(self) -> Sight:
        """What can be seen of its records."""
        seen = Sight()
        for number, intake in self._intakes.items():
            for leader in self._recount.leaders(number, intake.widest, WINDOWS):
                intake.compare(Commonest(*leader))
            fates = self._fates[number]
            late = fates["late"] + fates["uncounted"]
            rejected = {fate: count for fate, count in fates.items() if fate not in FATES}
            total = Counts(fates["accepted"], late, fates["uncounted"], rejected)
            seen += Sight.of(intake, total, settings.field_names)
        return seen


async def _verify(progress: Progress) -> tuple[Judgement, Sight, Sequence[Rule]]:
    # The clicks first: where their topic is misspelt, that is what to say.
    async with reader(settings, settings.clicks_topic) as consumer:
        async with reader(settings, settings.late_topic) as behind:
            late = [record async for _, run in read(behind, "Late clicks", progress) for record in run]
        begins = await consumer.beginning_offsets(consumer.assignment())
        changes = await _changes(progress)
        adoptions, told_lists = adoptions_told(changes)
        newest = (rules for told in adoptions.values() for rules in told[-1][1])
        # Nothing is told before a worker of this release has run.
        watched = tuple(dict.fromkeys(newest)) if adoptions else rulesfile.load(settings.rules)
        decoder = TopicDecoder(settings)
        recount = Recount(
            settings,
            watched,
            excused=excuses(late, settings.clicks_topic),
            begins={tp.partition: offset for tp, offset in begins.items()},
            adoptions=adoptions,
            compacted=is_compacted(await configuration(settings)),
            schemas=decoder.registry.schema,
            lists=(Lists(changes), told_lists),
        )
        topic = _Topic(recount, watched, decoder)
        async with reader(settings, settings.anomalies_topic) as telling:
            told = await telling.end_offsets(telling.assignment())
            async for partition, run in read(consumer, "Clicks", progress):
                topic.take(partition, run)
            records = [record async for _, run in read(telling, "Anomalies", progress) for record in run]
    return judged(partial(judge, recount), records, told), topic.sight(), watched


async def _changes(progress: Progress) -> list[ConsumerRecord]:
    try:
        async with reader(settings, settings.rules_topic) as consumer:
            return [record async for _, run in read(consumer, "Rules", progress) for record in run]
    except TopicMissing:
        return []


def _show(verdict: Judgement, console: Console) -> None:
    console.print(faults_table(verdict, MEANINGS))
    for fault, examples in verdict.examples.items():
        console.print(f"{fault.replace('_', ' ')}:", style="bold red")
        for example in examples:
            console.print(f"  {example}", soft_wrap=True)
        if more := getattr(verdict, fault) - len(examples):
            console.print(f"  and {more:,} more")
    _show_clicks(verdict, console)
    _show_anomalies(verdict, console)
    for partition, offset in verdict.begins.items():
        console.print(
            f"partial: partition {partition} begins at offset {offset:,}; what came before is lost to the "
            "recount, and windows it may have reached into were not judged",
            style="yellow",
            soft_wrap=True,
        )
    if verdict.gone:
        _show_gone(verdict, console)
    if verdict.unjudged:
        console.print(f"  anomalies reported of such windows: {verdict.unjudged:,}", style="yellow")
    if verdict.apart:
        _show_apart(verdict, console)


def _show_anomalies(verdict: Judgement, console: Console) -> None:
    console.print(
        f"anomalies: {verdict.expected:,} expected, {verdict.reported:,} reported, "
        f"{verdict.closed:,} closed, {verdict.corrected:,} corrected "
        f"({verdict.exact:,} with the exact count), {verdict.repeats:,} repeats",
        soft_wrap=True,
    )
    if verdict.doubtful:
        console.print(
            f"  {plural(verdict.doubtful, 'case')} reported of whom the rule keeps too little to know: they "
            "may have been over its threshold, as the interval says; promote = 1 keeps enough",
            style="yellow",
            soft_wrap=True,
        )
    if verdict.split:
        console.print(
            f"  {verdict.split:,} users over a threshold have their clicks of a window in several "
            "partitions, for the clicks topic was given more meanwhile: each part was counted for itself",
            style="yellow",
            soft_wrap=True,
        )


def _show_gone(verdict: Judgement, console: Console) -> None:
    gone, offsets = sum(verdict.gone.values()), verdict.produced
    console.print(
        f"cannot be judged: topic {settings.clicks_topic} is compacted, and {gone:,} of {offsets:,} offsets "
        f"({100 * gone // offsets} %) hold no record any more, in {_partitions(verdict.gone)}. What was "
        "counted of them nobody knows, and so neither what is missing there nor what is invented",
        style="bold red",
        soft_wrap=True,
    )


def _partitions(numbers: Collection[int]) -> str:
    return f"partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, sorted(numbers)))}"


def _show_apart(verdict: Judgement, console: Console) -> None:
    hidden = ""
    if verdict.hidden:
        hidden = f"; {plural(verdict.hidden, 'case')} over a threshold together and in no partition alone"
    console.print(
        f"apart: {plural(verdict.apart, 'user')} with clicks of one window in several partitions, each of "
        f"which is counted by itself{hidden}. Send every click with its user as the key",
        style="bold red" if hidden else "yellow",
        soft_wrap=True,
    )


def _show_clicks(verdict: Judgement, console: Console) -> None:
    found = verdict.accepted + verdict.rejected + verdict.late + verdict.ignored
    records = found - verdict.further
    console.print(
        f"clicks: {verdict.accepted:,} accepted + {verdict.rejected:,} rejected + {verdict.late:,} late "
        f"+ {verdict.ignored:,} ignored = {found:,} produced",
        soft_wrap=True,
    )
    if verdict.further:
        console.print(f"  in {records:,} records, of which some hold several", soft_wrap=True)
    if gaps := verdict.produced - records:
        console.print(
            f"  {gaps:,} of {verdict.produced:,} offsets hold no click: transactions leave some, and so does "
            "compaction",
            soft_wrap=True,
        )
    if verdict.excused:
        console.print(
            f"  {verdict.excused:,} of the late ones by decision of the wall clock (idle close): "
            f"{settings.late_topic} says which",
            soft_wrap=True,
        )
    if verdict.uncounted:
        console.print(
            f"  {verdict.uncounted:,} of the late ones too late to be counted: {settings.late_topic} says "
            "which; a longer CLICKWARDEN_LATE_LIMIT lets a closed window take them",
            style="yellow",
            soft_wrap=True,
        )
