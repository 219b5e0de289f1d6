"""The contenders: each reads the same topic, in a process of its own."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiokafka import ConsumerRecord

from app.oracle import FAULTS, judge
from app.reader import reader, to_end
from app.settings import Settings
from bench import bare
from bench.load import Load
from bench.process import Mark, Process
from bench.worker import Worker, deployment


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took.

    Attributes:
        start: seconds from the start of the process to the first click.
        reading: seconds from there to the last click.
        settling: seconds from there until nothing would be lost with the process.
        cpu: CPU seconds from the first click to the end.
        peak: most memory held at once, bytes.
    """

    start: float
    reading: float
    settling: float
    cpu: float
    peak: int


class Contender(Protocol):
    """One way to do the job; one object a run."""

    name: str

    def prepare(self, load: Load, folder: Path) -> None:
        """Make what must exist before the clock starts: topics, environments, files."""

    def run(self) -> Cost:
        """Read the whole load once."""

    def result(self) -> str:
        """``right``, or what is wrong with the output; ``-`` where there is none."""


class Clickwarden:
    """One worker with the rules of the settings and its snapshots on."""

    name = "clickwarden"

    def prepare(self, load: Load, folder: Path) -> None:
        """A group, tables and an anomalies topic of its own."""
        ours = deployment(load.settings.bootstrap, load.settings.partitions, folder)
        self._load = load
        self.settings: Settings = ours.model_copy(update={"clicks_topic": load.settings.clicks_topic})

    def run(self) -> Cost:
        """Until the offset of the last click is committed, which comes after its snapshot."""
        clicks = self._load.clicks
        with Worker(self.settings) as worker, self.looking(worker):
            first = worker.mark()

            def begun() -> bool:
                nonlocal first
                if worker.counted():
                    return True
                first = worker.mark()
                return False

            worker.until(begun, "the worker counts")
            worker.until(lambda: worker.counted() == clicks, "the worker has counted every click")
            last = worker.mark()
            worker.until(lambda: worker.committed() == clicks, "the worker has committed every click")
            return _cost(worker, first, last)

    @contextmanager
    def looking(self, worker: Worker) -> Iterator[None]:
        """What else happens while it counts: nothing."""
        yield

    def result(self) -> str:
        """What the oracle says of the anomalies topic."""
        verdict = judge(self._load.truth, asyncio.run(self._anomalies()))
        faults = {fault: getattr(verdict, fault) for fault in FAULTS}
        return ", ".join(f"{cases:,} {fault}" for fault, cases in faults.items() if cases) or "right"

    async def _anomalies(self) -> list[ConsumerRecord]:
        async with reader(self.settings, self.settings.anomalies_topic) as consumer:
            return [record async for _, run in to_end(consumer) for record in run]


class Aiokafka:
    """A bare ``getmany`` loop."""

    name = "aiokafka"

    def prepare(self, load: Load, folder: Path) -> None:
        """Nothing but the names."""
        arguments = load.settings.bootstrap, load.settings.clicks_topic, str(load.clicks)
        self._command = (sys.executable, bare.__file__, *arguments)
        self._log = folder / "aiokafka.log"

    def run(self) -> Cost:
        """Until the last click was fetched."""
        with Process(self._command, self._log, os.environ) as process:
            process.line()
            first = process.mark()
            process.line()
            return _cost(process, first, process.mark())

    def result(self) -> str:
        """It has no output."""
        return "-"


def _cost(process: Process, first: Mark, last: Mark) -> Cost:
    end = process.mark()
    return Cost(
        start=first.time - process.started,
        reading=last.time - first.time,
        settling=end.time - last.time,
        cpu=end.cpu - first.cpu,
        peak=process.peak(),
    )


#: In the order of the table; the last one is what the others are compared with.
CONTENDERS: tuple[type[Contender], ...] = (Clickwarden, Aiokafka)
