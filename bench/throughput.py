"""``throughput``: the contenders over the same topic, in turn."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress

from bench.contenders import CONTENDERS, Contender, Cost
from bench.load import Load
from bench.results import at_least, at_most, report
from bench.worker import deployment

MB = 1_000_000


class Outcome(NamedTuple):
    """One run of one contender."""

    cost: Cost
    verdict: str


def measure(bootstrap: str, folder: Path, clicks: int, partitions: int, runs: int, seed: int) -> bool:
    """Make the load, run every contender ``runs`` times, report; whether every output was right."""
    load = Load(deployment(bootstrap, partitions, folder), clicks, seed)
    console = Console(stderr=True, highlight=False)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        load.produce(progress)
        outcomes = compare(CONTENDERS, load, runs, folder, progress)
    title = f"{clicks:,} clicks, {partitions} partitions, lz4, seed {seed}, {runs} runs in turn, medians"
    _report(title, clicks, outcomes)
    return all(run.verdict in ("right", "-") for each in outcomes.values() for run in each)


def compare(
    contenders: Sequence[type[Contender]], load: Load, runs: int, folder: Path, progress: Progress
) -> dict[str, list[Outcome]]:
    """The outcomes of each contender, one a round; every other round in reverse order."""
    outcomes: dict[str, list[Outcome]] = {contender.name: [] for contender in contenders}
    task = progress.add_task("", total=runs * len(contenders))
    for turn in range(runs):
        for made in contenders[:: -1 if turn % 2 else 1]:
            progress.update(task, description=f"Run {turn + 1}: {made.name}")
            contender = made()
            contender.prepare(load, folder)
            cost = contender.run()
            outcomes[made.name].append(Outcome(cost, contender.result()))
            progress.console.print(
                f"run {turn + 1}: {made.name} {load.clicks / cost.reading:,.0f} clicks/s", style="dim"
            )
            progress.advance(task)
    return outcomes


def _report(title: str, clicks: int, outcomes: dict[str, list[Outcome]]) -> None:
    millions = clicks / 1_000_000
    *_, reference = outcomes
    rows, ratios, medians = [], {}, {}
    for name, runs in outcomes.items():
        costs = [run.cost for run in runs]
        ratios[name] = [
            other.cost.reading / cost.reading for cost, other in zip(costs, outcomes[reference], strict=True)
        ]
        medians[name] = {field: median(asdict(cost)[field] for cost in costs) for field in asdict(costs[0])}
        typical = Cost(**medians[name])
        verdicts = dict.fromkeys(run.verdict for run in runs)
        rows.append(
            {
                "contender": name,
                "clicks/s": f"{clicks / typical.reading:,.0f}",
                f"× {reference}": f"{median(ratios[name]):.2f}",
                "run by run": " ".join(f"{ratio:.2f}" for ratio in ratios[name]),
                "start s": f"{typical.start:.1f}",
                "settling s": f"{typical.settling:.1f}",
                "CPU s/M": f"{typical.cpu / millions:.2f}",
                "peak MB": f"{typical.peak / MB:.0f}",
                "output": "; ".join(verdicts),
            }
        )
    ours, *_ = outcomes
    peak = max(run.cost.peak for run in outcomes[ours])
    goals = [
        at_least(f"{ours} × {reference}", 1.0, median(ratios[ours])),
        at_most(f"{ours}'s peak, MB", 250, peak / MB),
    ]
    figures = {
        name: {
            "runs": [asdict(run.cost) | {"output": run.verdict} for run in runs],
            "medians": medians[name],
            "ratios": ratios[name],
        }
        for name, runs in outcomes.items()
    }
    report("throughput", title, rows, goals, {"clicks": clicks, "contenders": figures})
