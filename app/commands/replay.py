"""``faust -A app replay FILE``: the clicks of a file into the topic."""

import math
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import numpy as np
from faust.cli import argument, option
from numpy.typing import NDArray

from app import accesslog
from app.application import settings
from app.clicks import Clicks
from app.command import AsyncCommand
from app.producer import ClickProducer
from app.records import isotime

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

            def told(blocks: Iterable[accesslog.Block]) -> Iterator[Clicks]:
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
                    for clicks, arrival in delayed(
                        told(accesslog.read(file, settings)), shuffle_within, seed
                    ):
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


def delayed(
    parts: Iterable[Clicks], within: float, seed: int
) -> Iterator[tuple[Clicks, NDArray[np.float64]]]:
    """The clicks in order of arrival, with the time of arrival of each.

    A click arrives when it happened plus a delay drawn from [0, within)
    seconds, so that none comes ``within`` or more behind the newest before it.
    One that the file has out of order happened, for this, with the one before.
    """
    random = np.random.default_rng(seed)
    newest = -math.inf
    held, arrivals = Clicks([], [], [], np.empty(0)), np.empty(0)
    for part in parts:
        happened = np.maximum.accumulate(np.append(newest, part.times))
        newest, happened = happened[-1], happened[1:]
        if not within:
            yield part, happened
            continue
        arrivals = np.append(arrivals, happened + random.uniform(0, within, len(happened)))
        held = Clicks(
            held.users + part.users,
            held.events + part.events,
            held.products + part.products,
            np.append(held.times, part.times),
        )
        # Whatever follows arrives later than the newest happened.
        order = arrivals.argsort(kind="stable")
        here = int((arrivals <= newest).sum())
        yield _pick(held, order[:here]), arrivals[order[:here]]
        held, arrivals = _pick(held, order[here:]), arrivals[order[here:]]
    yield held, arrivals


def _pick(clicks: Clicks, which: NDArray[np.int64]) -> Clicks:
    rows = which.tolist()
    return Clicks(
        [clicks.users[row] for row in rows],
        [clicks.events[row] for row in rows],
        [clicks.products[row] for row in rows],
        clicks.times[which],
    )
