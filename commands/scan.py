"""``faust -A app scan FILE``: the detection over files, with nothing running."""

import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from faust.cli import option
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.main import app, settings
from clickwarden.sources import files as sources
from commands import reading
from commands.command import BLIND, AsyncCommand
from commands.scanned import Scanned
from commands.terminal import describe, show_sight


class Scan(AsyncCommand):
    """Find the abnormal users in FILES: who, when, how much and why. Nothing need be running.

    FILES are web servers' logs, or NDJSON, one click a line; - is standard
    input. Recognised are the common and the combined format, also with a
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
        how_read, size = reading.reading_of(**how), reading.size(files)
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
            scanned = Scanned(store)
            with Progress(
                *columns, console=console, transient=True, disable=not console.is_terminal
            ) as progress:
                task = progress.add_task("", total=size)
                for block in sources.read_all(files, settings, how_read):
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
