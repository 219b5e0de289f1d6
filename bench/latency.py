"""``latency``: from the click that goes over the threshold to its alert.

Producer and reader are one process, so that one clock measures both ends. In
between lie the producer's linger, Kafka, the worker, and Kafka again.
"""

import asyncio
import itertools
import time
from pathlib import Path

import msgspec
import numpy as np
import uvloop
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from numpy.typing import NDArray
from rich.console import Console

from app import rules, shoppers
from app.clicks import Clicks
from app.records import Anomaly
from app.settings import Settings
from app.topics import declare
from bench.results import at_most, report
from bench.worker import Worker, deployment

RULE = "bot"
#: Attacks that begin in a second, and seconds between two clicks of one.
ATTACKS = 8
PAUSE = 0.02
#: Traffic before the first attack, seconds.
WARM_UP = 5
#: An alert that has not come so long after the last attack is missing, seconds.
PATIENCE = 10.0
#: How long the producer gathers clicks, and Kafka an answer to the reader.
LINGER_MS = 5
FETCH_WAIT_MS = 10
#: How often the shoppers' clicks that are due are sent, seconds.
TICK = 0.005


def measure(bootstrap: str, folder: Path, partitions: int, rate: float, seconds: int) -> bool:
    """Attack for ``seconds`` amid ``rate`` clicks a second; whether every attack was reported."""
    settings = deployment(bootstrap, partitions, folder)
    asyncio.run(declare(settings))
    traffic = _traffic(rate, WARM_UP + seconds)
    with Worker(settings) as worker:
        worker.until(worker.ready, "the worker is ready")
        Console(stderr=True).print(f"{rate:,g} clicks/s for {WARM_UP + seconds} s", style="dim")
        first = worker.mark()
        latencies = uvloop.run(_attack(settings, traffic, seconds * ATTACKS))
        last = worker.mark()
    busy = (last.cpu - first.cpu) / (last.time - first.time)
    _report(latencies * 1000, f"{rate:,g} clicks/s for {seconds} s, {partitions} partitions", busy)
    return not np.isinf(latencies).any()


def _traffic(rate: float, seconds: int) -> Clicks:
    """What shoppers do in that time, beginning now."""
    made = iter(shoppers.Shoppers(rate, shoppers.users_for(rate), 0, time.time()))
    parts = list(itertools.islice(made, seconds))
    return Clicks(
        users=[user for part in parts for user in part.users],
        events=[event for part in parts for event in part.events],
        products=[product for part in parts for product in part.products],
        times=np.concatenate([part.times for part in parts]),
    )


async def _attack(settings: Settings, traffic: Clicks, attacks: int) -> NDArray[np.float64]:
    """Seconds from each attack's crossing click to its alert, ascending; infinite where there was none."""
    (threshold,) = (rule.threshold for rule in rules.load(settings.rules) if rule.name == RULE)
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap,
            "acks": "all",
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "linger.ms": LINGER_MS,
        }
    )
    crossed: dict[str, float] = {}
    reported: dict[str, float] = {}

    def click(user: str, event: str, product: str | int | None, moment: float) -> None:
        click = {"user_id": user, "event": event, "product_id": product, "timestamp": moment}
        producer.produce(settings.clicks_topic, msgspec.json.encode(click), user)

    async def shop() -> None:
        columns = (traffic.users, traffic.events, traffic.products, traffic.times.tolist())
        ahead = time.time() - float(traffic.times[0])
        for user, event, product, moment in zip(*columns, strict=True):
            while (due := moment + ahead) > time.time():
                producer.poll(0)
                await asyncio.sleep(TICK)
            click(user, event, product, due)

    async def attack(number: int) -> None:
        await asyncio.sleep(WARM_UP + number / ATTACKS)
        attacker, moment = f"attacker-{number}", time.time()
        for _ in range(threshold):
            # All of one event time: an attack must not be cut in two by a window's end.
            click(attacker, "view", "product-1", moment)
            await asyncio.sleep(PAUSE)
        crossed[attacker] = time.monotonic()
        click(attacker, "view", "product-1", moment)

    async def watch() -> None:
        while len(reported) < attacks:
            batches = await consumer.getmany(timeout_ms=1000)
            now = time.monotonic()
            for record in itertools.chain.from_iterable(batches.values()):
                anomaly = msgspec.json.decode(record.value, type=Anomaly)
                if anomaly.rule == RULE and anomaly.user_id in crossed:
                    reported.setdefault(anomaly.user_id, now)

    async with AIOKafkaConsumer(
        settings.anomalies_topic,
        **settings.client_options(),
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
    ) as consumer:
        watching = asyncio.create_task(watch())
        await asyncio.gather(shop(), *map(attack, range(attacks)))
        await asyncio.wait([watching], timeout=PATIENCE)
        watching.cancel()
        producer.flush()
    return np.sort([reported.get(attacker, np.inf) - began for attacker, began in crossed.items()])


def _report(latencies: NDArray[np.float64], load: str, busy: float) -> None:
    title = f"From the crossing click's produce call to the alert in hand, {load}"
    percentiles = {
        f"p{rank:g}": float(np.percentile(latencies, rank, method="higher")) for rank in (50, 90, 99)
    }
    figures = percentiles | {"max": float(latencies[-1])}
    row = {"alerts": f"{np.isfinite(latencies).sum():,}", "missing": f"{np.isinf(latencies).sum():,}"}
    row |= {f"{name} ms": f"{figure:.0f}" for name, figure in figures.items()}
    row["worker's CPU"] = f"{busy:.0%}"
    goals = [at_most("p99, ms", 250, figures["p99"])]
    samples = np.round(latencies, 2).tolist()
    report("latency", title, [row], goals, figures | {"cpu": busy, "milliseconds": samples})
