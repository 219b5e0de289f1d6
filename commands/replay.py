"""``faust -A app replay FILE``: the clicks of a file into the topic."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from click.core import ParameterSource
from faust.cli import option
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from app.main import settings
from clickwarden.alerts.words import plural
from clickwarden.detection.clicks import Clicks
from clickwarden.errors import SettingsError
from clickwarden.formats.lines import Block
from clickwarden.models.pipeline import Pipeline
from clickwarden.sandbox.disorder import delayed
from clickwarden.sources import files as sources
from clickwarden.sources import tail
from clickwarden.sources.producer import ClickProducer
from clickwarden.times import isotime
from commands import reading
from commands.command import AsyncCommand
from commands.replayed import replayed

#: Bad lines that are shown; the others are only counted.
SHOWN = 5
#: Clicks that may wait on disk: the rest is safe in the file.
WAITING = 100_000


class Replay(AsyncCommand):
    """Put the clicks of FILES into the clicks topic, with the times they have there.

    FILES are web servers' logs, NDJSON or tables, as scan reads them: see
    there; - is standard input, and of several the one that begins first is
    the first. In a log the user is the client's address, the product is the
    path, and the event is view (GET, HEAD), login and login_failed (POST to a
    sign-in, and what was answered with 401), submit (other changes) or other.

    It ends when Kafka has every click. Broken off before, it leaves what it had
    read on disk, in CLICKWARDEN_DATA_DIR, for the next replay or simulate.

    With --pipeline they are the records of a pipeline in place of clicks:
    NDJSON, CSV with a header, Parquet or Avro, one after the other into its
    topic, keyed by its key.
    """

    options = [  # noqa: RUF012
        *reading.OPTIONS,
        option(
            "--speed",
            type=click.FloatRange(min=0, min_open=True),
            help="1: in real time by the clicks' own times, 100: a hundred times faster.  "
            "[default: as fast as Kafka takes them]",
        ),
        reading.FOLLOW,
        option(
            "--pipeline",
            metavar="FOLDER",
            type=click.Path(path_type=Path),
            help="Records of this pipeline, into its topic; of the other options --speed alone goes with it.",
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

    async def run(
        self,
        files: tuple[Path, ...],
        speed: float | None,
        follow: bool,
        pipeline: Path | None,
        shuffle_within: float,
        seed: int,
        **how: Any,
    ) -> None:
        """Send the clicks, and say at the end what became of them."""
        console = Console(markup=False, highlight=False, soft_wrap=True)
        if pipeline is not None:
            if others := [name for name in ("follow", "shuffle_within", *how) if _is_given(name)]:
                raise SettingsError(
                    f"--pipeline: {', '.join(others)} is said of clicks; --speed alone goes with it"
                )
            await replayed(Pipeline.load(pipeline), files, speed, console)
            return
        columns = (
            TextColumn("{task.fields[clicks]} clicks"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
        )
        topic, how_read = reading.reading_of(settings, **how)
        if follow:
            size, blocks = None, tail.follow(reading.followed(files), topic, how_read)
        else:
            paths = sources.found(files)
            size, blocks = reading.size(paths), sources.read_all(paths, topic, how_read)
        began = time.monotonic()
        producer = ClickProducer(settings)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("", total=size, clicks="0")
            file = _File(blocks, producer, progress, task)
            try:
                async with producer:
                    pace = _Pace(speed) if speed else None
                    for clicks, arrival in delayed(file.clicks(), shuffle_within, seed):
                        await producer.flush(leaving=WAITING)
                        if follow and not len(arrival):
                            await asyncio.sleep(tail.POLL)
                        if pace is None:
                            await producer.send_all(clicks)
                        elif len(arrival):
                            async for _ in producer.pace(clicks, pace.due(arrival)):
                                file.show()
            finally:
                took = time.monotonic() - began
                left_out = "".join(f", {count:,} left out ({what})" for what, count in file.left_out.items())
                console.print(
                    f"{plural(producer.acked, 'click')} acknowledged, {producer.waiting:,} wait on disk, "
                    f"{plural(file.skipped, 'line')} skipped{left_out}; {took:.1f} s, "
                    f"{producer.acked / took:,.0f} clicks/s"
                )
                if file.first <= file.last:
                    console.print(f"Their times are {isotime(file.first)} to {isotime(file.last)}")


def _is_given(parameter: str) -> bool:
    return click.get_current_context().get_parameter_source(parameter) == ParameterSource.COMMANDLINE


class _File:
    """The files as far as they were read, and a bar that shows it.

    Attributes:
        skipped: lines that are no click.
        left_out: lines that are not to be counted, by what they are.
        first, last: earliest and latest time of the clicks, epoch seconds; infinite before the first.
    """

    def __init__(
        self, blocks: Iterator[Block], producer: ClickProducer, progress: Progress, task: TaskID
    ) -> None:
        self.skipped = 0
        self.left_out: Counter[str] = Counter()
        self.first, self.last = math.inf, -math.inf
        self._blocks = blocks
        self._producer = producer
        self._progress = progress
        self._task = task

    def clicks(self) -> Iterator[Clicks]:
        """The clicks of the files, some thousand at a time; the first bad lines are shown."""
        for block in self._blocks:
            for line, reason in block.bad[: max(0, SHOWN - self.skipped)]:
                self._progress.console.print(f"{block.file}:{line}: skipped: {reason}")
            self.skipped += len(block.bad)
            self.left_out.update(block.left_out)
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
