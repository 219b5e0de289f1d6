"""``scoring``: a worker that scores the topic of a pipeline, from Kafka to anomalies and changelog."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from unittest.mock import patch

import msgspec
import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console

from bench.features import KEYS, PIPELINE, transactions
from bench.process import until
from bench.results import Goal, at_most, report
from bench.worker import Worker, deployment
from clickwarden.detection.anomaly import Anomaly
from clickwarden.kafka.partitioner import murmur2
from clickwarden.kafka.reader import reader, to_end
from clickwarden.kafka.topics import declare, scored
from clickwarden.models import artefact, training
from clickwarden.models.dataset import read
from clickwarden.models.detectors import iforest
from clickwarden.models.features import Features
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records
from clickwarden.models.verdicts import Verdicts
from clickwarden.settings import Settings

PARTITIONS, TREES = 4, 100
#: Records that the model learns from.
LEARNT = 30_000
RUN = 2000
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What some records took.

    Attributes:
        records: that were scored while it was measured.
        seconds: meanwhile.
        cpu: seconds of the worker's processes.
        peak: bytes of memory.
        changelog: bytes a record.
        alarms: told.
        right: whether they are those of the features and the model, made in one piece.
    """

    records: int
    seconds: float
    cpu: float
    peak: int
    changelog: float
    alarms: int
    right: bool


def measure(bootstrap: str, folder: Path, records: int, runs: int) -> bool:
    """Score so many transactions ``runs`` times; report; whether every alarm was right."""
    console = Console(stderr=True, highlight=False)
    console.print(f"Making {records:,} transactions, and a model of {TREES} trees", style="dim")
    values = transactions(records, KEYS, 0)
    costs = [_run(bootstrap, folder / str(number), values, console) for number in range(runs)]
    columns = len(Pipeline.load(PIPELINE).feature_names)
    cpu = median(cost.cpu / cost.records * 1e6 for cost in costs)
    rate = median(cost.records / cost.seconds for cost in costs)
    peak = median(cost.peak for cost in costs)
    changelog = median(cost.changelog for cost in costs)
    shape = f"{columns} features, {TREES} trees, {PARTITIONS} partitions, lz4"
    title = f"{records:,} transactions, {shape}; medians of {runs}"
    rows = [
        {
            "records/s": f"{rate:,.0f}",
            "CPU s/M": f"{cpu:.2f}",
            "peak MB": f"{peak / MB:.0f}",
            "changelog B/record": f"{changelog:.1f}",
            "alarms": f"{costs[0].alarms:,}",
            "output": "right" if all(cost.right for cost in costs) else "wrong",
        }
    ]
    goals: list[Goal] = [
        at_most("CPU s a million records", 8, cpu),
        at_most("changelog bytes a record", 15, changelog),
        at_most("peak, MB, of 400 and 32 B a record", 400 + 32 * records / MB, peak / MB),
    ]
    figures = {"costs": [msgspec.to_builtins(cost) for cost in costs]}
    report("scoring", title, rows, goals, figures)
    return all(cost.right for cost in costs)


def _run(bootstrap: str, folder: Path, values: list[bytes], console: Console) -> Cost:
    folder.mkdir()
    settings = deployment(bootstrap, PARTITIONS, folder)
    settings = settings.model_copy(update={"pipelines": str(folder / "fraud")})
    pipeline = _pipeline(folder / "fraud", f"{settings.app_id}-transactions", values)
    _produce(settings, pipeline, values)
    group = Consumer({"bootstrap.servers": settings.bootstrap, "group.id": settings.app_id})
    with Worker(settings) as worker:
        until(lambda: bool(worker.status().get("pipelines")), "the worker answers", [worker])
        first, begun = _scored(worker), worker.mark()  # what a start costs is not in it
        # Asked of Kafka: what the worker says of itself costs it more than some hundred records.
        until(lambda: _durable(group, pipeline) == len(values), "all is scored, and durable", [worker])
        last, done = len(values), worker.mark()
        peak = worker.peak()
    group.close()
    alarms = asyncio.run(_alarms(settings))  # ended, it has told all
    changelog = asyncio.run(_bytes(settings)) / len(values)
    cpu = done.cpu - begun.cpu
    console.print(f"{(last - first) / (done.time - begun.time):,.0f} records/s, {cpu:.1f} CPU s", style="dim")
    right = alarms == _expected(pipeline, values)
    return Cost(last - first, done.time - begun.time, cpu, peak, changelog, len(alarms), right)


