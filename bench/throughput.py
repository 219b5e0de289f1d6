"""``throughput``: the contenders over the same topic, in turn."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress

from bench.contenders import BARE, FLINK, OURS, QUIX, Clickwarden, Contender, Cost
from bench.load import USUAL, Load, Shape
from bench.results import Goal, at_least, at_most, report
from bench.worker import deployment

MB = 1_000_000


class Outcome(NamedTuple):
    """One run of one contender."""

    cost: Cost
    verdict: str


def measure(
    bootstrap: str,
    folder: Path,
    contenders: Sequence[Contender],
    clicks: int,
    partitions: int,
    runs: int,
    seed: int,
) -> bool:
    """Make the loads, run every contender ``runs`` times, report; whether every output of ours was right.

    Whoever gets a share of the clicks gets them in the same minutes of event
    time, so that as many windows close.
    """
    console = Console(stderr=True, highlight=False)
    loads = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for share in sorted({contender.share for contender in contenders}, reverse=True):
            loads[share] = Load(
                deployment(bootstrap, partitions, folder), seed, Shape(rate=USUAL.rate * share)
            )
            loads[share].produce(round(clicks * share), progress)
        outcomes = compare(contenders, loads, runs, folder, progress)
    title = f"{clicks:,} clicks, {partitions} partitions, lz4, seed {seed}, {runs} runs in turn, medians"
    _report(title, outcomes)
    names = [contender.name for contender in contenders if isinstance(contender, Clickwarden)]
    return all(run.verdict == "right" for name in names for run in outcomes[name])


def compare(
    contenders: Sequence[Contender], loads: dict[float, Load], runs: int, folder: Path, progress: Progress
) -> dict[str, list[Outcome]]:
    """The outcomes of each contender, one a round; every other round in reverse order."""
    outcomes: dict[str, list[Outcome]] = {contender.name: [] for contender in contenders}
    task = progress.add_task("", total=runs * len(contenders))
    for turn in range(runs):
        for contender in contenders[:: -1 if turn % 2 else 1]:
            progress.update(task, description=f"Run {turn + 1}: {contender.name}")
            outcome = run(contender, loads[contender.share], folder)
            outcomes[contender.name].append(outcome)
            progress.console.print(
                f"run {turn + 1}: {contender.name} {outcome.cost.rate:,.0f} clicks/s, {outcome.verdict}",
                style="dim",
            )
            progress.advance(task)
    return outcomes


def run(contender: Contender, load: Load, folder: Path) -> Outcome:
    """Run a contender once."""
    contender.prepare(load, folder)
    return Outcome(contender.run(), contender.result())


def typical(runs: Sequence[Outcome]) -> Cost:
    """The median of each figure."""
    costs = [asdict(run.cost) for run in runs]
    return Cost(**{field.name: median(cost[field.name] for cost in costs) for field in fields(Cost)})


def row(name: str, runs: Sequence[Outcome]) -> dict[str, str]:
    """What is said of a contender in every table."""
    cost = typical(runs)
    return {
        "contender": name,
        "clicks/s": f"{cost.rate:,.0f}",
        "start s": f"{cost.start:.1f}",
        "settling s": f"{cost.settling:.1f}",
        "CPU s/M": f"{cost.cpu / cost.clicks * 1e6:.2f}",
        "peak MB": f"{cost.peak / MB:.0f}",
        "changelog B/click": f"{cost.changelog / cost.clicks:.2f}" if cost.changelog else "-",
        "output": "; ".join(dict.fromkeys(run.verdict for run in runs)),
    }


def figures(runs: Sequence[Outcome]) -> list[dict[str, object]]:
    """The runs as they are kept in the file."""
    return [asdict(run.cost) | {"rate": run.cost.rate, "output": run.verdict} for run in runs]


def _report(title: str, outcomes: dict[str, list[Outcome]]) -> None:
    reference = BARE.name if BARE.name in outcomes else next(reversed(outcomes))
    rows, kept = [], {}
    for name, runs in outcomes.items():
        ratios = [
            outcome.cost.rate / other.cost.rate
            for outcome, other in zip(runs, outcomes[reference], strict=True)
        ]
        compared = {
            f"× {reference}": f"{median(ratios):.3g}",
            "run by run": " ".join(f"{ratio:.3g}" for ratio in ratios),
        }
        cells = row(name, runs)
        rows.append({column: cells.pop(column) for column in ("contender", "clicks/s")} | compared | cells)
        kept[name] = {"runs": figures(runs), "ratios": ratios}
    report("throughput", title, rows, _goals(outcomes), {"contenders": kept})


def _goals(outcomes: dict[str, list[Outcome]]) -> list[Goal]:
    if OURS.name not in outcomes:
        return []
    cost = typical(outcomes[OURS.name])
    goals = [
        at_most("CPU s a million clicks", 3, cost.cpu / cost.clicks * 1e6),
        at_most("peak, MB", 200, cost.peak / MB),
        at_most("changelog bytes a click", 1, cost.changelog / cost.clicks),
    ]
    for peer, bound in ((BARE, 1.2), (QUIX, 25)):
        if peer.name in outcomes:
            pairs = zip(outcomes[OURS.name], outcomes[peer.name], strict=True)
            ratio = median(outcome.cost.rate / other.cost.rate for outcome, other in pairs)
            goals.append(at_least(f"clicks/s × {peer.name}", bound, ratio))
    if FLINK.name in outcomes:
        flink = typical(outcomes[FLINK.name])
        cpu, flink_cpu = cost.cpu / cost.clicks, flink.cpu / flink.clicks
        goals += [
            at_least(f"whole run × {FLINK.name}", 2, cost.whole_rate / flink.whole_rate),
            at_most(f"CPU of {FLINK.name}", 1 / 3, cpu / flink_cpu),
            at_most(f"memory of {FLINK.name}", 1 / 4, cost.peak / flink.peak),
        ]
    return goals
