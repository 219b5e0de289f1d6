"""``telling``: how soon people are told, and what it costs the clicks that they are.

A webhook on loopback is what they have open. It and the load are one process,
so that one clock measures both ends.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from time import monotonic, time

import msgspec
import numpy as np
import uvloop
from confluent_kafka import Producer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from bench import latency
from bench.contenders import Clickwarden, Cost
from bench.load import Load
from bench.results import Goal, at_least, at_most, report
from bench.worker import Crew, deployment
from clickwarden.detection.anomaly import Anomaly, alert_id
from clickwarden.kafka.topics import declare
from clickwarden.settings import Settings
from clickwarden.times import isotime

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#: What a webhook does, by case; None: there is no channel.
CASES = {"off": None, "on": "answers", "sink hangs": "hangs", "sink away": "away"}
#: Users who begin to be abnormal in a second while the load is counted, as if other workers had found them.
ATTACKS = 20
TICK_SECONDS = 0.05
#: Of the rate with telling off, and of that with a healthy sink.
GOAL = 0.97
GOAL_MS = 1000.0
RANKS = (50, 90, 99)


class Webhook:
    """What is told to.

    Attributes:
        messages: how many it has taken.
        told: by user, when the first message came that names them (monotonic).
    """

    def __init__(self, does: str) -> None:
        self.messages = 0
        self.told: dict[str, float] = {}
        self._over = threading.Event()
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if does == "hangs":
                    webhook._over.wait()
                    return
                webhook.take(body, monotonic())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"webhook+http://127.0.0.1:{self._server.server_port}/"
        if does == "away":
            self._server.server_close()
        else:
            threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def take(self, content: dict[str, dict[str, list[dict[str, str]]]], now: float) -> None:
        """Take a message."""
        self.messages += 1
        for incident in content["data"]["incidents"]:
            self.told.setdefault(incident["user_id"], now)

    def close(self) -> None:
        """Answer nobody any more."""
        self._over.set()
        self._server.server_close()


def _channels(folder: Path, url: str) -> Path:
    path = folder / "channels.toml"
    path.write_text(
        f'[[channel]]\nname = "hook"\nurl = "{url}"\nsecret = "{KEY}"\ngroup_wait = 0\ngroup_interval = 0\n'
    )
    return path


class Telling(Clickwarden):
    """A worker that counts while others are found abnormal, of whom people are told, or not."""

    def __init__(self, does: str | None) -> None:
        super().__init__()
        self._does = does
        self.messages = 0

    def prepare(self, load: Load, folder: Path) -> None:
        """Prepare a worker, and where it tells."""
        super().prepare(load, folder)
        self._webhook = Webhook(self._does or "away")
        if self._does is not None:
            channels = _channels(folder, self._webhook.url)
            self.settings = self.settings.model_copy(update={"channels": channels})

    @contextmanager
    def looking(self, crew: Crew) -> Iterator[None]:
        """Have users be found while it counts."""
        over = threading.Event()
        finding = threading.Thread(target=_find, args=(self.settings, over))
        finding.start()
        try:
            yield
        finally:
            over.set()
            finding.join()
            self.messages = self._webhook.messages
            self._webhook.close()


def _find(settings: Settings, over: threading.Event) -> None:
    producer = Producer({"bootstrap.servers": settings.bootstrap, "linger.ms": 5})
    began, found = monotonic(), 0
    while not over.wait(TICK_SECONDS):
        for number in range(found, int((monotonic() - began) * ATTACKS)):
            anomaly = _anomaly(number, int(time()))
            producer.produce(settings.anomalies_topic, msgspec.json.encode(anomaly), anomaly.alert_id)
            found = number + 1
        producer.poll(0)
    producer.flush()


def _anomaly(number: int, now: int) -> Anomaly:
    user, start = f"another-attacker-{number}", now // 60 * 60
    name = alert_id("bot", user, start)
    return Anomaly(
        alert_id=name, incident_id=name, rule="bot", status="ongoing", user_id=user,
        window_start=isotime(start), window_end=isotime(start + 60), count=51, count_low=27, count_high=51,
        threshold=50, first_seen=isotime(start), last_seen=isotime(now), events={"view": 27},
        distinct_products=27, category="bot", owasp="OAT-003", emitted_at=isotime(now),
        reasons=["51 clicks in a window of 60 s, threshold 50", "nothing but view"], partition=0,
    )  # fmt: skip


def measure(
    bootstrap: str, folder: Path, clicks: int, partitions: int, runs: int, rate: float, seconds: int
) -> bool:
    """Take both figures; whether everybody was told of, and every goal met."""
    soon = _report_latencies(
        f"{seconds} s at {rate:,g} clicks/s, {partitions} partitions",
        dict(
            zip(("anomaly", "message"), latencies(bootstrap, folder, partitions, rate, seconds), strict=True)
        ),
    )
    load = Load(deployment(bootstrap, partitions, folder), seed=7)
    console = Console(stderr=True, highlight=False)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        load.produce(clicks, progress)
    costs: dict[str, list[Cost]] = {case: [] for case in CASES}
    told: dict[str, int] = {}
    for turn in range(runs):
        for case in list(CASES)[:: -1 if turn % 2 else 1]:
            contender = Telling(CASES[case])
            contender.prepare(load, folder)
            costs[case].append(contender.run())
            told[case] = contender.messages
            console.print(f"run {turn + 1}: {case} {costs[case][-1].rate:,.0f} clicks/s", style="dim")
    return soon & _report_costs(
        f"{clicks:,} clicks, {partitions} partitions, {runs} runs in turn", costs, told
    )


def latencies(
    bootstrap: str, folder: Path, partitions: int, rate: float, seconds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Milliseconds from each crossing click to its anomaly, and to the message; infinite where none came."""
    webhook = Webhook("answers")
    channels = _channels(folder, webhook.url)
    settings = deployment(bootstrap, partitions, folder, channels=channels)
    asyncio.run(declare(settings))
    traffic = latency.traffic(rate, latency.WARM_UP + seconds)
    with Crew(settings) as worker:
        worker.until(worker.ready, "the worker is ready")
        Console(stderr=True).print(f"{rate:,g} clicks/s for {latency.WARM_UP + seconds} s", style="dim")
        crossed, reported = uvloop.run(latency.attack(settings, traffic, seconds * latency.ATTACKS))
        deadline = monotonic() + latency.PATIENCE
        worker.until(lambda: crossed.keys() <= webhook.told.keys() or monotonic() > deadline, "all are told")
    webhook.close()
    return latency.taken(crossed, reported) * 1000, latency.taken(crossed, webhook.told) * 1000


