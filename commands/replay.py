"""``faust -A app replay FILE``: the clicks of a file into the topic."""

import math
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from faust.cli import argument, option

from app.main import settings
from clickwarden.detection.clicks import Clicks
from clickwarden.formats.lines import Block
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
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(markup=False, highlight=False, soft_wrap=True)
        skipped, first, last = 0, math.inf, -math.inf
        columns = (
            TextColumn("{task.fields[clicks]} clicks"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
        )
        began = time.monotonic()
        producer = ClickProducer(settings)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("", total=os.stat(file).st_size, clicks="0")

            def told(blocks: Iterable[Block]) -> Iterator[Clicks]:
                nonlocal skipped, first, last
                for block in blocks:
                    for line, reason in block.bad[: max(0, SHOWN - skipped)]:
                        console.print(f"{file}:{line}: skipped: {reason}")
                    skipped += len(block.bad)
                    first = min(first, block.clicks.times.min(initial=math.inf))
                    last = max(last, block.clicks.times.max(initial=-math.inf))
                    progress.update(task, completed=block.read, clicks=f"{producer.sent:,}")
                    yield block.clicks

            try:
                async with producer:
                    start = None
                    for clicks, arrival in delayed(told(files.read(file, settings)), shuffle_within, seed):
                        await producer.flush(leaving=WAITING)
                        if speed is None or not len(arrival):
                            await producer.send_all(clicks)
                            continue
                        if start is None:
                            start = time.time() - arrival[0] / speed
                        async for _ in producer.pace(clicks, start + arrival / speed):
                            progress.update(task, clicks=f"{producer.sent:,}")
            finally:
                took = time.monotonic() - began
                console.print(
                    f"{producer.acked:,} clicks acknowledged, {producer.waiting:,} wait on disk, "
                    f"{skipped:,} lines skipped; {took:.1f} s, {producer.acked / took:,.0f} clicks/s"
                )
                if first <= last:
                    console.print(f"Their times are {isotime(first)} to {isotime(last)}")
