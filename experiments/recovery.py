"""``python -m experiments.recovery``: in the middle of an attack the worker dies, or Kafka goes away.

Shoppers and an attacker click in real time. When half of the attack is sent,

* the worker is killed with SIGKILL and started again, or
* Kafka is stopped, stays away, and is started again, with the same worker.

What was counted is sampled four times a second, and ``verify`` judges what was
reported. The time line goes to docs/img/recovery.svg.
"""

import asyncio
import json
import logging
import math
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from rich.console import Console
from rich.table import Table

from clickwarden.kafka.reader import reader, to_end
from clickwarden.sandbox import shoppers
from clickwarden.sandbox.broker import Broker
from clickwarden.sources.producer import ClickProducer
from experiments.deployment import Deployment, stop

IMAGE = Path("docs/img/recovery.svg")
RATE = 500.0
USERS = 6_000
ATTACK = 10_000
ATTACKER = "attacker"
SAMPLE_SECONDS = 0.25
#: Counted to within so many seconds of the producer is caught up.
CLOSE = 1.0
#: What the attack's window gets to be closed in, behind its end and the lateness, seconds.
CLOSING = 5.0


class Sample(NamedTuple):
    """Clicks so far, at ``second`` of the experiment; ``counted`` None where no worker says."""

    second: float
    sent: int
    counted: int | None


class Position(NamedTuple):
    """Offsets of one partition when the worker was killed."""

    partition: int
    counted: int
    state: int | None
    committed: int | None


@dataclass
class Course:
    """How a scenario went.

    Attributes:
        name: of the scenario.
        samples: four a second.
        down, up: seconds of the experiment when the disaster struck, and when
            what had failed was started again (the worker's process) or served
            again (Kafka).
        positions: by partition, where the worker was killed.
        reported: count, lower and upper end of the attacker's closed anomaly.
        verdict: of ``verify``.
    """

    name: str
    samples: list[Sample] = field(default_factory=list)
    down: float = math.nan
    up: float = math.nan
    positions: list[Position] = field(default_factory=list)
    reported: tuple[int, int, int] | None = None
    verdict: dict[str, Any] = field(default_factory=dict)

    def counting_again(self) -> float:
        """Seconds from ``up`` until a click was counted that had not been counted before."""
        before = max(sample.counted or 0 for sample in self.samples if not sample.second > self.up)
        return self._since_up(lambda sample: (sample.counted or 0) > before)

    def caught_up(self) -> float:
        """Seconds from ``up`` until the count was close to the producer's; NaN before that."""
        return self._since_up(lambda sample: (sample.counted or 0) >= sample.sent - CLOSE * RATE)

    def _since_up(self, holds: Callable[[Sample], bool]) -> float:
        after = (sample.second for sample in self.samples if sample.second > self.up and holds(sample))
        return next(after, math.nan) - self.up


