"""``anomalies``: what an anomaly costs a worker once it is found, in CPU µs.

Its way: it is encoded and sent, read again, and becomes an entry of the page,
an event of the stream, part of an incident, and a change of the record that
the incidents topic has of that, which is read again too. A process does what
the worker does that shows the page and writes the incidents, with the
product's own functions and a real Kafka, while nobody clicks. The anomalies
are those of users who click on under a rule whose windows slide as those of
``bot`` do: each window is ``ongoing``, then ``closed``. They come at a steady
rate, so that an incident is as often due in every run.

Everything is done twice: as it is, which gives what it all costs, and with a
stopwatch at the steps, which is not free.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from agents.anomalies import emit
from agents.keeper import Keeper
from app.clock import KafkaClock
from app.delivery import Deliveries
from app.pulse import Pulse
from bench.results import report
from bench.stopwatch import Stopwatch
from bench.worker import OURS, deployment
from clickwarden.alerts.feed import Feed
from clickwarden.alerts.known import KnownIncidents
from clickwarden.alerts.stories import Stories
from clickwarden.detection.anomaly import Anomaly, alert_id
from clickwarden.kafka.partitioner import partition_of
from clickwarden.kafka.reader import reader
from clickwarden.kafka.topics import changelogs, declare
from clickwarden.settings import PREFIX, Settings
from clickwarden.times import isotime
from web.stream import Stream

BEGIN = 1_600_000_000
WINDOW, SLIDE = 60, 10
#: Users who click at one time, and in how many windows each of them is over the threshold.
ATTACKERS, WINDOWS = 500, 20
#: Anomalies a second while they are read, in portions.
RATE = 5_000
PORTION = 50
#: What is not over in so many seconds never will be.
PATIENCE = 120.0
#: As the worker's, between two looks at what is due.
PAUSE_SECONDS = 0.1
DAY = 86_400.0
#: Windows of an incident that cover it.
COVERING = -(-((WINDOWS - 1) * SLIDE + WINDOW) // WINDOW)
#: Steps of reading and writing, in their order.
STEPS: dict[str, Sequence[tuple[type, str]]] = {
    "page: entry": ((Feed, "add"),),
    "page: event of the stream": ((Stream, "take"),),
    "stories": ((Stories, "hear"),),
    "incident made": ((Stories, "get"),),
    "page: incident": ((KnownIncidents, "take"),),
}


class Cost(NamedTuple):
    """What one process used.

    Attributes:
        sent: CPU seconds until Kafka had all of them.
        read: CPU seconds from then until all was known and written.
        steps: CPU seconds of some of the second.
        written: records of the incidents topic.
        incidents: how many of them were right at the end.
    """

    sent: float
    read: float
    steps: dict[str, float]
    written: int
    incidents: int


def measure(bootstrap: str, folder: Path, anomalies: int, partitions: int) -> bool:
    """Report what an anomaly costs; whether all incidents were right."""
    plain, timed = (
        _in_a_process(run, deployment(bootstrap, partitions, folder), anomalies, steps)
        for steps in (False, True)
    )
    rest = timed.read - sum(timed.steps.values())
    parts = {"encode, send": plain.sent, **timed.steps, "fetch, write, event loop": rest}
    microseconds = {part: seconds / anomalies * 1e6 for part, seconds in parts.items()}
    whole = (plain.sent + plain.read) / anomalies * 1e6
    rows = [{"part": part, "µs an anomaly": f"{taken:.1f}"} for part, taken in microseconds.items()]
    rows.append({"part": "together, without the stopwatch", "µs an anomaly": f"{whole:.1f}"})
    expected = anomalies // (2 * WINDOWS)
    title = (
        f"{anomalies:,} anomalies of {expected:,} incidents at {RATE:,} a second, {partitions} partitions; "
        f"{plain.written:,} records of incidents"
    )
    figures = {"microseconds": microseconds, "together": whole, "written": plain.written}
    report("anomalies", title, rows, [], figures)
    return plain.incidents == timed.incidents == expected


def made_up(count: int) -> Iterator[Anomaly]:
    """So many anomalies, in the order in which they are told."""
    left = count
    for wave in range(count):
        first = BEGIN + wave * (WINDOWS * SLIDE + 2 * WINDOW)
        users = [f"user-{wave}-{number}" for number in range(ATTACKERS)]
        for number in range(WINDOWS + WINDOW // SLIDE):
            for user in users[: max(0, left // (2 * WINDOWS))]:
                if number < WINDOWS:
                    yield _anomaly(user, first, first + number * SLIDE, "ongoing")
                if number >= WINDOW // SLIDE:
                    yield _anomaly(user, first, first + number * SLIDE - WINDOW, "closed")
        left -= 2 * WINDOWS * ATTACKERS
        if left <= 0:
            return


def _anomaly(user: str, first: int, start: int, status: Any) -> Anomaly:
    is_closed = status == "closed"
    count = 150 if is_closed else 51
    return Anomaly(
        alert_id=alert_id("bot", user, start),
        rule="bot",
        status=status,
        user_id=user,
        window_start=isotime(start),
        window_end=isotime(start + WINDOW),
        count=count,
        count_low=count - 25,
        count_high=count,
        threshold=50,
        first_seen=isotime(start + 10.25),
        last_seen=isotime(start + (WINDOW - 0.5 if is_closed else 20.125)),
        events={"view": count - 30, "add_to_cart": 3, "search": 2},
        distinct_products=count // 2,
        category="bot",
        owasp="OAT-003",
        reasons=[f"{count} clicks in 60 s, 3.0 times the threshold", "a click every 0.4 s", "never buys"],
        partition=0,
        incident_id=alert_id("bot", user, first),
    )


def _in_a_process(run: Callable[..., Cost], *arguments: object) -> Cost:
    """Run it in a process of its own, in which nothing is imported yet."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run, *arguments).result()


