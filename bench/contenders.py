"""The contenders: each reads the same topic, in processes of its own."""

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiokafka import ConsumerRecord
from aiokafka.admin import NewTopic
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from bench import environments
from bench.load import Load
from bench.process import Process
from bench.worker import Crew, deployment
from clickwarden.audit.oracle import FAULTS, judge
from clickwarden.audit.recount import Recount
from clickwarden.errors import ClickwardenError
from clickwarden.kafka.reader import reader, to_end
from clickwarden.kafka.topics import changelogs, declare
from clickwarden.settings import Settings

#: The rule that every peer has; ours has those of the settings.
RULE = "bot"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took.

    Attributes:
        clicks: how many were read.
        start: seconds from the start of the process to the first click.
        reading: seconds from there to the last click.
        settling: seconds from there until the output is whole and nothing would be lost with the process.
        cpu: CPU seconds from the first click to the end.
        peak: most memory held at once, bytes.
        changelog: bytes written to changelogs; 0 where the state is not kept in Kafka.
    """

    clicks: int
    start: float
    reading: float
    settling: float
    cpu: float
    peak: int
    changelog: int = 0

    @property
    def rate(self) -> float:
        """Clicks a second while they are read."""
        return self.clicks / self.reading

    @property
    def whole_rate(self) -> float:
        """Clicks a second until the output is whole."""
        return self.clicks / (self.reading + self.settling)


class Contender(Protocol):
    """One way to do the job.

    Attributes:
        name: in the table.
        share: of the clicks, for whom all of them would take minutes.
    """

    name: str
    share: float

    def prepare(self, load: Load, folder: Path) -> None:
        """Make what a run needs before its clock starts: topics, environments, files."""

    def run(self) -> Cost:
        """Read the whole load once."""

    def result(self) -> str:
        """``right``, or what is wrong with the output; ``-`` where there is none."""


class Clickwarden:
    """Workers with the rules of the settings and their snapshots on."""

    share = 1.0

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self.name = f"clickwarden, {workers} workers" if workers > 1 else "clickwarden"

    def prepare(self, load: Load, folder: Path) -> None:
        """Give the run a group, tables and an anomalies topic of its own."""
        shared = load.settings
        self._load = load
        self.settings: Settings = deployment(
            shared.bootstrap, shared.partitions, folder, clicks_topic=shared.clicks_topic, rules=shared.rules
        )

    def run(self) -> Cost:
        """Count until the offset of the last click is committed, which comes after its snapshot.

        Raises:
            ClickwardenError: there are too few clicks for a figure.
        """
        produced = self._load.clicks
        with Crew(self.settings, self._workers) as crew, self.looking(crew):
            crew.until(lambda: crew.ready() and crew.counted() > 0, "every worker counts")
            before, first = crew.counted(), crew.mark()
            if before == produced:
                raise ClickwardenError(
                    f"all {produced:,} clicks were counted before {self.name} could be watched: take more"
                )
            crew.until(lambda: crew.counted() == produced, "every click is counted")
            last = crew.mark()
            crew.until(lambda: crew.committed() == produced, "every click is committed")
            end = crew.mark()
            return Cost(
                clicks=produced - before,
                start=first.time - crew.started,
                reading=last.time - first.time,
                settling=end.time - last.time,
                cpu=end.cpu - first.cpu,
                peak=crew.peak(),
                changelog=self._changelog_bytes(),
            )

    @contextmanager
    def looking(self, crew: Crew) -> Iterator[None]:
        """What else goes on while it counts: nothing, of a worker alone."""
        yield

    def result(self) -> str:
        """What the oracle says of the anomalies topic."""
        verdict = judge(self._load.truth, _records(self.settings, self.settings.anomalies_topic))
        return _said({fault: getattr(verdict, fault) for fault in FAULTS})

    def _changelog_bytes(self) -> int:
        topics = [topic.name for topic in changelogs(self.settings)]
        return traffic(self.settings.bootstrap, topics, self.settings.partitions)


class Peer:
    """A program of :mod:`bench.peers`, which all take the same arguments.

    It prints ``first`` when it begins to read, ``last`` when it has read
    every click, ``done`` when its output is whole, and stays until it is stopped.
    What it writes are JSON objects with user_id, window_start (epoch seconds)
    and clicks, one for each user over the threshold in a window of a minute.
    """

    def __init__(self, name: str, program: str, share: float = 1.0, *, writes: bool = True) -> None:
        self.name = name
        self.share = share
        self._program = program
        self._writes = writes

    def prepare(self, load: Load, folder: Path) -> None:
        """Give the run an environment, an output topic and a folder of its own."""
        own = deployment(load.settings.bootstrap, load.settings.partitions, folder)
        self._load, self._output, self._folder = load, own.anomalies_topic, own.data_dir
        asyncio.run(declare(load.settings, NewTopic(self._output, own.partitions, 1)))
        self._folder.mkdir(parents=True)
        self._python = environments.python(self._program, Settings().data_dir.absolute() / "peers")

    def run(self) -> Cost:
        """Run the program until it says that it is done."""
        load, settings = self._load, self._load.settings
        names = settings.bootstrap, settings.clicks_topic, self._output
        sizes = load.clicks, settings.partitions
        return watched(self._program, self._python, (*names, *map(str, sizes)), self._folder, load.clicks)

    def result(self) -> str:
        """Hold its output topic against the recount; windows that no click has closed may be missing."""
        if not self._writes:
            return "-"
        return said_of(self._load.truth, _records(self._load.settings, self._output))


def watched(program: str, python: str, arguments: Sequence[str], folder: Path, records: int) -> Cost:
    """Run a program of :mod:`bench.peers` in a folder until it says that it is done; what that took.

    Args:
        program: its name.
        python: the interpreter that runs it.
        arguments: of its command line.
        folder: that it runs in.
        records: that it reads.
    """
    command = (python, "-I", str(environments.FOLDER / f"{program}.py"), *arguments)
    with Process(command, folder / "log", os.environ, folder) as process:
        first, last, end = (process.said(word) for word in ("first", "last", "done"))
        return Cost(
            clicks=records,
            start=first.time - process.started,
            reading=last.time - first.time,
            settling=end.time - last.time,
            cpu=end.cpu - first.cpu,
            peak=process.peak(),
        )


def traffic(bootstrap: str, topics: list[str], partitions: int) -> int:
    """Bytes Kafka sends of all that is in these topics: compressed, as it keeps them."""
    said: list[int] = []
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "statistics.interval.ms": 200,
            "stats_cb": lambda stats: said.append(
                sum(broker["rxbytes"] for broker in json.loads(stats)["brokers"].values())
            ),
        }
    )
    try:
        wanted = {(topic, partition) for topic in topics for partition in range(partitions)}
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in wanted])
        while wanted:
            message = consumer.poll(0.1)
            if message is None or (error := message.error()) is None:
                continue
            if error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            wanted.discard((message.topic(), message.partition()))
        seen = len(said)
        while len(said) == seen:
            consumer.poll(0.1)
        return said[-1]
    finally:
        consumer.close()


def said_of(truth: Recount, records: list[ConsumerRecord]) -> str:
    """``right``, or what is wrong with the records a :class:`Peer` has written."""
    cases = {case: count.total.count for case, count in truth.over().items() if case.rule == RULE}
    over = {(case.user_id, case.window): clicks for case, clicks in cases.items()}
    closed = {(case.user_id, case.window) for case in cases if truth.closed(case)}
    reported = {(window["user_id"], window["window_start"], window["clicks"]) for window in _decoded(records)}
    found = {(user, window) for user, window, _ in reported}
    return _said(
        {
            "missing": len(closed - found),
            "invented": len(found - over.keys()),
            "miscounted": sum(
                over.get((user, window), clicks) != clicks for user, window, clicks in reported
            ),
        }
    )


def _decoded(records: list[ConsumerRecord]) -> Iterator[dict[str, Any]]:
    return (json.loads(record.value) for record in records)


def _said(faults: dict[str, int]) -> str:
    return ", ".join(f"{cases:,} {fault}" for fault, cases in faults.items() if cases) or "right"


def _records(settings: Settings, topic: str) -> list[ConsumerRecord]:
    async def read() -> list[ConsumerRecord]:
        async with reader(settings, topic) as consumer:
            return [record async for _, run in to_end(consumer) for record in run]

    return asyncio.run(read())


OURS = Clickwarden()
BARE = Peer("bare aiokafka", "bare_aiokafka", writes=False)
QUIX = Peer("Quix Streams", "quix_streams", share=1 / 4)
FAUST = Peer("idiomatic Faust", "idiomatic_faust", share=1 / 100)
FLINK = Peer("Flink SQL", "flink_sql")

#: In the order of the table.
CONTENDERS: dict[str, Contender] = {
    "clickwarden": OURS,
    "clickwarden-2": Clickwarden(2),
    "aiokafka": BARE,
    "confluent": Peer("bare confluent-kafka", "bare_confluent", writes=False),
    "flink": FLINK,
    "quix": QUIX,
    "faust": FAUST,
}
#: Those that are run where none are named.
USUAL = ("clickwarden", "aiokafka", "quix", "faust")
