"""Where figures go: the terminal, and a file a run."""

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

from app import broker

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
    """Print the rows as a table and what became of the goals; keep all of it in a file.

    Args:
        name: of the benchmark, and so of the file.
        title: of the table: what was measured, at which size.
        rows: cells by the heading of their column, the same headings in every row.
        figures: as measured, for the file.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
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
        "goals": [goal._asdict() for goal in goals],
        "figures": figures,
    }
    path.write_text(json.dumps(kept, indent=2) + "\n")
    console.print(f"kept in {os.path.relpath(path)}")
    return path


def _machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "kafka": broker.VERSION,
        "packages": {package: version(package) for package in PACKAGES},
    }
