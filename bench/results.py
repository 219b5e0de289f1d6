"""Where figures go: the terminal, and three files a run."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from bench import plots
from clickwarden.sandbox import broker

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("aiokafka", "clickwarden", "confluent-kafka", "faust-streaming", "msgspec", "numpy", "uvloop")


class Goal(NamedTuple):
    """A figure that is to be shown, and whether this run has shown it."""

    what: str
    figure: float
    met: bool


def at_least(what: str, bound: float, figure: float) -> Goal:
    """The figure must reach the bound."""
    return Goal(f"{what} ≥ {bound:,g}", figure, figure >= bound)


def at_most(what: str, bound: float, figure: float) -> Goal:
    """The figure must not exceed the bound."""
    return Goal(f"{what} ≤ {bound:,g}", figure, figure <= bound)


def report(
    name: str,
    title: str,
    rows: Sequence[Mapping[str, str]],
    goals: Sequence[Goal],
    figures: Mapping[str, Any],
) -> Path:
    """Print the rows as a table and what became of the goals; keep all of it as text, JSON and a plot.

    Args:
        name: of the benchmark, and so of the files.
        title: of the table: what was measured, at which size.
        rows: cells by the heading of their column, the same headings in every row.
        goals: what the figures had to reach.
        figures: as measured, for the file and the plot.
    """
    console = Console(highlight=False, record=True, width=None if sys.stdout.isatty() else 150)
    table = Table(box=box.SIMPLE_HEAD)
    for column, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if column else "left")
    for row in rows:
        table.add_row(*row.values())
    console.print(title, table)
    for goal in goals:
        style, word = ("green", "met") if goal.met else ("bold red", "missed")
        console.print(f"{goal.what}: {goal.figure:,.4g} [{style}]{word}[/]")

    now = datetime.now(UTC)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}-{now:%Y%m%dT%H%M%SZ}.json"
    kept = {
        "command": " ".join(["python -m bench", *sys.argv[1:]]),
        "time": now.isoformat(timespec="seconds"),
        "machine": _machine(),
        "title": title,
        "rows": rows,
        "goals": [goal._asdict() for goal in goals],
        "figures": figures,
    }
    path.write_text(json.dumps(kept, indent=2) + "\n")
    path.with_suffix(".txt").write_text(console.export_text())
    plots.draw(name, figures, path.with_suffix(".svg"))
    console.print(f"kept in {os.path.relpath(path.with_suffix(''))}.*")
    return path


def newest(name: str) -> dict[str, Any] | None:
    """What was kept of the last run of a benchmark; None where there was none."""
    paths = sorted(FOLDER.glob(f"{name}-[0-9]*.json"))
    kept: dict[str, Any] | None = json.loads(paths[-1].read_text()) if paths else None
    return kept


def _machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "kafka": broker.VERSION,
        "packages": {package: version(package) for package in PACKAGES},
    }
