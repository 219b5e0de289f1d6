"""``scoring``: a worker that scores the topic of a pipeline, beside others."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.console import Console

from bench.features import KEYS, PIPELINE, transactions
from bench.results import Goal, at_least, at_most, report
from bench.scorers import ARTICLE, OURS, PARTITIONS, QUIX, TREES, Run, Scorer
from clickwarden.models.pipeline import Pipeline

MB = 1_000_000
#: How much faster than whom.
GOALS = {QUIX.name: 5, ARTICLE.name: 1_000}


def measure(bootstrap: str, folder: Path, records: int, runs: int, peers: Sequence[Scorer]) -> bool:
    """Score transactions ``runs`` times, beside peers; report; whether every alarm of ours was right."""
    console = Console(stderr=True, highlight=False)
    console.print(f"Making {records:,} transactions", style="dim")
    values = transactions(records, KEYS, 0)
    contenders = [OURS, *peers]
    found: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for turn in range(runs):
        for contender in contenders[:: -1 if turn % 2 else 1]:
            run = contender.run(bootstrap, folder / f"{turn}-{contender.name}", values)
            found[contender.name].append(run)
            console.print(
                f"run {turn + 1}: {contender.name} {run.rate:,.0f} records/s, {run.output}", style="dim"
            )
    _report(records, runs, found)
    return all(run.output == "right" for run in found[OURS.name])


def _report(records: int, runs: int, found: dict[str, list[Run]]) -> None:
    ours = found[OURS.name]
    rows, ratios = [], {}
    for name, some in found.items():
        ratios[name] = [own.rate / other.rate for own, other in zip(ours, some, strict=True)]
        rows.append(
            {
                "contender": name,
                "records/s": f"{median(run.rate for run in some):,.0f}",
                "clickwarden ×": f"{median(ratios[name]):,.3g}",
                "run by run": " ".join(f"{ratio:,.3g}" for ratio in ratios[name]),
                "CPU s/M": f"{median(run.cpu_a_million for run in some):,.2f}",
                "peak MB": f"{median(run.peak for run in some) / MB:.0f}",
                "changelog B/record": f"{median(run.changelog for run in some):.1f}"
                if some[0].changelog
                else "-",
                "records": f"{some[0].records:,}",
                "alarms": f"{some[0].alarms:,}",
                "output": "; ".join(dict.fromkeys(run.output for run in some)),
            }
        )
    goals: list[Goal] = [
        at_most("CPU s a million records", 8, median(run.cpu_a_million for run in ours)),
        at_most("changelog bytes a record", 15, median(run.changelog for run in ours)),
        at_most(
            "peak, MB, of 400 and 32 B a record",
            400 + 32 * records / MB,
            median(run.peak for run in ours) / MB,
        ),
    ]
    goals += [
        at_least(f"records/s × {name}", bound, median(ratios[name]))
        for name, bound in GOALS.items()
        if name in ratios
    ]
    columns = len(Pipeline.load(PIPELINE).feature_names)
    title = (
        f"{records:,} transactions, {columns} features, {TREES} trees, {PARTITIONS} partitions, lz4; "
        f"{runs} runs in turn, medians"
    )
    kept = {
        name: {"runs": [asdict(run) | {"rate": run.rate} for run in some]} for name, some in found.items()
    }
    report("scoring", title, rows, goals, {"contenders": kept})
