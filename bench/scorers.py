"""Who scores the records of a topic, each in a process of its own."""

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from unittest.mock import patch

import msgspec
import numpy as np
from aiokafka.admin import NewTopic
from confluent_kafka import Consumer, Producer, TopicPartition
from numpy.typing import NDArray

from bench import environments
from bench.contenders import watched
from bench.features import PIPELINE
from bench.process import until
from bench.worker import Worker, deployment
from clickwarden.detection.anomaly import Anomaly
from clickwarden.kafka.partitioner import murmur2
from clickwarden.kafka.reader import reader, to_end
from clickwarden.kafka.topics import declare, scored
from clickwarden.models import artefact, training
from clickwarden.models.dataset import read
from clickwarden.models.detectors import iforest
from clickwarden.models.detectors.choice import learn
from clickwarden.models.features import Features
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records
from clickwarden.models.session import Session
from clickwarden.models.verdicts import Verdicts
from clickwarden.settings import Settings

PARTITIONS, TREES = 4, 100
#: Records that a model learns from, the first ones.
LEARNT = 30_000
RUN = 2000
#: What the peers look at, and the share of records that they alarm, about.
FIELDS = ("amount", "device", "seconds of the day", "country", "merchant")
SHARE = 0.003


@dataclass(frozen=True, slots=True)
class Run:
    """What some records took.

    Attributes:
        records: that were scored while it was measured.
        seconds: meanwhile.
        cpu: seconds of all processes.
        peak: bytes of memory.
        changelog: bytes a record; 0 where no state is kept.
        alarms: told.
        output: ``right``, or what is wrong with it.
    """

    records: int
    seconds: float
    cpu: float
    peak: int
    changelog: float
    alarms: int
    output: str

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds

    @property
    def cpu_a_million(self) -> float:
        """CPU seconds of a million records."""
        return self.cpu / self.records * 1e6


class Scorer(Protocol):
    """One way to do it.

    Attributes:
        name: in the table.
        share: of the records, for whom all of them would take hours.
    """

    name: str
    share: float

    def run(self, bootstrap: str, folder: Path, values: list[bytes]) -> Run:
        """Score a topic with these records, or the first of them, in a folder that is not there yet."""


class ScoringWorker:
    """A worker with the pipeline of card transactions."""

    name, share = "clickwarden", 1.0

    def run(self, bootstrap: str, folder: Path, values: list[bytes]) -> Run:
        """Score until the offset of the last record is committed, which comes after its segment."""
        folder.mkdir()
        settings, pipeline = scoring_deployment(bootstrap, folder, values[:LEARNT])
        produce(settings, pipeline.topic, values)
        group = Consumer({"bootstrap.servers": settings.bootstrap, "group.id": settings.app_id})
        with Worker(settings) as worker:
            until(lambda: _scored(worker) > 0, "the worker scores", [worker])
            first, begun = _scored(worker), worker.mark()  # what a start costs is not in it
            # Asked of Kafka: what the worker says of itself costs it more than some hundred records.
            until(lambda: _durable(group, pipeline) == len(values), "all is scored, and durable", [worker])
            done, peak = worker.mark(), worker.peak()
        group.close()
        told, expected = asyncio.run(_alarms(settings)), _expected(pipeline, values)  # ended, it has told all
        return Run(
            len(values) - first,
            done.time - begun.time,
            done.cpu - begun.cpu,
            peak,
            asyncio.run(_bytes(settings)) / len(values),
            len(told),
            _said(len(expected - told), len(told - expected)),
        )


class ScoringPeer:
    """A program of :mod:`bench.peers` that scores; it takes the arguments that all of them take.

    It is handed an isolation forest over five fields of a record, as they come, and writes a JSON object with
    the id of a record that it has found abnormal, and its score.
    """

    def __init__(self, name: str, program: str, share: float) -> None:
        self.name = name
        self.share = share
        self._program = program

    def run(self, bootstrap: str, folder: Path, values: list[bytes]) -> Run:
        """Score a topic until it says that it is done."""
        learnt, values = values[:LEARNT], values[: round(len(values) * self.share)]
        settings = deployment(bootstrap, PARTITIONS, folder)
        produce(settings, settings.clicks_topic, values)
        alarms = f"{settings.app_id}-alarms"
        asyncio.run(declare(settings, NewTopic(alarms, PARTITIONS, 1)))
        settings.data_dir.mkdir(parents=True)
        expected = _hand_over(settings.data_dir, learnt, values)
        names = settings.bootstrap, settings.clicks_topic, alarms
        python = environments.python(self._program, Settings().data_dir.absolute() / "peers")
        arguments = (*names, str(len(values)), str(PARTITIONS))
        cost = watched(self._program, python, arguments, settings.data_dir, len(values))
        told = asyncio.run(_ids(settings, alarms))
        output = _said(len(expected - told), len(told - expected))
        return Run(len(values), cost.reading, cost.cpu, cost.peak, 0, len(told), output)


OURS = ScoringWorker()
QUIX = ScoringPeer("Quix Streams and ONNX", "quix_onnx", share=1 / 5)
ARTICLE = ScoringPeer("a consumer loop and scikit-learn", "article_loop", share=1 / 1_000)


