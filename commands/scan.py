"""``faust -A app scan FILE``: the detection over files, with nothing running."""

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from faust.cli import option
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.main import app, settings
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.rules import fields_of
from clickwarden.formats.lines import Block
from clickwarden.sources import files as sources
from clickwarden.sources import parsing, tail
from commands import reading
from commands.command import BLIND, AsyncCommand
from commands.entries import Entries, Entry, entries_of
from commands.scanned import Growing, Scanned, Whole
from commands.terminal import describe, show_sight


class Scan(AsyncCommand):
    """Find the abnormal users in FILES: who, when, how much and why. Nothing need be running.

    An incident is shown once, however many windows it lasts: the worst of
    them, and how many there are. --json has each.

    FILES are web servers' logs, NDJSON, one click a line, or tables (CSV with
    a header; Parquet and Avro with the extra "files"); also folders of such
    and patterns; - is standard input. Recognised are the common and the combined format, also with a
    virtual host before it; JSON of Caddy, Traefik, nginx, Envoy and Cloudflare;
    ALB, CloudFront, IIS (W3C) and HAProxy; with what syslog, journald, Docker,
    docker compose and Kubernetes put before a line; --format is for any other.
    They may be compressed (gzip, bzip2, xz, zstd). In a log the user is the
    client's address.

    The rules are those of CLICKWARDEN_RULES. Files are taken for whole:
    whatever order their lines stand in, none is late. One that is followed is
    not: as from a worker, an anomaly is ongoing when a user crosses the
    threshold, closed when the clicks have passed its window by
    CLICKWARDEN_LATENESS, or silence has (CLICKWARDEN_IDLE_TIMEOUT), and
    corrected when later lines change it.

    Exit code: 0 it was scanned; 3 it was, and so many of its lines cannot be
    counted (CLICKWARDEN_BLIND_SHARE) that the anomalies say little.
    """

    options = [  # noqa: RUF012
        *reading.OPTIONS,
        reading.FOLLOW,
        option(
            "--json",
            "as_json",
            is_flag=True,
            help="One anomaly a line, closed ones only; with --follow each as it is found: of those with the "
            "same alert_id the last counts.",
        ),
    ]

    async def run(self, files: tuple[Path, ...], follow: bool, as_json: bool, **how: Any) -> None:
        """Print the anomalies, and how long it took; exit with its code."""
        console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        topic, how_read = reading.reading_of(settings, **how)
        how_read = replace(how_read, fields=fields_of(app.rules))
        if follow:
            path = reading.followed(files)
            growing = Growing(app.rules, topic)
            entries = Entries()
            tell = _write if as_json else lambda anomalies: _show(entries.hear(anomalies))
            late = "no file is whole: what comes late corrects what was said before"
            console.print(f"Following {path}, until Ctrl-C; {late}", style="dim")
            try:
                await _follow(growing, tail.follow(path, topic, how_read), tell, console)
            except asyncio.CancelledError:
                _conclude(growing, console)
                raise
            sys.exit(_conclude(growing, console))
        with tempfile.TemporaryFile() as store:
            whole = Whole(app.rules, topic, store)
            paths = sources.found(files)
            size = reading.size(paths)
            with closing(parsing.read_all(paths, topic, how_read, size)) as blocks:
                _read(whole, blocks, size, console)
            if as_json:
                _write(whole.end())
            else:
                _show(entries_of(whole.end()))
        sys.exit(_conclude(whole, console))


def _conclude(scanned: Scanned, console: Console) -> int:
    """Print what there is to say at the end; the exit code."""
    took = time.monotonic() - scanned.began
    console.print(f"{scanned.summary()}; {took:.2f} s, {scanned.lines / took:,.0f} lines/s")
    for warning in scanned.warnings():
        console.print(f"warning: {warning}", style="yellow")
    sight = scanned.sight()
    blindness = sight.blindness(settings.blind_share)
    show_sight(sight, app.rules, blindness, console)
    if blindness is not None and not scanned.is_log:
        console.print("'faust -A app inspect FILE' says which settings read it, and --write .env writes them")
    return 0 if blindness is None else BLIND


def _read(scanned: Scanned, blocks: Iterator[Block], size: int | None, console: Console) -> None:
    """Count files to their end."""
    # Nothing that lines leave behind has cycles: to look for them takes a tenth of the time.
    gc.freeze()
    gc.set_threshold(200_000, 100, 100)
    columns = (
        TextColumn("{task.completed:,} bytes"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=size)
        for block in blocks:
            scanned.take(block)
            progress.update(task, completed=block.read)


async def _follow(
    scanned: Growing,
    blocks: Iterator[Block],
    tell: Callable[[Iterable[Anomaly]], None],
    console: Console,
) -> None:
    """Count a file as it grows, and print what is found and what cannot be counted."""
    told = ""
    for block in blocks:
        tell(scanned.take(block))
        if block.lines:
            await asyncio.sleep(0)
            continue
        tell(scanned.idle())
        blindness = scanned.sight().blindness(settings.blind_share)
        reason = blindness.complaint.reason if blindness else ""
        if blindness and reason != told:
            console.print(f"BLIND: {blindness.text}", style="bold red")
        told = reason
        await asyncio.sleep(tail.POLL)
    tell(scanned.end())


def _write(anomalies: Iterable[Anomaly]) -> None:
    for anomaly in anomalies:
        sys.stdout.buffer.write(msgspec.json.encode(anomaly) + b"\n")
    sys.stdout.flush()


def _show(entries: Iterable[Entry]) -> None:
    console = Console(highlight=False)
    for entry in entries:
        console.print(describe(entry), soft_wrap=True)
    sys.stdout.flush()
