"""``faust -A app scan FILE``: the detection over a file, with nothing running."""

import math
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
from faust.cli import argument, option
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.main import app, settings
from clickwarden.alerts.sight import Sight
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.detection import Detection, Findings
from clickwarden.detection.intake import Counts, Intake
from clickwarden.formats.lines import Block
from clickwarden.kafka.runs import RUN_RECORDS
from clickwarden.sources import files
from commands.command import BLIND, AsyncCommand
from commands.terminal import describe, show_sight


class Scan(AsyncCommand):
    """Find the abnormal users in FILE: who, when, how much and why. Nothing need be running.

    FILE is a web server's access log (common or combined format) or NDJSON,
    one click a line; gzip is fine. The rules are those of CLICKWARDEN_RULES.
    The file is taken for whole: its last windows are closed too, and the
    figures are those with the clicks that stand late in it.

    Exit code: 0 it was scanned; 3 it was, and so many of its lines cannot be
    counted (CLICKWARDEN_BLIND_SHARE) that the anomalies say little.
    """

    options = [  # noqa: RUF012
        argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
        option("--json", "as_json", is_flag=True, help="One anomaly a line, closed ones only."),
    ]

    async def run(self, file: Path, as_json: bool) -> None:
        """Print the anomalies, and how long it took; exit with its code."""
        console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        scanned = _Scanned()
        began = time.monotonic()
        columns = (
            TextColumn("{task.completed:,} bytes"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("", total=os.stat(file).st_size)
            for block in files.read(file, settings):
                scanned.take(block)
                progress.update(task, completed=block.read)
        scanned.end()
        took = time.monotonic() - began
        if as_json:
            for anomaly in scanned.closed.values():
                sys.stdout.buffer.write(msgspec.json.encode(anomaly) + b"\n")
        else:
            for anomaly in scanned.closed.values():
                Console(highlight=False).print(describe(anomaly), soft_wrap=True)
        console.print(f"{scanned.summary()}; {took:.2f} s, {scanned.lines / took:,.0f} lines/s")
        sight = scanned.sight()
        blindness = sight.blindness(settings.blind_share)
        show_sight(sight, app.rules, blindness, console)
        sys.exit(0 if blindness is None else BLIND)


class _Scanned:
    """The file as far as it was scanned.

    Attributes:
        lines: how many.
        closed: the last figures of windows that are over, by ``alert_id``.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.closed: dict[str, Anomaly] = {}
        self._detection = Detection(0, app.rules, settings)
        self._intake = Intake(app.rules)
        self._rejected: Counter[str] = Counter()

    def take(self, block: Block) -> None:
        """Count some lines."""
        self.lines += block.lines
        self._intake.reject(block.clicks.rejected)
        self._rejected.update(record.reason for record in block.clicks.rejected)
        for clicks in block.clicks.cut(RUN_RECORDS):
            batch = Batch(clicks)
            self._learn(self._detection.count(batch))
            self._intake.hear(len(batch), batch.events)

    def end(self) -> None:
        """Close the last windows: no more lines come."""
        self._detection.decide(math.inf)
        self._learn(self._detection.close())

    def _learn(self, findings: Findings) -> None:
        self.closed |= _closed(findings.anomalies)
        for window in findings.closed:
            self._intake.close(window)

    def summary(self) -> str:
        """What became of the lines."""
        late = f"{self._detection.late:,} late"
        if self._detection.uncounted:
            late += f" ({self._detection.uncounted:,} too late to be counted)"
        skipped = f"{self._rejected.total():,} skipped"
        return f"{self.lines:,} lines, {skipped}, {late}; {len(self.closed)} anomalies"

    def sight(self) -> Sight:
        """What can be seen of the lines."""
        found = self._detection
        total = Counts(found.accepted, found.late, found.uncounted, dict(self._rejected))
        return Sight.of(self._intake, total, settings.field_names)


def _closed(anomalies: Iterable[Anomaly]) -> dict[str, Anomaly]:
    """The last figures of windows that are over, by ``alert_id``; of a whole file none is a correction."""
    return {
        anomaly.alert_id: msgspec.structs.replace(anomaly, status="closed", revision=0)
        for anomaly in anomalies
        if anomaly.status != "ongoing"
    }
