"""``faust -A app verify``: holds the anomalies against an exact recount of the clicks."""

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from faust.cli import option
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.main import settings
from clickwarden.audit.oracle import FAULTS, Judgement, judge
from clickwarden.audit.recount import Recount, excuses
from clickwarden.detection import rules
from clickwarden.errors import ClickwardenError
from clickwarden.kafka.reader import reader, to_end
from commands.command import AsyncCommand

FAULTY, COULD_NOT = 1, 2

MEANINGS = {
    "missing": "users over a threshold that were not reported",
    "invented": "users reported that were not over a threshold",
    "conflicting": "alerts that contradict themselves or an earlier copy",
    "interval_misses": "counts outside the interval reported",
}


class Verify(AsyncCommand):
    """Recount the clicks exactly and hold the anomalies against it.

    Counts every user anew from the clicks topic, with code that shares nothing
    with the detection, and compares what the anomalies topic says: missing,
    invented and conflicting anomalies, and counts outside their interval.
    It means something once the worker has caught up with the clicks.

    Exit code: 0 all is well, 1 a fault was found, 2 it could not be done.
    """

    options = [option("--json", "as_json", is_flag=True, help="Print one JSON object.")]  # noqa: RUF012

    async def run(self, as_json: bool) -> None:
        """Print the verdict, and exit with its code."""
        console = Console(stderr=True)
        try:
            with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
                verdict = await _verify(progress)
        except ClickwardenError as error:
            print(f"clickwarden: {error}", file=sys.stderr)
            sys.exit(COULD_NOT)
        if as_json or self.json:
            print(json.dumps({"ok": verdict.ok, "accounted": verdict.accounted} | asdict(verdict)))
        else:
            _show(verdict, Console(highlight=False, markup=False))
        sys.exit(0 if verdict.ok else FAULTY)


async def _verify(progress: Progress) -> Judgement:
    watched = rules.load(settings.rules)
    # The clicks first: where their topic is misspelt, that is what to say.
    async with reader(settings, settings.clicks_topic) as consumer:
        async with reader(settings, settings.late_topic) as behind:
            late = [record async for _, run in _read(behind, "Late clicks", progress) for record in run]
        begins = await consumer.beginning_offsets(consumer.assignment())
        recount = Recount(
            settings,
            watched,
            excused=excuses(late, settings.clicks_topic),
            begins={tp.partition: offset for tp, offset in begins.items()},
        )
        async for partition, run in _read(consumer, "Clicks", progress):
            recount.add(partition, run)
    async with reader(settings, settings.anomalies_topic) as consumer:
        return judge(
            recount, [record async for _, run in _read(consumer, "Anomalies", progress) for record in run]
        )


async def _read(
    consumer: AIOKafkaConsumer, what: str, progress: Progress
) -> AsyncIterator[tuple[int, list[ConsumerRecord]]]:
    partitions = consumer.assignment()
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    task = progress.add_task(what, total=sum(ends.values()) - sum(begins.values()))
    async for partition, run in to_end(consumer):
        yield partition, run
        progress.advance(task, len(run))


def _show(verdict: Judgement, console: Console) -> None:
    table = Table("fault", "cases", "meaning")
    table.columns[1].justify = "right"
    for fault in FAULTS:
        cases = getattr(verdict, fault)
        table.add_row(
            fault.replace("_", " "), f"{cases:,}", MEANINGS[fault], style="bold red" if cases else None
        )
    console.print(table)
    for fault, examples in verdict.examples.items():
        console.print(f"{fault.replace('_', ' ')}:", style="bold red")
        for example in examples:
            console.print(f"  {example}", soft_wrap=True)
        if more := getattr(verdict, fault) - len(examples):
            console.print(f"  and {more:,} more")
    _show_clicks(verdict, console)
    console.print(
        f"anomalies: {verdict.expected:,} expected, {verdict.reported:,} reported, "
        f"{verdict.closed:,} closed, {verdict.corrected:,} corrected "
        f"({verdict.exact:,} with the exact count), {verdict.repeats:,} repeats",
        soft_wrap=True,
    )
    for partition, offset in verdict.begins.items():
        console.print(
            f"partial: partition {partition} begins at offset {offset:,}; what came before is lost to the "
            "recount, and windows it may have reached into were not judged",
            style="yellow",
            soft_wrap=True,
        )
    if verdict.unjudged:
        console.print(f"  anomalies reported of such windows: {verdict.unjudged:,}", style="yellow")
    if verdict.ok:
        console.print("OK: every anomaly is as it should be", style="bold green")


def _show_clicks(verdict: Judgement, console: Console) -> None:
    records = verdict.accepted + verdict.rejected + verdict.late + verdict.ignored
    console.print(
        f"clicks: {verdict.accepted:,} accepted + {verdict.rejected:,} rejected + {verdict.late:,} late "
        f"+ {verdict.ignored:,} ignored = {records:,} produced",
        soft_wrap=True,
    )
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
