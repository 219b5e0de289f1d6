"""``features``: what the features of a record cost, with 100,000 keys, with a hot one, and as state."""

import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
import numpy as np
from rich.console import Console

from bench.profile import as_a_worker_collects_garbage
from bench.results import at_least, at_most, report
from clickwarden.audit.features import TAKEN, FeatureReference
from clickwarden.models.features import Features
from clickwarden.models.pipeline import Pipeline
from clickwarden.models.records import Records

PIPELINE = Path(__file__).parent.parent / "pipelines" / "fraud"
KEYS, FEW = 100_000, 10_000
#: Of the records that one key has where it is hot.
SHARE = 0.2
#: Records that come at once, and between two checkpoints.
RUN, CHECKPOINT = 2000, 10_000
#: Records of a run that are held against the reference.
CHECKED = 2000
BEGIN = 1_760_000_400


class Cost(NamedTuple):
    """CPU seconds of some records, and bytes of what is kept of them."""

    reading: float
    features: float
    segments: float
    changelog: int
    memory: int
    right: bool


def measure(records: int, runs: int) -> bool:
    """Take the features of so many transactions; report; whether they were what the reference says."""
    pipeline = Pipeline.load(PIPELINE)
    console = Console(stderr=True, highlight=False)
    console.print(f"Making {records:,} transactions, three times", style="dim")
    loads = {
        "100,000 keys": transactions(records, KEYS, 0),
        "one has 20 %": transactions(records, KEYS, SHARE),
        "10,000 keys": transactions(records, FEW, 0),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in loads}
    for _ in range(runs):
        for name, values in loads.items():
            costs[name].append(_take(pipeline, values))
    right = all(cost.right for some in costs.values() for cost in some)
    rows, microseconds = [], {}
    for name, some in costs.items():
        reading, taken, kept = (median(one[part] for one in some) / records * 1e6 for part in range(3))
        microseconds[name] = taken
        rows.append(
            {
                "keys": name,
                "JSON to columns µs": f"{reading:.2f}",
                "features µs": f"{taken:.2f}",
                "segments µs": f"{kept:.2f}",
                "changelog B": f"{some[0].changelog / records:.1f}",
                "memory B": f"{some[0].memory / records:.1f}",
            }
        )
    plain, hot = microseconds["100,000 keys"], microseconds["one has 20 %"]
    few = costs["10,000 keys"][0]
    goals = [
        at_most("µs a record", 3, plain),
        at_least("speed with a hot key, of that without", 0.7, plain / hot),
        at_most("changelog, bytes a record", 15, few.changelog / records),
        at_most("memory, bytes a record of 10,000 keys", 32, few.memory / records),
    ]
    columns = len(pipeline.feature_names)
    title = f"{columns} features of {records:,} transactions, {RUN:,} at once; median of {runs}"
    figures = {"costs": {name: [one._asdict() for one in some] for name, some in costs.items()}}
    report("features", title, rows, goals, figures)
    return right


def transactions(records: int, keys: int, share: float) -> list[bytes]:
    """Values of a topic: transactions of a day, of which one card makes a share."""
    chance = np.random.default_rng(7)
    card = np.where(chance.random(records) < share, 0, chance.integers(0, keys, records))
    amount = np.round(chance.lognormal(3, 1, records), 2)
    moment = np.round(BEGIN + np.sort(chance.random(records)) * 86_400, 3)
    merchant, country = chance.integers(0, 5000, records), chance.integers(0, 12, records)
    made = (
        {"tx_id": number, "card_id": f"card-{card[number]:06}", "timestamp": float(moment[number])}
        | {
            "amount": float(amount[number]),
            "mcc": "grocery",
            "channel": "chip",
            "device": int(card[number] % 9),
        }
        | {"country": f"C{country[number]}", "merchant_id": f"m{merchant[number]}"}
        for number in range(records)
    )
    return [msgspec.json.encode(one) for one in made]


def _take(pipeline: Pipeline, values: list[bytes]) -> Cost:
    engine = Features(pipeline)
    reading = taken = kept = 0.0
    changelog = 0
    found = []
    with as_a_worker_collects_garbage():
        for begin in range(0, len(values), RUN):
            began = time.process_time()
            records = Records.of_json(pipeline, values[begin : begin + RUN])
            read = time.process_time()
            rows = engine.of(records)
            done = time.process_time()
            reading += read - began
            taken += done - read
            if (begin + RUN) % CHECKPOINT == 0:
                segment = engine.segment()
                changelog += len(segment.data) if segment else 0
                kept += time.process_time() - done
            if begin < CHECKED:
                found.append(rows)
    judge = FeatureReference(pipeline.definition)
    judged = [judge.judge(value) for value in values[: len(found) * RUN]]
    wanted = np.array([one.values for one in judged], np.float32)
    right = all(one.fate == TAKEN for one in judged)
    right &= np.concatenate([rows.values for rows in found]).tobytes() == wanted.tobytes()
    return Cost(reading, taken, kept, changelog, engine.memory, right)