class Stage:
    """Clickwarden under traffic, with a disaster in it."""

    def __init__(self, kafka: Broker, deployment: Deployment, course: Course) -> None:
        self.kafka = kafka
        self.deployment = deployment
        self.course = course
        self._began = time.time()

    @property
    def second(self) -> float:
        """Seconds since the traffic began."""
        return time.time() - self._began

    async def play(self, disaster: Callable[["Stage"], Awaitable[None]]) -> None:
        """Send the traffic, let the disaster strike, and wait until all is closed and judged."""
        settings = self.deployment.settings
        await self.deployment.declare()
        self.worker = self.deployment.start()
        try:
            await self._counting()
            self._began = time.time()
            attack = shoppers.attack(ATTACK, ATTACKER, self._began)
            middle, end = attack.times[ATTACK // 2], (attack.times[0] // 60 + 1) * 60
            async with ClickProducer(settings) as producer, asyncio.TaskGroup() as group:
                parts = (
                    _send(producer, iter(shoppers.Shoppers(RATE, USERS, 0, self._began))),
                    _send(producer, iter([attack])),
                    self._watch(producer),
                )
                tasks = [group.create_task(part) for part in parts]
                await asyncio.sleep(middle - time.time())
                await disaster(self)
                await self._caught_up()
                await asyncio.sleep(max(0.0, end + settings.lateness + CLOSING - time.time()))
                for task in tasks:
                    task.cancel()
            await self._counting(sum(await self._ends()))
        finally:
            stop(self.worker)
        self.course.verdict = await asyncio.to_thread(self.deployment.verdict)
        self.course.reported = await self._reported()

    async def positions(self) -> list[Position]:
        """Where each partition stands, of a worker that is dead."""
        from agents.snapshots import KEY
        from clickwarden.detection import snapshot

        settings = self.deployment.settings
        rows: dict[int, dict[bytes, bytes]] = {}
        async with reader(settings, f"{settings.app_id}-snapshots-changelog") as consumer:
            async for partition, run in to_end(consumer):
                rows.setdefault(partition, {}).update({row.key: row.value for row in run})
        admin = AIOKafkaAdminClient(**settings.client_options())
        await admin.start()
        try:
            committed = await admin.list_consumer_group_offsets(settings.app_id)
        finally:
            await admin.close()
        found = []
        for partition, counted in sorted(self._counted.items()):
            offset = committed.get(TopicPartition(settings.clicks_topic, partition))
            snapshots = rows.get(partition, {})
            keys = [key for key, value in snapshots.items() if key.startswith(KEY) and value]
            state = snapshot.position(snapshots[max(keys)]) if keys else None
            found.append(Position(partition, counted, state, None if offset is None else offset.offset))
        return found

    async def _watch(self, producer: ClickProducer) -> None:
        while True:
            sent = producer.sent
            counted = await self._count()
            self.course.samples.append(Sample(round(self.second, 3), sent, counted))
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _count(self) -> int | None:
        """Clicks counted, where the worker has all partitions; the topic begins at offset 0."""
        status = await self.deployment.status()
        if status is None or status["state"] != "ready":
            return None
        if len(status["partitions"]) < self.deployment.settings.partitions:
            return None
        self._counted = {
            partition["partition"]: partition["next_offset"] or 0 for partition in status["partitions"]
        }
        return sum(self._counted.values())

    async def _counting(self, clicks: int = 0) -> None:
        """Wait until the worker has counted so many."""
        while True:
            counted = await self._count()
            if counted is not None and counted >= clicks:
                return
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _caught_up(self) -> None:
        while True:
            if not math.isnan(self.course.caught_up()):
                return
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _ends(self) -> list[int]:
        async with reader(self.deployment.settings, self.deployment.settings.clicks_topic) as consumer:
            return list((await consumer.end_offsets(consumer.assignment())).values())

    async def _reported(self) -> tuple[int, int, int] | None:
        found = None
        async with reader(self.deployment.settings, self.deployment.settings.anomalies_topic) as consumer:
            async for _, run in to_end(consumer):
                for anomaly in map(json.loads, (record.value for record in run)):
                    name = anomaly["rule"], anomaly["user_id"]
                    if name == ("bot", ATTACKER) and anomaly["status"] != "ongoing":
                        found = anomaly["count"], anomaly["count_low"], anomaly["count_high"]
        return found


async def _send(producer: ClickProducer, traffic: Iterator[Any]) -> None:
    for clicks in traffic:
        async for _ in producer.pace(clicks, clicks.times):
            pass


async def kill_worker(stage: Stage) -> None:
    """SIGKILL, and the next worker as soon as the positions are read."""
    stage.worker.send_signal(signal.SIGKILL)
    stage.course.down = stage.second
    stage.worker.wait()
    stage.course.positions = await stage.positions()
    stage.worker = stage.deployment.start()
    stage.course.up = stage.second


def stop_kafka(away: float) -> Callable[[Stage], Awaitable[None]]:
    """Kafka is stopped, and started again so many seconds later."""

    async def disaster(stage: Stage) -> None:
        stage.course.down = stage.second
        await asyncio.to_thread(stage.kafka.stop)
        await asyncio.sleep(away)
        await asyncio.to_thread(stage.kafka.start)
        stage.course.up = stage.second

    return disaster


def show(courses: list[Course], console: Console) -> None:
    """Print the figures of each scenario, and the positions of the killed worker."""
    table = Table("", *(course.name for course in courses))
    rows: dict[str, Callable[[Course], str]] = {
        "clicks produced": lambda it: f"{it.verdict['produced']:,}",
        "away": lambda it: f"{it.up - it.down:.1f} s",
        "counting again, then": lambda it: f"{it.counting_again():.1f} s",
        "caught up, then": lambda it: f"{it.caught_up():.1f} s",
        "attacker: sent": lambda _: f"{ATTACK:,}",
        "attacker: reported": _attacker,
        "late by wall clock": lambda it: f"{it.verdict['excused']:,}",
        "anomalies said again, the same": lambda it: f"{it.verdict['repeats']:,}",
        **{
            fault.replace("_", " "): lambda it, fault=fault: f"{it.verdict[fault]:,}"  # type: ignore[misc]
            for fault in ("missing", "invented", "conflicting", "interval_misses")
        },
    }
    for name, figure in rows.items():
        table.add_row(name, *map(figure, courses))
    console.print(table)
    for course in courses:
        if course.positions:
            places = Table(*Position._fields, title=f"offsets, {course.name}")
            for position in course.positions:
                places.add_row(*map(str, position))
            console.print(places)


def _attacker(course: Course) -> str:
    if course.reported is None:
        return "nothing"
    count, low, high = course.reported
    return f"{count:,} ({low:,}–{high:,})"


def draw(courses: list[Course], file: Path) -> None:
    """Write the time lines."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    # Grey text and no background: readable on a light page and on a dark one.
    grey = "#808890"
    names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    style: dict[Any, Any] = dict.fromkeys(names, grey) | {
        "svg.fonttype": "none",
        "svg.hashsalt": "recovery",
        "font.size": 8,
        "axes.titlesize": 9,
    }
    with plt.rc_context(style):
        figure, axes = plt.subplots(
            len(courses), figsize=(6.4, 2.4 * len(courses)), layout="constrained", squeeze=False
        )
        for panel, course in zip(axes[:, 0], courses, strict=True):
            seconds = [sample.second for sample in course.samples]
            counted = [math.nan if sample.counted is None else sample.counted for sample in course.samples]
            panel.axvspan(course.down, course.up, color="#d1495b", alpha=0.25, linewidth=0, label="away")
            panel.plot(
                seconds, [sample.sent for sample in course.samples], ":", color="#e09f3e", label="sent"
            )
            panel.plot(seconds, counted, color="#3a86d1", label="counted")
            panel.set(title=course.name, xlabel="seconds", ylabel="clicks")
            panel.grid(alpha=0.25)
            panel.legend(frameon=False, loc="upper left")
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, transparent=True, metadata={"Date": None})
        plt.close(figure)


async def experiment(away: float, console: Console) -> list[Course]:
    """Play both scenarios."""
    disasters = {
        "worker killed": kill_worker,
        f"Kafka away for {away:g} s": stop_kafka(away),
    }
    courses = [Course(name) for name in disasters]
    with TemporaryDirectory(prefix="clickwarden-") as name, console.status("Starting Kafka") as status:
        folder = Path(name)
        with Broker(folder / "kafka", port=0) as kafka:
            for number, (course, disaster) in enumerate(zip(courses, disasters.values(), strict=True)):
                status.update(course.name)
                deployment = Deployment(kafka.bootstrap, folder / f"recovery-{number}")
                await Stage(kafka, deployment, course).play(disaster)
    return courses


@click.command(help=__doc__)
@click.option(
    "--away",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds that Kafka is away.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the tables.")
def main(away: float, as_json: bool) -> None:
    """Run the experiment; exit code 1 where verify finds a fault."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the producer says once that Kafka is away
    courses = asyncio.run(experiment(away, Console(stderr=True)))
    draw(courses, IMAGE)
    if as_json:
        print(json.dumps([asdict(course) for course in courses]))
    else:
        show(courses, Console(highlight=False))
    raise SystemExit(0 if all(course.verdict["ok"] for course in courses) else 1)


if __name__ == "__main__":
    main()
