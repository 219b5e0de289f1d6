"""A pipeline of a test's own: made-up payments, some of them abnormal, and a model for them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from clickwarden.detection.lineup import Appointment, Lineup
from clickwarden.kafka.modelstopic import ModelsTopic
from clickwarden.models import artefact, training
from clickwarden.models.artefact import Model
from clickwarden.models.dataset import read
from clickwarden.models.pipeline import Pipeline
from clickwarden.settings import Settings

PIPELINE = """
name = "payments"
version = 1
topic = "{topic}"
labels = "{topic}.labels"
key = "card"
time = "at"
id = "id"
lateness = "5m"
budget = 2000
detector = "{detector}"
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


def payments(
    count: int, seed: int = 0, begin: float = BEGIN, cards: int = 40, step: float = 1, usual: float = 3
) -> list[bytes]:
    """Payments of e**usual, one in 100 of them far too large, and some that nobody can score.

    One comes ``step`` seconds after the other, from ``begin`` on.
    """
    random = np.random.default_rng(seed)
    values: list[bytes] = []
    for number in range(count):
        card, abnormal = int(random.integers(cards)), random.random() < 0.01
        payment: dict[str, Any] = {
            "id": f"{seed}-{number}",
            "card": f"card-{card}",
            "at": round(begin + number * step + float(random.normal(0, 20)), 3),
            "amount": round(float(random.lognormal(8 if abnormal else usual, 0.4)), 2),
            "shop": f"shop-{int(random.integers(1000)) if abnormal else card % 7}",
        }
        odd = random.random()
        if odd < 0.005:
            payment["at"] -= 3600  # too late
        elif odd < 0.01:
            del payment["card"]
        values.append(b"{" if odd > 0.995 else json.dumps(payment).encode())
    return values


#: Of days of payments: how many there are in one, of how many cards, and the first midnight.
A_DAY, CARDS = 2_160, 500
MIDNIGHT = BEGIN // 86_400 * 86_400 + 86_400


def days(count: int, seed: int, first: int = 0, usual: float = 3) -> list[bytes]:
    """Whole days of payments, from a midnight on."""
    begin = MIDNIGHT + first * 86_400
    return payments(count * A_DAY, seed, begin, CARDS, 86_400 / A_DAY, usual)


class Judge:
    """A model, as the oracle asks it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.share = model.manifest.share
        self.bins = [(each.edges, each.counts) for each in model.manifest.expected]

    def threshold(self, key: str) -> float:
        """An alarmed record of this key has at least this score."""
        known = self._model.manifest
        return float(np.float32(known.thresholds.get(key, known.threshold)))

    def score(self, rows: Sequence[Sequence[float]]) -> Sequence[float]:
        """The score of each row."""
        scores: list[float] = self._model.session.score(np.array(rows, np.float32)).tolist()
        return scores

    def p_value(self, score: float) -> float:
        """The share of usual records that score as high."""
        return float(self._model.manifest.calibration.p_values(np.array([score], np.float32))[0])


def define(folder: Path, topic: str, more: str = "", detector: str = "iforest") -> Pipeline:
    """The pipeline in a folder, of a topic."""
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.toml").write_text(PIPELINE.format(topic=topic, detector=detector) + more)
    return Pipeline.load(folder)


def train(pipeline: Pipeline, seed: int = 1, detector: str = "iforest", values: Sequence[bytes] = ()) -> str:
    """Train a model into its folder, of some payments or others; the version."""
    data = pipeline.folder / "data.ndjson"
    data.write_bytes(b"\n".join(values or payments(4_000, seed=100)))
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
