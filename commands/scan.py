"""``faust -A app scan FILE``: the detection over files, with nothing running."""

import gc
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from faust.cli import option
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.main import app, settings
from clickwarden.alerts.sight import Sight
from clickwarden.alerts.words import visible
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.commonest import Ranking
from clickwarden.detection.intake import NEARLY_ALL, Counts, Intake
from clickwarden.detection.whole import WholeDetection
from clickwarden.formats.clients import address, is_inside
from clickwarden.formats.lines import Block
from clickwarden.settings import Settings
from clickwarden.sources import files as sources
from commands import reading
from commands.command import BLIND, AsyncCommand
from commands.terminal import describe, show_sight

#: Clicks that are counted together; how many does not change what is found.
BATCH_CLICKS = 16_384
#: Of fewer clicks all may be one client's.
COMMON_CLICKS = 20


class Scan(AsyncCommand):
    """Find the abnormal users in FILES: who, when, how much and why. Nothing need be running.

    FILES are web servers' logs, NDJSON, one click a line, or tables (CSV with
    a header; Parquet and Avro with the extra "files"); also folders of such
    and patterns; - is standard input. Recognised are the common and the combined format, also with a
    virtual host before it; JSON of Caddy, Traefik, nginx, Envoy and Cloudflare;
    ALB, CloudFront, IIS (W3C) and HAProxy; with what syslog, journald, Docker,
    docker compose and Kubernetes put before a line; --format is for any other.
    They may be compressed (gzip, bzip2, xz, zstd). In a log the user is the
    client's address.

    The rules are those of CLICKWARDEN_RULES. Files are taken for whole:
    whatever order their lines stand in, none is late.

    Exit code: 0 it was scanned; 3 it was, and so many of its lines cannot be
    counted (CLICKWARDEN_BLIND_SHARE) that the anomalies say little.
    """

    options = [  # noqa: RUF012
        *reading.OPTIONS,
        option("--json", "as_json", is_flag=True, help="One anomaly a line, closed ones only."),
    ]

    async def run(self, files: tuple[Path, ...], as_json: bool, **how: Any) -> None:
        """Print the anomalies, and how long it took; exit with its code."""
        console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        topic, how_read = reading.reading_of(settings, **how)
        paths = sources.found(files)
        began = time.monotonic()
        # Nothing that lines leave behind has cycles: to look for them takes a tenth of the time.
        gc.freeze()
        gc.set_threshold(200_000, 100, 100)
        columns = (
            TextColumn("{task.completed:,} bytes"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
        )
        with tempfile.TemporaryFile() as store:
            scanned = _Scanned(store, topic)
            with Progress(
                *columns, console=console, transient=True, disable=not console.is_terminal
            ) as progress:
                task = progress.add_task("", total=reading.size(paths))
                for block in sources.read_all(paths, topic, how_read):
                    scanned.take(block)
                    progress.update(task, completed=block.read)
            for anomaly in scanned.end():
                if as_json:
                    sys.stdout.buffer.write(msgspec.json.encode(anomaly) + b"\n")
                else:
                    Console(highlight=False).print(describe(anomaly), soft_wrap=True)
        took = time.monotonic() - began
        console.print(f"{scanned.summary()}; {took:.2f} s, {scanned.lines / took:,.0f} lines/s")
        for warning in scanned.warnings():
            console.print(f"warning: {warning}", style="yellow")
        sight = scanned.sight()
        blindness = sight.blindness(settings.blind_share)
        show_sight(sight, app.rules, blindness, console)
        sys.exit(0 if blindness is None else BLIND)


class _Scanned:
    """The files as far as they were scanned.

    Attributes:
        lines: how many.
    """

    def __init__(self, store: IO[bytes], topic: Settings) -> None:
        self.lines = 0
        self._topic = topic
        self._detection = WholeDetection(app.rules, settings, store)
        self._intake = Intake(app.rules)
        self._ranking = Ranking()
        self._rejected: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._anomalies = 0
        self._is_log = False
        self._has_address = False
        self._inside: Counter[str] = Counter()

    def take(self, block: Block) -> None:
        """Count some lines."""
        self.lines += block.lines
        self._left_out.update(block.left_out)
        self._intake.reject(block.clicks.rejected)
        self._rejected.update(record.reason for record in block.clicks.rejected)
        self._is_log |= block.clicks.requests is not None
        for clicks in block.clicks.cut(BATCH_CLICKS):
            batch = Batch(clicks)
            self._detection.count(batch)
            self._intake.hear(len(batch), batch.events)
            self._ranking.take(batch)
            if self._is_log:
                counts = np.bincount(batch.user, minlength=len(batch.users)).tolist()
                self._inside.update(
                    {user: count for user, count in zip(batch.users, counts, strict=True) if is_inside(user)}
                )
            self._has_address = self._has_address or any(
                address(user.partition("/")[0]) for user in batch.users
            )

    def end(self) -> Iterator[Anomaly]:
        """The anomalies: no more lines come."""
        for window, anomalies in self._detection.close():
            self._intake.close(window)
            self._anomalies += len(anomalies)
            yield from anomalies

    def summary(self) -> str:
        """What became of the lines."""
        left_out = "".join(f", {count:,} left out ({what})" for what, count in self._left_out.items())
        skipped = f"{self._rejected.total():,} skipped"
        return f"{self.lines:,} lines, {skipped}{left_out}; {self._anomalies:,} anomalies"

    def warnings(self) -> Iterator[str]:
        """Why the users may be none."""
        for reason, count in self._rejected.most_common(1):
            line = visible(self._intake.examples[reason].value[:200].decode(errors="replace"))
            yield f"{count:,} lines were skipped, most often because: {reason}. For example: {line}"
        first = self._ranking.first
        if self._inside.total() >= max(COMMON_CLICKS, NEARLY_ALL * first.of) and len(self._inside) > 1:
            share = 100 * self._inside.total() // first.of
            yield (
                f"{share} % of {first.of:,} requests are of {len(self._inside):,} private addresses, such as "
                f"{next(iter(self._inside))}: if they are proxies of yours, --trusted-proxies names them"
            )
        if not self._is_log or not first.of:
            return
        if not self._has_address:
            yield (
                f"no client is an address: they are host names, such as {visible(first.user_id)}; if those "
                "are your own, --format says where in a line the client stands"
            )
        if first.clicks >= max(COMMON_CLICKS, NEARLY_ALL * first.of):
            user = visible(first.user_id)
            yield (
                f"{100 * first.clicks // first.of} % of {first.of:,} requests are of one client, {user}: if "
                f"that is a proxy of yours, --trusted-proxies {user} has the client read from "
                "X-Forwarded-For, where the log has it"
            )

    def sight(self) -> Sight:
        """What can be seen of the lines."""
        total = Counts(self._detection.clicks, rejected=dict(self._rejected))
        sight = Sight.of(self._intake, total, self._topic.field_names)
        return msgspec.structs.replace(sight, commonest={}) if self._is_log else sight