def scoring_deployment(
    bootstrap: str, folder: Path, learnt: list[bytes], share: float | None = None
) -> tuple[Settings, Pipeline]:
    """A deployment with the pipeline of card transactions, which is of a topic of its own; see trained()."""
    settings = deployment(bootstrap, PARTITIONS, folder)
    pipeline = trained(folder / "fraud", f"{settings.app_id}-transactions", learnt, share)
    return settings.model_copy(update={"pipelines": str(pipeline.folder)}), pipeline


def trained(folder: Path, topic: str, learnt: list[bytes], share: float | None = None) -> Pipeline:
    """The pipeline of card transactions, with a model.

    Args:
        folder: it is put there.
        topic: that it scores.
        learnt: the records that the model learns from.
        share: of the records that it is to alarm; that of the pipeline where it is None.
    """
    shutil.copytree(PIPELINE, folder, ignore=shutil.ignore_patterns("model", "sample*"))
    path = folder / "pipeline.toml"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f'topic = "{topic}"' if line.startswith("topic") else line for line in lines))
    pipeline, data = Pipeline.load(folder), folder / "data.ndjson"
    data.write_bytes(b"\n".join(learnt))
    dataset = read(data, pipeline, None, lambda count: None)
    limit = training.limit(pipeline, dataset)
    if share is not None:
        limit = limit._replace(share=share)
    with patch.object(iforest, "TREES", TREES):
        found = training.train(
            "iforest", pipeline.feature_names, training.split(dataset), limit, budgeted=True, seed=1
        )
    artefact.save(
        pipeline, found.model, training.manifest_of(found, pipeline, dataset, limit, 1, time.time()), {}
    )
    return pipeline


def produce(settings: Settings, topic: str, values: list[bytes]) -> None:
    """Fill a topic, by card."""
    asyncio.run(declare(settings, scored(settings, topic)))
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap,
            "compression.type": "lz4",
            "linger.ms": 20,
            "enable.idempotence": True,  # or what is sent again changes places
        }
    )
    for value, partition in zip(values, partitions_of(values), strict=True):
        while True:
            try:
                producer.produce(topic, value, partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()


def partitions_of(values: list[bytes]) -> Iterator[int]:
    """Where each record goes by its card."""
    decode = msgspec.json.Decoder(_Transaction).decode
    known: dict[str, int] = {}
    for value in values:
        card = decode(value).card_id
        if card not in known:
            known[card] = (murmur2(card.encode()) & 0x7FFFFFFF) % PARTITIONS
        yield known[card]


class _Transaction(msgspec.Struct):
    card_id: str
    timestamp: float
    amount: float
    device: int
    country: str
    merchant_id: str


def _hand_over(folder: Path, learnt: list[bytes], values: list[bytes]) -> set[int]:
    """Put a model that has learnt where a peer looks for it; the ids of the records that it alarms."""
    fields, scored = _fields(learnt), _fields(values)
    with patch.object(iforest, "TREES", TREES):
        model = learn(iforest.Isolation(1, FIELDS), fields, None)
    scores = Session(model).score(scored)
    threshold = _threshold(scores)
    (folder / "model.onnx").write_bytes(model)
    np.save(folder / "learnt.npy", fields)
    (folder / "threshold.json").write_text(json.dumps(threshold))
    return set(np.flatnonzero(scores >= threshold).tolist())


def _fields(values: list[bytes]) -> NDArray[np.float32]:
    """float32[n, 5], what the peers look at."""
    decode = msgspec.json.Decoder(_Transaction).decode
    return np.array(
        [
            (each.amount, each.device, each.timestamp % 86_400, int(each.country[1:]),
             int(each.merchant_id[1:]))
            for each in map(decode, values)
        ],
        np.float32,
    )  # fmt: skip


def _threshold(scores: NDArray[np.float32]) -> float:
    """A threshold that about SHARE of scores are over, far from all of them: a last digit decides nothing."""
    highest = np.sort(scores)[-max(int(len(scores) * SHARE * 2), 3) :].astype(np.float64)
    place = int(np.argmax(np.diff(highest[: len(highest) // 2 + 1])))
    return float(highest[place : place + 2].mean())


def _said(missing: int, invented: int) -> str:
    faults = {"missing": missing, "invented": invented}
    return ", ".join(f"{cases:,} {fault}" for fault, cases in faults.items() if cases) or "right"


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


async def _ids(settings: Settings, topic: str) -> set[int]:
    """What a peer has told."""
    async with reader(settings, topic) as consumer:
        return {
            json.loads(record.value or b"")["id"]
            async for _, records in to_end(consumer)
            for record in records
        }


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
    places = np.fromiter(partitions_of(values), np.int64, len(values))
    for partition in range(PARTITIONS):
        features, ours = Features(pipeline), np.flatnonzero(places == partition).tolist()
        for first in range(0, len(ours), RUN):
            part = [values[place] for place in ours[first : first + RUN]]
            verdicts = Verdicts.of(model, features.of(Records.of_json(pipeline, part)))
            found |= {(partition, first + int(place)) for place in np.flatnonzero(verdicts.alarmed)}
    return found
