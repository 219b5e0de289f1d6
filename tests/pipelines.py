"""A pipeline of a test's own: made-up payments, some of them abnormal, and a model for them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from clickwarden.detection.lineup import Appointment, Lineup
from clickwarden.kafka.modelstopic import ModelsTopic
from clickwarden.models import artefact, training
from clickwarden.models.dataset import read
from clickwarden.models.pipeline import Pipeline
from clickwarden.settings import Settings

PIPELINE = """
name = "payments"
version = 1
topic = "{topic}"
key = "card"
time = "at"
id = "id"
lateness = "5m"
budget = 2000
severity = "high"

[fields]
amount = {{ type = "number", grid = 0.01 }}
shop = {{ type = "text" }}

[[feature]]
kind = "log1p"
field = "amount"

[[feature]]
kind = "rolling"
field = "amount"
windows = ["1m", "1h"]
stats = ["count", "mean", "ratio"]

[[feature]]
kind = "rolling"
field = "shop"
windows = ["1h"]
stats = ["distinct", "seen"]

[[feature]]
kind = "since_last"
"""

#: Event time of the first payment: made-up payments are long over.
BEGIN = 1_760_000_000


def payments(count: int, seed: int = 0, begin: float = BEGIN, cards: int = 40) -> list[bytes]:
    """Payments a second apart, one in 100 of them far too large, and some that nobody can score."""
    random = np.random.default_rng(seed)
    values: list[bytes] = []
    for number in range(count):
        card, abnormal = int(random.integers(cards)), random.random() < 0.01
        payment: dict[str, Any] = {
            "id": f"{seed}-{number}",
            "card": f"card-{card}",
            "at": round(begin + number + float(random.normal(0, 20)), 3),
            "amount": round(float(random.lognormal(8 if abnormal else 3, 0.4)), 2),
            "shop": f"shop-{int(random.integers(1000)) if abnormal else card % 7}",
        }
        odd = random.random()
        if odd < 0.005:
            payment["at"] -= 3600  # too late
        elif odd < 0.01:
            del payment["card"]
        values.append(b"{" if odd > 0.995 else json.dumps(payment).encode())
    return values


def define(folder: Path, topic: str, more: str = "") -> Pipeline:
    """The pipeline in a folder, of a topic."""
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.toml").write_text(PIPELINE.format(topic=topic) + more)
    return Pipeline.load(folder)


def train(pipeline: Pipeline, seed: int = 1, detector: str = "iforest") -> str:
    """Train a model into its folder; the version."""
    data = pipeline.folder / "data.ndjson"
    data.write_bytes(b"\n".join(payments(4_000, seed=100)))
    dataset = read(data, pipeline, None, lambda count: None)
    parts, limit = training.split(dataset), training.limit(pipeline, dataset)
    found = training.train(detector, pipeline.feature_names, parts, limit, budgeted=True, seed=seed)
    manifest = training.manifest_of(found, pipeline, dataset, limit, seed, 1_800_000_000)
    artefact.save(pipeline, found.model, manifest, {})
    return manifest.version


def put(settings: Settings, pipeline: Pipeline, version: str, content: bytes = b"") -> None:
    """Put an artefact into the models topic, that of the folder or another one, whatever it is."""
    packed = content or artefact.packed(pipeline)
    _write(settings, lambda topic: topic.put(pipeline.name, version, packed))


def appoint(settings: Settings, pipeline: Pipeline, lineup: Lineup, **about: str) -> None:
    """Change the models of a pipeline, as whoever may write the topic can."""
    said = {"what": "w", "who": "tests", "when": "2026-01-01T00:00:00Z"} | about

    async def write(topic: ModelsTopic) -> None:
        number = len(topic.appointments(pipeline.name)) + 1
        await topic.appoint(pipeline.name, Appointment(number=number, lineup=lineup, **said))

    _write(settings, write)


def _write(settings: Settings, write: Callable[[ModelsTopic], Awaitable[None]]) -> None:
    async def done() -> None:
        topic = ModelsTopic(settings)
        await topic.read()
        await write(topic)

    with ThreadPoolExecutor(1) as thread:  # Playwright has an event loop in that of its tests
        thread.submit(asyncio.run, done()).result()
