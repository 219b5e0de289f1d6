"""``latency``: from the click that goes over the threshold to its alert, at several rates.

Producer and reader are one process, so that one clock measures both ends. In
between lie the producer's linger, Kafka, the worker, and Kafka again.
"""

import asyncio
import gc
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import uvloop
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from numpy.typing import NDArray
from rich.console import Console

from bench.results import at_most, report
from bench.worker import Crew, deployment
from clickwarden.detection import rulesfile
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.clicks import Clicks
from clickwarden.kafka.topics import declare
from clickwarden.sandbox import shoppers
from clickwarden.settings import Settings

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
RANKS = (50, 90, 99, 99.9)
#: Shoppers' clicks a second that the goals are set for.
GOAL_RATE = 10_000
#: How often the shoppers' clicks that are due are sent, seconds.
TICK = 0.005
#: Enough to encode a click, seconds.
ENCODING = 5e-6


def measure(bootstrap: str, folder: Path, partitions: int, rates: Sequence[float], seconds: int) -> bool:
    """Attack for ``seconds`` at each rate of clicks a second; whether every attack was reported."""
    latencies, busy = {}, {}
    for rate in rates:
        settings = deployment(bootstrap, partitions, folder)
        asyncio.run(declare(settings))
        shopping = traffic(rate, WARM_UP + seconds)
        with Crew(settings) as worker:
            worker.until(worker.ready, "the worker is ready")
            Console(stderr=True).print(f"{rate:,g} clicks/s for {WARM_UP + seconds} s", style="dim")
            first = worker.mark()
            latencies[rate] = taken(*uvloop.run(attack(settings, shopping, seconds * ATTACKS))) * 1000
            last = worker.mark()
        busy[rate] = (last.cpu - first.cpu) / (last.time - first.time)
    _report(latencies, f"{seconds} s at each rate, {partitions} partitions", busy)
    return not any(np.isinf(found).any() for found in latencies.values())


def traffic(rate: float, seconds: int) -> Clicks:
    """What shoppers do in that time, beginning now."""
    made = iter(shoppers.Shoppers(rate, shoppers.users_for(rate), 0, time.time()))
    parts = list(itertools.islice(made, seconds))
    return Clicks(
        users=[user for part in parts for user in part.users],
        events=[event for part in parts for event in part.events],
        products=[product for part in parts for product in part.products],
        times=np.concatenate([part.times for part in parts]),
    )


def taken(crossed: dict[str, float], told: dict[str, float]) -> NDArray[np.float64]:
    """Seconds from each attack's crossing click to when it was told of, ascending; infinite where it was not.

    Negative where a crowded sketch has taken the user to be over the threshold a click too early.
    """
    return np.sort([told.get(attacker, np.inf) - began for attacker, began in crossed.items()])


async def attack(
    settings: Settings, traffic: Clicks, attacks: int
) -> tuple[dict[str, float], dict[str, float]]:
    """When each attacker made the crossing click, and when its alert came, by attacker (monotonic)."""
    (threshold,) = (rule.threshold for rule in rulesfile.load(settings.rules) if rule.name == RULE)
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap,
            "acks": "all",
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "linger.ms": LINGER_MS,
        }
    )
    attackers = {f"attacker-{number}" for number in range(attacks)}
    crossed: dict[str, float] = {}
    reported: dict[str, float] = {}
    # All of it is made before the first is sent, which must not wait for the next to be made.
    times = traffic.times - traffic.times[0] + time.time() + len(traffic.times) * ENCODING
    messages = [
        {"key": click[0], "value": _click(*click)}
        for click in zip(traffic.users, traffic.events, traffic.products, times.tolist(), strict=True)
    ]
    gc.freeze()
    await asyncio.sleep(float(times[0]) - time.time())

    async def shop() -> None:
        sent = 0
        while sent < len(messages):
            due = int(np.searchsorted(times, time.time()))
            producer.produce_batch(settings.clicks_topic, messages[sent:due])
            sent = due
            producer.poll(0)
            await asyncio.sleep(TICK)

    async def begin(number: int) -> None:
        await asyncio.sleep(WARM_UP + number / ATTACKS)
        attacker, moment = f"attacker-{number}", time.time()
        for _ in range(threshold):
            # All of one event time: an attack must not be cut in two by a window's end.
            producer.produce(settings.clicks_topic, _click(attacker, "view", "product-1", moment), attacker)
            await asyncio.sleep(PAUSE)
        crossed[attacker] = time.monotonic()
        producer.produce(settings.clicks_topic, _click(attacker, "view", "product-1", moment), attacker)

    async def watch() -> None:
        while len(reported) < attacks:
            batches = await consumer.getmany(timeout_ms=1000)
            now = time.monotonic()
            for record in itertools.chain.from_iterable(batches.values()):
                anomaly = msgspec.json.decode(record.value, type=Anomaly)
                if anomaly.rule == RULE and anomaly.user_id in attackers:
                    reported.setdefault(anomaly.user_id, now)

    async with AIOKafkaConsumer(
        settings.anomalies_topic,
        **settings.client_options(),
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
    ) as consumer:
        watching = asyncio.create_task(watch())
        await asyncio.gather(shop(), *map(begin, range(attacks)))
        await asyncio.wait([watching], timeout=PATIENCE)
        watching.cancel()
        producer.flush()
    return crossed, reported


def _click(user: str, event: str, product: str | int | None, moment: float) -> bytes:
    return msgspec.json.encode({"user_id": user, "event": event, "product_id": product, "timestamp": moment})


def _report(latencies: dict[float, NDArray[np.float64]], load: str, busy: dict[float, float]) -> None:
    title = f"From the crossing click's produce call to the alert in hand, {load}"
    rows, figures, goals = [], {}, []
    for rate, found in latencies.items():
        kept = {f"p{rank:g}": float(np.percentile(found, rank, method="higher")) for rank in RANKS}
        kept["max"] = float(found[-1])
        row = {"shoppers' clicks/s": f"{rate:,g}", "alerts": f"{np.isfinite(found).sum():,}"}
        row |= {"missing": f"{np.isinf(found).sum():,}", "early": f"{(found < 0).sum():,}"}
        row |= {f"{name} ms": f"{figure:.0f}" for name, figure in kept.items()}
        rows.append(row | {"worker's CPU": f"{busy[rate]:.0%}"})
        figures[f"{rate:g}"] = kept | {"cpu": busy[rate], "milliseconds": np.round(found, 2).tolist()}
        if rate == GOAL_RATE:
            goals = [at_most("p50, ms", 25, kept["p50"]), at_most("p99, ms", 120, kept["p99"])]
    report("latency", title, rows, goals, {"rates": figures})