def run(settings: Settings, anomalies: int, steps: bool) -> Cost:
    """Send and read them in this process, whose application has these settings from now on."""
    os.environ.update({PREFIX + name.upper(): str(getattr(settings, name)) for name in OURS})
    return asyncio.run(_run(settings, list(made_up(anomalies)), steps))


async def _run(settings: Settings, anomalies: list[Anomaly], steps: bool) -> Cost:
    from agents.heard import heard
    from web import live

    await declare(settings, *changelogs(settings))
    sent = await _send(settings.model_copy(update={"anomalies_topic": settings.late_topic}), anomalies)
    expected = {anomaly.incident_id for anomaly in anomalies}
    now = float(BEGIN)
    keeper = Keeper(settings, lambda: now, lambda incident: None, heard.stories)
    producer = AIOKafkaProducer(
        **settings.client_options(), acks="all", compression_type="zstd", partitioner=partition_of
    )
    await producer.start()

    async def write() -> None:
        while True:
            is_behind = await keeper.write(producer)
            await asyncio.sleep(0 if is_behind else PAUSE_SECONDS)

    def right() -> int:
        known = map(live.incidents.get, expected)
        return sum(one is not None and one.ended is not None and one.windows == COVERING for one in known)

    live.listen()
    heard.anomaly.append(lambda record, anomaly, changed: keeper.mark(changed))
    heard.incident.append(keeper.read)
    tasks = [asyncio.create_task(work) for work in (heard.following.follow(settings), write())]
    await keeper.catch_up()
    await heard.following.loaded.wait()
    stopwatch = Stopwatch()
    with ExitStack() as stack:
        if steps:
            for name, methods in STEPS.items():
                stack.enter_context(stopwatch.wrapped(name, methods))
        sending = threading.Thread(target=_pace, args=(settings, anomalies))
        began = time.thread_time()
        sending.start()
        async with asyncio.timeout(PATIENCE):
            while live.stream.count < len(anomalies):  # noqa: ASYNC110 - of many
                await asyncio.sleep(PAUSE_SECONDS)
            now = time.time() + DAY
            while right() < len(expected):  # noqa: ASYNC110 - of many
                await asyncio.sleep(PAUSE_SECONDS)
        read = time.thread_time() - began
    sending.join()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await producer.stop()
    return Cost(sent, read, dict(stopwatch.seconds), await _written(settings), right())


async def _send(settings: Settings, anomalies: Sequence[Anomaly]) -> float:
    """CPU seconds of sending them as a worker does."""
    producer = AIOKafkaProducer(
        **settings.client_options(),
        acks="all",
        compression_type="lz4",
        partitioner=partition_of,
        linger_ms=5,
        max_batch_size=256 * 1024,
    )
    await producer.start()
    app = SimpleNamespace(pulse=Pulse(60), clock=KafkaClock(), producer=_Producer(producer))
    deliveries = Deliveries(app)
    began = time.thread_time()
    for first in range(0, len(anomalies), PORTION):
        await emit(anomalies[first : first + PORTION], settings, deliveries, BEGIN)
        await deliveries.acknowledged(deliveries.sent)
    taken = time.thread_time() - began
    await producer.stop()
    return taken


class _Producer:
    """Faust's, as far as deliveries know it."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(
        self, topic: str, key: bytes, value: bytes, partition: int | None, timestamp: float, headers: Any
    ) -> Any:
        return await self._producer.send(topic, value, key, partition, int(timestamp * 1000), headers)


def _pace(settings: Settings, anomalies: Sequence[Anomaly]) -> None:
    """Send them, in their order, so many a second."""
    producer = Producer({"bootstrap.servers": settings.bootstrap, "compression.type": "lz4", "linger.ms": 5})
    began = time.monotonic()
    for first in range(0, len(anomalies), PORTION):
        time.sleep(max(0.0, began + first / RATE - time.monotonic()))
        for anomaly in anomalies[first : first + PORTION]:
            producer.produce(settings.anomalies_topic, msgspec.json.encode(anomaly), anomaly.alert_id)
        producer.poll(0)
    producer.flush()


async def _written(settings: Settings) -> int:
    """Records of the incidents topic."""
    async with reader(settings, settings.incidents_topic) as consumer:
        return sum((await consumer.end_offsets(consumer.assignment())).values())
