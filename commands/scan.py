"""``faust -A app scan FILE``: the detection over a file, with nothing running."""

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec
from faust.cli import argument, option
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.main import app, settings
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.detection import Detection
from clickwarden.formats.lines import Block
from clickwarden.kafka.runs import RUN_RECORDS
from clickwarden.sources import files
from commands.command import AsyncCommand
from commands.terminal import describe


class Scan(AsyncCommand):
    """Find the abnormal users in FILE: who, when, how much and why. Nothing need be running.

    FILE is a web server's access log (common or combined format) or NDJSON,
    one click a line; gzip is fine. The rules are those of CLICKWARDEN_RULES.
    The file is taken for whole: its last windows are closed too, and the
    figures are those with the clicks that stand late in it.
    """

    options = [  # noqa: RUF012
        argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
        option("--json", "as_json", is_flag=True, help="One anomaly a line, closed ones only."),
    ]

    async def run(self, file: Path, as_json: bool) -> None:
        """Print the anomalies, and how long it took."""
        console = Console(stderr=True, highlight=False)
        detection = Detection(0, app.rules, settings)
        began = time.monotonic()
        lines = skipped = 0
        closed: dict[str, Anomaly] = {}
        columns = (
            TextColumn("{task.completed:,} bytes"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("", total=os.stat(file).st_size)
            for block in files.read(file, settings):
                closed |= _closed(_found(detection, block))
                lines += block.lines
                skipped += len(block.bad)
                progress.update(task, completed=block.read)
        detection.decide(math.inf)
        closed |= _closed(detection.close().anomalies)
        took = time.monotonic() - began
        if as_json:
            for anomaly in closed.values():
                sys.stdout.buffer.write(msgspec.json.encode(anomaly) + b"\n")
        else:
            for anomaly in closed.values():
                Console(highlight=False).print(describe(anomaly), soft_wrap=True)
        late = f"{detection.late:,} late"
        if detection.uncounted:
            late += f" ({detection.uncounted:,} too late to be counted)"
        console.print(
            f"{lines:,} lines, {skipped:,} skipped, {late}; "
            f"{len(closed)} anomalies; {took:.2f} s, {lines / took:,.0f} lines/s"
        )


def _found(detection: Detection, block: Block) -> Iterator[Anomaly]:
    for clicks in block.clicks.cut(RUN_RECORDS):
        yield from detection.count(Batch(clicks)).anomalies


def _closed(anomalies: Iterable[Anomaly]) -> dict[str, Anomaly]:
    """The last figures of windows that are over, by ``alert_id``; of a whole file none is a correction."""
    return {
        anomaly.alert_id: msgspec.structs.replace(anomaly, status="closed", revision=0)
        for anomaly in anomalies
        if anomaly.status != "ongoing"
    }