def _report_latencies(title: str, delays: dict[str, NDArray[np.float64]]) -> bool:
    rows, goals = [], list[Goal]()
    for what, taken in delays.items():
        kept = {f"p{rank}": float(np.percentile(taken, rank, method="higher")) for rank in RANKS}
        row = {"what": f"51st click to {what}, ms"}
        row |= {name: f"{figure:.0f}" for name, figure in kept.items()}
        rows.append(row | {"": f"{np.isfinite(taken).sum()} of {len(taken)}"})
        goals.append(at_most(f"51st click to {what}, p99, ms", GOAL_MS, kept["p99"]))
    report("telling-latency", title, rows, goals, {what: list(each) for what, each in delays.items()})
    return all(np.isfinite(taken).all() for taken in delays.values()) and all(goal.met for goal in goals)


def _times(runs: list[Cost], others: list[Cost]) -> list[float]:
    """The rate of each run in that of the other case beside it: the machine changes from run to run."""
    return [cost.rate / other.rate for cost, other in zip(runs, others, strict=True)]


def _report_costs(title: str, costs: dict[str, list[Cost]], told: dict[str, int]) -> bool:
    table = []
    for case, runs in costs.items():
        times = _times(runs, costs["off"])
        table.append(
            {
                "telling": case,
                "clicks/s": f"{median(cost.rate for cost in runs):,.0f}",
                "× off": f"{median(times):.3f}",
                "run by run": " ".join(f"{each:.3f}" for each in times),
                "CPU s/M": f"{median(cost.cpu / cost.clicks for cost in runs) * 1e6:.2f}",
                "peak MB": f"{max(cost.peak for cost in runs) / 1e6:.0f}",
                "messages": f"{told[case]:,}",
            }
        )
    more = [at_least("telling on × off", GOAL, median(_times(costs["on"], costs["off"])))]
    more += [
        at_least(f"{case} × on", GOAL, median(_times(runs, costs["on"])))
        for case, runs in costs.items()
        if case not in ("off", "on")
    ]
    kept_costs = {case: [cost.rate for cost in runs] for case, runs in costs.items()}
    report("telling", title, table, more, kept_costs)
    return all(goal.met for goal in more)
