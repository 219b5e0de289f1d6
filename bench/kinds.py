"""``kinds``: what eight rules of all kinds cost, against the three that are shipped; no Kafka.

All of a click's way that rules have to do with, from Kafka's batches to the
counted window, in one process: CPU time, of runs that take turns. Nineteen
clicks in twenty are shoppers', and one is of a few bots.
"""

import json
import time
from pathlib import Path

from rich.console import Console

from agents.decoding import decode
from bench.profile import as_a_worker_collects_garbage, packed
from bench.results import at_most, report
from clickwarden.detection import rulesfile
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule, fields_of
from clickwarden.formats.choice import decoder_of
from clickwarden.kafka.runs import RUN_RECORDS, Run
from clickwarden.settings import Settings

SHIPPED = Path(__file__).parents[1] / "rules.toml"
BEGIN = 1_760_000_400
VIEWS = ("view",)
#: Beside those shipped: windows that overlap, conditions, different values, a share.
MORE = (
    Rule(name="edge", window=60, threshold=50, slide=10),
    Rule(name="errors", window=60, threshold=30, where={"status": ">= 400", "path": "/product/*"}),
    Rule(name="catalogue-reader", window=600, threshold=300, events=VIEWS, count="distinct product_id"),
    Rule(name="path-reader", window=60, threshold=40, count="distinct path"),
    Rule(
        name="password-guesser",
        window=300,
        threshold=10,
        share="login_failed of login, login_failed",
        at_least=0.9,
    ),
)


def measure(clicks: int, runs: int) -> bool:
    """Count the clicks ``runs`` times by each set of rules; report; whether all were counted."""
    Console(stderr=True, highlight=False).print(f"Writing {clicks:,} clicks", style="dim")
    written = [packed(_messages(first), first) for first in range(0, clicks, RUN_RECORDS)]
    shipped = rulesfile.load(SHIPPED)
    kinds = {"the three shipped": shipped, "eight of all kinds": shipped + MORE}
    kinds |= {f"the three and {rule.name}": (*shipped, rule) for rule in MORE}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    right = True
    for _ in range(runs):
        for kind, rules in kinds.items():
            taken, counted = _count(written, rules)
            seconds[kind].append(taken)
            right &= counted == len(written) * RUN_RECORDS
    least = {kind: min(taken) for kind, taken in seconds.items()}
    three = least["the three shipped"]
    rows = [
        {"rules": kind, "CPU µs a click": f"{taken / clicks * 1e6:.2f}", "of three": f"{taken / three:.2f}"}
        for kind, taken in least.items()
    ]
    ratio = least["eight of all kinds"] / three
    goals = [at_most("eight rules of all kinds, time × that of the three", 2.5, ratio)]
    title = f"{clicks:,} clicks, decoded and counted, the best of {runs} runs"
    report("kinds", title, rows, goals, {"seconds": seconds, "ratio": ratio, "right": right})
    return right


def _messages(first: int) -> list[dict[str, bytes]]:
    """Requests as ``replay`` sends them, with their path beside."""
    return [
        {"key": b"", "value": json.dumps(_click(number)).encode()}
        for number in range(first, first + RUN_RECORDS)
    ]


def _click(number: int) -> dict[str, object]:
    product = number * 31 % 1000
    return {
        "user_id": f"u{number * 7919 % 20_000}" if number % 20 else f"bot-{number // 20 % 5}",
        "event": ("view", "login", "login_failed")[0 if number % 50 else 1 + number // 50 % 2],
        "timestamp": BEGIN + number / 500,
        "product_id": f"p{product}",
        "status": (200, 304, 404)[number % 17 % 3],
        "path": f"/product/p{product}",
    }


def _count(written: list[Run], rules: tuple[Rule, ...]) -> tuple[float, int]:
    """CPU seconds to decode and count all runs, and how many clicks were counted in time by each rule."""
    settings = Settings(_env_file=None)
    decoder, detection, fields = decoder_of(settings)(), Detection(0, rules, settings), fields_of(rules)
    with as_a_worker_collects_garbage():
        began = time.process_time()
        for run in written:
            run.fields = fields
            for batch, _ in decode(run, decoder, settings.seed):
                detection.count(batch)
        taken = time.process_time() - began
    return taken, detection.accepted
