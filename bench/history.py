"""``history``: a topic through a draft of rules by ``rules try``, beside the worker that counts it once."""

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import Progress

from bench.contenders import Clickwarden
from bench.load import Load
from bench.results import at_least, report
from bench.worker import OURS, deployment
from clickwarden.alerts.words import plural
from clickwarden.errors import ClickwardenError
from clickwarden.kafka.reader import reader, to_end
from clickwarden.settings import PREFIX, Settings

#: Of the rate of the worker, where every rule is another.
GOAL = 0.5


class Cost(NamedTuple):
    """What one trial took; CPU in seconds, of all its processes from their start."""

    rate: float
    cpu: float
    comparison: dict[str, Any]


def measure(bootstrap: str, folder: Path, clicks: int, partitions: int, seed: int) -> bool:
    """Count a topic by a worker, then try drafts on it; whether each found again what the worker had."""
    console = Console(stderr=True, highlight=False)
    contender = Clickwarden()
    load = Load(deployment(bootstrap, partitions, folder), seed)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        load.produce(clicks, progress)
        contender.prepare(load, folder)
        worker = contender.run()
    told = asyncio.run(_told(contender.settings))
    rules = contender.settings.rules.read_text()
    drafts = {
        "rules try, no rule changed": rules,
        "rules try, one rule changed": rules.replace("threshold = 50", "threshold = 40"),
        "rules try, every rule changed": re.sub(r"(?<=threshold = )(\d+)", _lower, rules),
    }
    rows = [_row("worker", worker.rate, 1.0, worker.cpu / worker.clicks, "-")]
    costs, right = {}, True
    for name, draft in drafts.items():
        file = folder / "draft.toml"
        # Tests of the rules hold at the thresholds that were changed no more.
        file.write_text(re.sub(r"\[\[rule\.test\]\].*?(?=\n\[|\Z)", "", draft, flags=re.DOTALL))
        cost = trial(contender.settings, file)
        costs[name] = cost._asdict()
        before = cost.comparison["before"]
        said = verdict(before, told)
        right &= said == "right"
        rows.append(_row(name, cost.rate, cost.rate / worker.rate, cost.cpu / clicks, said))
    title = f"{clicks:,} clicks, {partitions} partitions, counted by a worker and then tried, in turn"
    goals = [at_least("every rule changed, clicks/s × worker", GOAL, cost.rate / worker.rate)]
    report("history", title, rows, goals, {"worker": worker.rate, "tried": costs, "right": right})
    return right


def verdict(before: dict[str, int], told: tuple[int, int]) -> str:
    """``right``, or by how much windows and incidents differ from what a worker told."""
    windows, incidents = before["windows"] - told[0], before["messages"] - told[1]
    if not windows and not incidents:
        return "right"
    return f"{plural(abs(windows), 'window')} and {plural(abs(incidents), 'incident')} off"


def trial(settings: Settings, draft: Path) -> Cost:
    """Run the command.

    Raises:
        ClickwardenError: it failed.
    """
    environment = os.environ | {PREFIX + name.upper(): str(getattr(settings, name)) for name in OURS}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", "rules", "try", str(draft), "--json"],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ClickwardenError(f"rules try ended with {done.returncode}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(done.stdout)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(found["clicks"] / found["took"], cpu, found)


async def _told(settings: Settings) -> tuple[int, int]:
    """Windows and incidents that a worker told of."""
    alerts, incidents = set(), set()
    async with reader(settings, settings.anomalies_topic) as consumer:
        async for _, records in to_end(consumer):
            for record in records:
                anomaly = json.loads(record.value or b"{}")
                alerts.add(anomaly["alert_id"])
                incidents.add(anomaly["incident_id"])
    return len(alerts), len(incidents)


def _lower(threshold: re.Match[str]) -> str:
    return str(int(threshold[1]) * 4 // 5)


def _row(what: str, rate: float, ratio: float, cpu: float, output: str) -> dict[str, str]:
    return {
        "what": what,
        "clicks/s": f"{rate:,.0f}",
        "× worker": f"{ratio:.2f}",
        "CPU s/M": f"{cpu * 1e6:.2f}",
        "output": output,
    }