def _pipeline(folder: Path, topic: str, values: list[bytes]) -> Pipeline:
    """The pipeline of card transactions, of another topic, with a model."""
    shutil.copytree(PIPELINE, folder, ignore=shutil.ignore_patterns("model", "sample*"))
    path = folder / "pipeline.toml"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f'topic = "{topic}"' if line.startswith("topic") else line for line in lines))
    pipeline, data = Pipeline.load(folder), folder / "data.ndjson"
    data.write_bytes(b"\n".join(values[:LEARNT]))
    dataset = read(data, pipeline, None, lambda count: None)
    with patch.object(iforest, "TREES", TREES):
        found = training.train(
            "iforest",
            pipeline.feature_names,
            training.split(dataset),
            training.limit(pipeline, dataset),
            budgeted=True,
            seed=1,
        )
    limit = training.limit(pipeline, dataset)
    artefact.save(
        pipeline, found.model, training.manifest_of(found, pipeline, dataset, limit, 1, time.time()), {}
    )
    return pipeline


def _produce(settings: Settings, pipeline: Pipeline, values: list[bytes]) -> None:
    asyncio.run(declare(settings, scored(settings, pipeline.topic)))
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap,
            "compression.type": "lz4",
            "linger.ms": 20,
            "enable.idempotence": True,  # or what is sent again changes places
        }
    )
    for value, partition in zip(values, _partitions(values), strict=True):
        while True:
            try:
                producer.produce(pipeline.topic, value, partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()


def _partitions(values: list[bytes]) -> Iterator[int]:
    """Where each record goes by its card."""
    key = msgspec.json.Decoder(_Card).decode
    known: dict[str, int] = {}
    for value in values:
        card = key(value).card_id
        if card not in known:
            known[card] = (murmur2(card.encode()) & 0x7FFFFFFF) % PARTITIONS
        yield known[card]


class _Card(msgspec.Struct):
    card_id: str


def _durable(group: Consumer, pipeline: Pipeline) -> int:
    """Records that a successor would not score again."""
    places = [TopicPartition(pipeline.topic, partition) for partition in range(PARTITIONS)]
    return sum(max(0, place.offset) for place in group.committed(places, timeout=10))


def _scored(worker: Worker) -> int:
    pipelines = worker.status().get("pipelines", [])
    return sum(each["next_offset"] or 0 for pipeline in pipelines for each in pipeline["partitions"])


async def _alarms(settings: Settings) -> set[tuple[int, int]]:
    """Partition and offset of what was told."""
    found = set()
    async with reader(settings, settings.anomalies_topic) as consumer:
        async for _, records in to_end(consumer):
            for record in records:
                anomaly = msgspec.json.decode(record.value or b"", type=Anomaly)
                if anomaly.scored is not None:
                    found.add((anomaly.partition, anomaly.scored.offset))
    return found


async def _bytes(settings: Settings) -> int:
    """Of keys and values of the changelog."""
    total = 0
    async with reader(settings, f"{settings.app_id}-features-changelog") as consumer:
        async for _, records in to_end(consumer):
            total += sum(len(record.key or b"") + len(record.value or b"") for record in records)
    return total


def _expected(pipeline: Pipeline, values: list[bytes]) -> set[tuple[int, int]]:
    """Partition and offset of what is to be told."""
    model, found = artefact.load(pipeline), set()
    places = np.fromiter(_partitions(values), np.int64, len(values))
    for partition in range(PARTITIONS):
        features, ours = Features(pipeline), np.flatnonzero(places == partition).tolist()
        for first in range(0, len(ours), RUN):
            part = [values[place] for place in ours[first : first + RUN]]
            verdicts = Verdicts.of(model, features.of(Records.of_json(pipeline, part)))
            found |= {(partition, first + int(place)) for place in np.flatnonzero(verdicts.alarmed)}
    return found
