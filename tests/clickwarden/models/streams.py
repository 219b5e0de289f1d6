"""Made-up pipelines, and made-up streams of records in which everything is odd."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from clickwarden.models.pipeline import Pipeline
from clickwarden.models.pipelinefile import Written

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

KEYS: list[Any] = [
    "hot",
    "hot",
    "hot",
    "",
    "käse",
    "鍵",
    "\ud800",
    "a\nb",
    "k" * 300,
    7,
    7.0,
    "7",
    True,
    None,
    [1],
]
NUMBERS: list[Any] = [
    0, -0.0, 1, 0.005, 0.015, 12.5, -12.5, 1e6, 2**40, -(2**70), 1e300, 10**400, math.nan, math.inf,
    -math.inf, None, True, "3.5", " -4e2 ", "", "1_000", "nan", "0x10", "9" * 400, [], {"a": 1}, "٣",
    1e-9, 21474836.47,
]  # fmt: skip
TEXTS: list[Any] = [
    "DE",
    "DE",
    "FR",
    "",
    "日本",
    "\udfff",
    None,
    3,
    3.0,
    3.5,
    False,
    [1],
    "x" * 257,
    "x" * 300,
    2**70,
]
NO_RECORDS: list[bytes | None] = [None, b"", b"[1]", b"{", b'{"k":"\xff"}', b'{"k":"hot","at":1e400}']
BOOLS: list[Any] = [True, False, 0, 1, 1.0, "true", "FALSE", "1", "maybe", None, 2, [], 10**400]


def _some(chance: Random, *names: str, most: int = 9) -> list[str]:
    return chance.sample(names, chance.randint(1, min(most, len(names))))


def made_up_pipeline(chance: Random) -> Pipeline:
    """A pipeline with every kind of feature."""
    features: list[dict[str, Any]] = [
        *({"kind": kind, "field": field} for kind in ("raw", "log1p") for field in ("n", "i", "b")),
        {"kind": "one_hot", "field": "w", "vocabulary": ["DE", "3", "false", "日本"]},
        {"kind": "hash", "field": "w", "columns": chance.randint(2, 5)},
        {"kind": "time_of_day"},
        {"kind": "time_of_day", "field": "t"},
        {"kind": "rolling", "windows": ["1h"], "stats": ["count"]},
        {"kind": "since_last", "within": chance.choice(["1s", "1h", "24h"])},
    ]
    for fields, stats in (
        ("nib", ("count", "sum", "mean", "std", "ratio")),
        ("wv", ("count", "distinct", "seen")),
    ):
        for field in fields:
            windows = _some(chance, "1ms", "1s", "1m", "1h", "24h", most=3)
            features.append(
                {"kind": "rolling", "field": field, "windows": windows, "stats": _some(chance, *stats)}
            )
    for field, summed in (("n", ["count", "sum", "mean", "std", "ratio"]), ("w", ["count"])):
        windows, bucket = _some(chance, "1h", "24h"), chance.choice(["1m", "30m", "1h"])
        features.append(
            {"kind": "rolling", "field": field, "windows": windows, "stats": summed, "bucket": bucket}
        )
    if chance.random() < 0.2:
        features = [feature for feature in features if feature.get("bucket")]
    grid = chance.choice([0.01, 0.1, 1.0, 3.0, 1e-9, 1e9])
    written = {
        "name": "made-up",
        "version": 1,
        "key": "k",
        "time": "at",
        "keep": chance.choice([1, 2, 7, 9, 40]),
        "lateness": chance.choice(["1s", "10m", "1h"]),
        "fields": {
            "n": {"type": "number", "grid": grid},
            "i": {"type": "integer"},
            "b": {"type": "bool"},
            "w": {"type": "text"},
            "v": {"type": "text"},
            "t": {"type": "time"},
        },
        "feature": features,
    }
    return Pipeline(msgspec.convert(written, Written), Path())


def _spelled(chance: Random, moment: int) -> Any:
    """A moment in one of the ways in which there are moments; or none."""
    if chance.random() < 0.8:
        return moment / 1000
    ways = [
        str(moment / 1000),
        None,
        "soon",
        True,
        1e300,
        math.nan,
        moment if moment >= 1e11 else moment / 1000,
    ]
    if moment > 0:
        ways.append(datetime.fromtimestamp(moment / 1000, UTC).isoformat())
    return chance.choice(ways)


def made_up_stream(chance: Random, size: int) -> list[bytes | None]:
    """The values of a log."""
    moment = chance.choice([1_700_000_000_000, 1_700_000_000_123, 0, -5_000, -62_000_000_000_000])
    steps = [0, 0, 0, 1, 7, 1000, MINUTE, HOUR]
    if chance.random() < 0.7:
        steps += [DAY, 3 * DAY, -1, -1000, -MINUTE, -HOUR, -3 * DAY]
    keys = ["hot", *(chance.choice(KEYS) for _ in range(chance.randint(1, 6)))]
    odd = chance.choice([0.0, 0.1, 1.0])
    values: list[bytes | None] = []
    for _ in range(size):
        moment = max(moment + chance.choice(steps), -62_135_596_800_000)
        record: dict[str, Any] = {
            "k": chance.choice(keys),
            "at": _spelled(chance, moment),
            "n": chance.choice(NUMBERS) if chance.random() < odd else round(chance.lognormvariate(3, 2), 3),
            "i": chance.choice(NUMBERS) if chance.random() < odd else chance.randint(-3, 1000),
            "b": chance.choice(BOOLS),
            "w": chance.choice(TEXTS) if chance.random() < odd else chance.choice(["DE", "FR", "日本"]),
            "v": chance.choice(TEXTS) if chance.random() < odd else str(chance.randint(0, 9)),
            "t": chance.choice(
                [None, 0, -1.5, 1_700_000_000_000, "2026-01-02T03:04:05Z", "2026-01-02 03:04", "x"]
            ),
        }
        if chance.random() < 0.05:
            del record[chance.choice(list(record))]
        values.append(json.dumps(record).encode())
        if chance.random() < 0.01:
            values.append(chance.choice(NO_RECORDS))
    return values * 2 if chance.random() < 0.2 else values
