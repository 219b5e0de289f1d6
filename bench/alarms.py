"""``alarms``: from a transaction to its anomaly, where few are alarmed, and where nearly all are.

Producer and reader are one process, so that one clock measures both ends. In
between lie the producer's linger, Kafka, the worker, and Kafka again.
"""

import asyncio
import gc
import time
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import uvloop
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from numpy.typing import NDArray
from rich.console import Console

from bench.features import KEYS, transactions
from bench.latency import FETCH_WAIT_MS, LINGER_MS, PATIENCE, RANKS, TICK, WARM_UP
from bench.process import Mark, until
from bench.results import Goal, at_least, at_most, report
from bench.scorers import LEARNT, PARTITIONS, TREES, partitions_of, scoring_deployment
from bench.worker import Worker
from clickwarden.kafka.topics import declare, scored
from clickwarden.models.pipeline import Pipeline
from clickwarden.settings import Settings

#: Of the records that a model is to alarm: some, so that there are many to look at; and all that it may.
FEW, ALL = 0.01, 1.0


class Told(NamedTuple):
    """What was told of some records.

    Attributes:
        records: that were produced.
        milliseconds: float64[n], from each record's produce call to its anomaly in the hands of a reader,
            ascending.
        rate: anomalies a second, from the first record behind the warm-up to the last anomaly.
        busy: CPU seconds a second of the worker.
    """

    records: int
    milliseconds: NDArray[np.float64]
    rate: float
    busy: float


class _Named(msgspec.Struct):
    record_id: str


class _Anomaly(msgspec.Struct):
    """As much of an anomaly as is needed here."""

    scored: _Named | None = None


def measure(bootstrap: str, folder: Path, rate: int, alarming: int, seconds: int) -> bool:
    """Take both; report; whether an anomaly came of as many records as the model alarms, or more."""
    told = {
        "few are alarmed": _run(bootstrap, folder / "few", rate, seconds, FEW),
        "nearly all are": _run(bootstrap, folder / "all", alarming, seconds, ALL),
    }
    rows, figures, ranks = [], {}, {}
    for case, found in told.items():
        ranks[case] = {f"p{rank:g}": float(np.percentile(found.milliseconds, rank)) for rank in RANKS}
        rows.append(
            {
                "case": case,
                "records": f"{found.records:,}",
                "anomalies": f"{len(found.milliseconds):,}",
                "anomalies/s": f"{found.rate:,.0f}",
            }
            | {f"{name} ms": f"{figure:.0f}" for name, figure in ranks[case].items()}
            | {"worker's CPU": f"{found.busy:.0%}"}
        )
        kept = {
            "rate": found.rate,
            "busy": found.busy,
            "milliseconds": np.round(found.milliseconds, 2).tolist(),
        }
        figures[case] = kept
    few, many = ranks["few are alarmed"], told["nearly all are"]
    goals: list[Goal] = [
        at_most("p50, ms", 25, few["p50"]),
        at_most("p99, ms", 150, few["p99"]),
        at_least("anomalies/s", 4_000, float(many.rate)),
    ]
    title = (
        f"{seconds} s at {rate:,} records/s, and at {alarming:,}; {TREES} trees, {PARTITIONS} partitions; "
        "from the produce call to the anomaly in hand"
    )
    report("alarms", title, rows, goals, figures)
    return bool(len(many.milliseconds) > 0.9 * many.records)


def _run(bootstrap: str, folder: Path, rate: int, seconds: int, share: float) -> Told:
    folder.mkdir()
    values = transactions(LEARNT + rate * (WARM_UP + seconds), KEYS, 0)
    settings, pipeline = scoring_deployment(bootstrap, folder, values[:LEARNT], share)
    asyncio.run(declare(settings, scored(settings, pipeline.topic)))
    with Worker(settings) as worker:
        until(lambda: worker.status()["state"] == "ready", "the worker is ready", [worker])
        Console(stderr=True).print(f"{rate:,} records/s for {WARM_UP + seconds} s", style="dim")
        return uvloop.run(_told(settings, pipeline, worker, values[LEARNT:], rate))


async def _told(
    settings: Settings, pipeline: Pipeline, worker: Worker, values: list[bytes], rate: int
) -> Told:
    """Send what is due, a moment after the other, and wait until nothing more is told."""
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": LINGER_MS,
        }
    )
    sent = np.zeros(len(values))
    came = np.full(len(values), np.nan)
    partitions = list(partitions_of(values))
    decode = msgspec.json.Decoder(_Anomaly).decode
    marks: list[Mark] = []
    gc.freeze()

    async def send() -> None:
        began, number = time.monotonic(), 0
        while number < len(values):
            now = time.monotonic()
            due = min(len(values), int((now - began) * rate))
            for place in range(number, due):
                producer.produce(pipeline.topic, values[place], partition=partitions[place])
            sent[number:due] = now
            if not marks and due >= rate * WARM_UP:
                marks.append(worker.mark())
            number = due
            producer.poll(0)
            await asyncio.sleep(TICK)
        producer.flush()
        marks.append(worker.mark())

    async def watch() -> None:
        """Until nothing has come for as long as PATIENCE."""
        try:
            while True:
                async with asyncio.timeout(PATIENCE):
                    record = await anext(consumer)
                anomaly = decode(record.value or b"")
                if anomaly.scored is not None:
                    came[int(anomaly.scored.record_id) - LEARNT] = time.monotonic()
        except TimeoutError:
            pass

    async with AIOKafkaConsumer(
        settings.anomalies_topic,
        **settings.client_options(),
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
    ) as consumer:
        await asyncio.gather(send(), watch())
    begin = rate * WARM_UP
    there = came[begin:][~np.isnan(came[begin:])]
    (first, last), beginning = marks, sent[begin]
    return Told(
        len(values) - begin,
        np.sort(there - sent[begin:][~np.isnan(came[begin:])]) * 1000,
        len(there) / float(there.max() - beginning),
        (last.cpu - first.cpu) / (last.time - first.time),
    )
