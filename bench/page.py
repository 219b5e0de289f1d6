"""``page``: the worker's throughput while many look at its page and many alerts come.

And, because throughput is noisy where the machine is not idle, the share of a
core that the page takes while nobody clicks: counting has so much less.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from time import monotonic, sleep

import msgspec
from confluent_kafka import Producer
from rich.console import Console
from rich.progress import Progress

from bench import audience
from bench.contenders import Clickwarden, Cost
from bench.load import BEGIN, Load
from bench.process import Process
from bench.results import at_least, at_most, report
from bench.worker import Crew, deployment
from clickwarden.detection.anomaly import Anomaly, alert_id
from clickwarden.settings import Settings
from clickwarden.times import isotime

#: Alerts a second, as if other workers had found them, and how many in all.
RATE = 1_000
ALERTS = 10_000
#: How often those that are due are sent.
TICK_SECONDS = 0.05

#: What is compared: alerts or none, and how many have the page open.
CASES = {
    "nobody looks": (False, 0),
    "10,000 alerts": (True, 0),
    "listeners": (False, 1),
    "10,000 alerts and listeners": (True, 1),
}
GOAL = 0.9
#: How long the page alone is looked at.
REST_SECONDS = 10.0


class Watched(Clickwarden):
    """A worker whose page is open ``listeners`` times while it counts, and whose site is under attack."""

    def __init__(self, alerts: bool, listeners: int) -> None:
        super().__init__()
        self._alerts = alerts
        self._listeners = listeners

    def prepare(self, load: Load, folder: Path) -> None:
        """Prepare a worker, and remember where the audience may log."""
        super().prepare(load, folder)
        self._folder = folder

    @contextmanager
    def looking(self, crew: Crew) -> Iterator[None]:
        """Have people look while it counts."""
        with ExitStack() as stack:
            if self._listeners:
                crew.until(crew.answers, "the page answers")
                command = (
                    sys.executable,
                    audience.__file__,
                    str(crew.workers[0].web_port),
                    str(self._listeners),
                )
                listening = Process(command, self._folder / "audience.log", os.environ)
                stack.enter_context(listening).said("listening")
            if self._alerts:
                stack.enter_context(_attacking(self.settings))
            yield


@contextmanager
def _attacking(settings: Settings) -> Iterator[None]:
    over = threading.Event()
    attack = threading.Thread(target=_attack, args=(settings, over))
    attack.start()
    try:
        yield
    finally:
        over.set()
        attack.join()


def _attack(settings: Settings, over: threading.Event) -> None:
    producer = Producer({"bootstrap.servers": settings.bootstrap, "compression.type": "lz4", "linger.ms": 5})
    began, sent = monotonic(), 0
    while sent < ALERTS and not over.wait(TICK_SECONDS):
        for number in range(sent, min(ALERTS, int((monotonic() - began) * RATE))):
            anomaly = _anomaly(number)
            producer.produce(settings.anomalies_topic, msgspec.json.encode(anomaly), anomaly.alert_id)
            sent = number + 1
        producer.poll(0)
    producer.flush()


def _anomaly(number: int) -> Anomaly:
    user = f"another-attacker-{number}"
    return Anomaly(
        alert_id=alert_id("bot", user, BEGIN), rule="bot", status="ongoing", user_id=user,
        window_start=isotime(BEGIN), window_end=isotime(BEGIN + 60), count=51, count_low=27, count_high=51,
        threshold=50, first_seen=isotime(BEGIN + 1.25), last_seen=isotime(BEGIN + 7.5), events={"view": 27},
        distinct_products=27, category="bot", owasp="OAT-003",
        reasons=["51 clicks in a window of 60 s, threshold 50", "nothing but view"], partition=0,
    )  # fmt: skip


def measure(bootstrap: str, folder: Path, clicks: int, partitions: int, runs: int, listeners: int) -> bool:
    """Count the load in each case ``runs`` times, in turn; whether the goal was met."""
    load = Load(deployment(bootstrap, partitions, folder), seed=7)
    console = Console(stderr=True, highlight=False)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        load.produce(clicks, progress)
    costs: dict[str, list[Cost]] = {case: [] for case in CASES}
    for turn in range(runs):
        for case in list(CASES)[:: -1 if turn % 2 else 1]:
            alerts, looking = CASES[case]
            contender = Watched(alerts, looking * listeners)
            contender.prepare(load, folder)
            costs[case].append(contender.run())
            rate = clicks / costs[case][-1].reading
            console.print(f"run {turn + 1}: {case} {rate:,.0f} clicks/s", style="dim")
    resting = {
        case: _at_rest(Watched(alerts, looking * listeners), load, folder)
        for case, (alerts, looking) in CASES.items()
    }
    title = f"{clicks:,} clicks, {partitions} partitions, {listeners} listeners, {runs} runs in turn, medians"
    return _report(title, clicks, costs, resting)


def _at_rest(contender: Watched, load: Load, folder: Path) -> float:
    """CPU seconds a second of a worker without a click."""
    contender.prepare(load, folder)
    empty = contender.settings.app_id + "-empty"
    contender.settings = contender.settings.model_copy(update={"clicks_topic": empty})
    with Crew(contender.settings) as crew:
        crew.until(crew.ready, "the worker is ready")
        with contender.looking(crew):
            first = crew.mark()
            sleep(REST_SECONDS)
            last = crew.mark()
    return (last.cpu - first.cpu) / (last.time - first.time)


def _report(title: str, clicks: int, costs: dict[str, list[Cost]], resting: dict[str, float]) -> bool:
    alone = median(cost.reading for cost in costs["nobody looks"])
    idle = resting["nobody looks"]
    rows, goals = [], []
    for case, runs in costs.items():
        reading = median(cost.reading for cost in runs)
        rows.append(
            {
                "case": case,
                "clicks/s": f"{clicks / reading:,.0f}",
                "× alone": f"{alone / reading:.2f}",
                "run by run, clicks/s": " ".join(f"{clicks / cost.reading:,.0f}" for cost in runs),
                "core at rest": f"{resting[case]:.1%}",
                "CPU s/M": f"{median(cost.cpu for cost in runs) / clicks * 1e6:.2f}",
                "peak MB": f"{max(cost.peak for cost in runs) / 1e6:.0f}",
            }
        )
        goals.append(at_least(f"{case} × alone", GOAL, alone / reading))
        goals.append(at_most(f"{case}, core more at rest", round(1 - GOAL, 2), resting[case] - idle))
    report(
        "page",
        title,
        rows,
        goals[2:],
        {case: [cost.reading for cost in runs] for case, runs in costs.items()},
    )
    return all(goal.met for goal in goals)
