"""``faust -A app replay FILE``: the clicks of a file into the topic."""

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from faust.cli import argument, option
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.main import settings
from clickwarden.detection.clicks import Clicks
from clickwarden.sandbox.disorder import delayed
from clickwarden.sources import files
from clickwarden.sources.producer import ClickProducer
from clickwarden.times import isotime
from commands.command import AsyncCommand

#: Bad lines that are shown; the others are only counted.
SHOWN = 5
#: Clicks that may wait on disk: the rest is safe in the file.
WAITING = 100_000


class Replay(AsyncCommand):
    """Put the clicks of FILE into the clicks topic, with the times they have there.

    FILE is a web server's access log (common or combined format) or NDJSON,
    one click a line; gzip is fine. In an access log the user is the client's
    address, the product is the path, and the event is view (GET, HEAD), login
    (POST to a sign-in page), submit (other changes) or other.

    It ends when Kafka has every click. Broken off before, it leaves what it had
    read on disk, in CLICKWARDEN_DATA_DIR, for the next replay or simulate.
    """

    options = [  # noqa: RUF012
        argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
        option(
            "--speed",
            type=click.FloatRange(min=0, min_open=True),
            help="1: in real time by the clicks' own times, 100: a hundred times faster.  "
            "[default: as fast as Kafka takes them]",
        ),
        option(
            "--shuffle-within",
            metavar="SECONDS",
            type=click.FloatRange(min=0),
            default=0.0,
            help="Delay each click by up to so many seconds of event time, at random, as if it had been "
            "held up on its way: disorder of known size, on top of the file's own.",
        ),
        option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random delays."
        ),
    ]

    async def run(self, file: Path, speed: float | None, shuffle_within: float, seed: int) -> None:
        """Send the clicks, and say at the end what became of them."""
        console = Console(markup=False, highlight=False, soft_wrap=True)
        columns = (
            TextColumn("{task.fields[clicks]} clicks"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
        )
        began = time.monotonic()
        producer = ClickProducer(settings)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            reading = _Reading(file, producer, progress)
            try:
                async with producer:
                    pace = _Pace(speed) if speed else None
                    for clicks, arrival in delayed(reading.clicks(), shuffle_within, seed):
                        await producer.flush(leaving=WAITING)
                        if pace is None:
                            await producer.send_all(clicks)
                        elif len(arrival):
                            async for _ in producer.pace(clicks, pace.due(arrival)):
                                reading.show()
            finally:
                took = time.monotonic() - began
                console.print(
                    f"{producer.acked:,} clicks acknowledged, {producer.waiting:,} wait on disk, "
                    f"{reading.skipped:,} lines skipped; {took:.1f} s, {producer.acked / took:,.0f} clicks/s"
                )
                if reading.first <= reading.last:
                    console.print(f"Their times are {isotime(reading.first)} to {isotime(reading.last)}")


class _Reading:
    """The file as far as it was read, and a bar that shows it.

    Attributes:
        skipped: lines that are no click.
        first, last: earliest and latest time of the clicks, epoch seconds; infinite before the first.
    """

    def __init__(self, file: Path, producer: ClickProducer, progress: Progress) -> None:
        self.skipped = 0
        self.first, self.last = math.inf, -math.inf
        self._file = file
        self._producer = producer
        self._progress = progress
        self._task = progress.add_task("", total=os.stat(file).st_size, clicks="0")

    def clicks(self) -> Iterator[Clicks]:
        """The clicks of the file, some thousand at a time; the first bad lines are shown."""
        for block in files.read(self._file, settings):
            for line, reason in block.bad[: max(0, SHOWN - self.skipped)]:
                self._progress.console.print(f"{self._file}:{line}: skipped: {reason}")
            self.skipped += len(block.bad)
            self.first = min(self.first, block.clicks.times.min(initial=math.inf))
            self.last = max(self.last, block.clicks.times.max(initial=-math.inf))
            self._progress.update(self._task, completed=block.read)
            self.show()
            yield block.clicks

    def show(self) -> None:
        """Show how many clicks were sent."""
        self._progress.update(self._task, clicks=f"{self._producer.sent:,}")


class _Pace:
    """The moments to send at: those of the file, so many times faster, from now on."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._start: float | None = None

    def due(self, arrival: NDArray[np.float64]) -> NDArray[np.float64]:
        """When to send what arrived at these times, at least one; the first ever is now. Epoch seconds."""
        if self._start is None:
            self._start = time.time() - arrival[0] / self._speed
        return self._start + arrival / self._speed
