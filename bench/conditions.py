"""``conditions``: what the shipped rules cost with two conditions each, against none; no Kafka.

All of a click's way that rules have to do with, from Kafka's batches to the
counted window, in one process: CPU time, each run of records at its best of
several turns, so that what else the machine does is in neither. Every click
fulfils the conditions, so that as many are counted.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from rich.console import Console

from agents.decoding import decode
from bench.profile import as_a_worker_collects_garbage, packed
from bench.results import at_most, report
from clickwarden.detection import rulesfile
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule, fields_of
from clickwarden.detection.windows import Window
from clickwarden.formats.choice import decoder_of
from clickwarden.kafka.runs import RUN_RECORDS, Run
from clickwarden.settings import Settings

SHIPPED = Path(__file__).parents[1] / "rules.toml"
BEGIN = 1_760_000_400
#: A comparison, and a glob over a thousand different paths.
WHERE: dict[str, Any] = {"status": "< 500", "path": "/product/*"}


def measure(clicks: int, turns: int) -> bool:
    """Count the clicks ``turns`` times with conditions and without; report; whether all were counted."""
    Console(stderr=True, highlight=False).print(f"Writing {clicks:,} clicks", style="dim")
    written = [packed(_messages(first), first) for first in range(0, clicks, RUN_RECORDS)]
    shipped = rulesfile.load(SHIPPED)
    kinds = {"none": shipped, "two a rule": tuple(replace(rule, where=WHERE) for rule in shipped)}
    seconds = {kind: np.full(len(written), np.inf) for kind in kinds}
    counted: set[int] = set()
    for _ in range(turns):
        for kind, rules in kinds.items():
            taken, by_all = _count(written, rules)
            seconds[kind] = np.minimum(seconds[kind], taken)
            counted.add(by_all)
    right = len(counted) == 1
    least = {kind: float(taken.sum()) for kind, taken in seconds.items()}
    ratio = least["two a rule"] / least["none"]
    rows = [
        {
            "conditions": kind,
            "CPU µs a click": f"{taken / clicks * 1e6:.2f}",
            "of none": f"{taken / least['none']:.2f}",
        }
        for kind, taken in least.items()
    ]
    goals = [at_most("two conditions a rule, of none", 1.15, ratio)]
    title = (
        f"{clicks:,} clicks, decoded and counted by the {len(shipped)} rules shipped; best of {turns} turns"
    )
    report("conditions", title, rows, goals, {"seconds": least, "ratio": ratio, "right": right})
    return right


def _messages(first: int) -> list[dict[str, bytes]]:
    """Requests as ``replay`` sends them, with their path beside."""
    return [
        {
            "key": b"",
            "value": json.dumps(
                {
                    "user_id": f"u{number * 7919 % 20_000}",
                    "event": ("view", "login")[number % 50 == 0],
                    "timestamp": BEGIN + number / 500,
                    "product_id": f"p{number * 31 % 1000}",
                    "method": "GET",
                    "status": (200, 304, 404)[number % 17 % 3],
                    "path": f"/product/p{number * 31 % 1000}",
                }
            ).encode(),
        }
        for number in range(first, first + RUN_RECORDS)
    ]


def _count(written: list[Run], rules: tuple[Rule, ...]) -> tuple[list[float], int]:
    """CPU seconds to decode and count each run, and how many clicks the rules have counted, all in all."""
    settings = Settings(_env_file=None)
    decoder, detection, fields = decoder_of(settings)(), Detection(0, rules, settings), fields_of(rules)
    with as_a_worker_collects_garbage():
        taken, windows = [], list[Window]()
        for run in written:
            run.fields = fields
            began = time.process_time()
            for batch, _ in decode(run, decoder, settings.seed):
                windows += detection.count(batch).closed
            taken.append(time.process_time() - began)
    return taken, sum(window.clicks for window in (*windows, *detection.open_windows()))
