"""Plots of the figures, one way to draw for each kind of benchmark."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("svg")
from matplotlib import pyplot as plt

BLUE, ORANGE, GREY = "#3a86d1", "#e09f3e", "#808890"
THOUSANDS = "{x:,.0f}"
GREYS = ("text.color", "axes.labelcolor", "axes.edgecolor", "grid.color", "xtick.color", "ytick.color")
Figures = Mapping[str, Any]


@contextmanager
def plot(path: Path, width: float = 6.4, height: float = 3.2, **grid: Any) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes, saved on exit; the same figures give the same file."""
    # Grey text and no background: readable on a light page and on a dark one.
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "clickwarden", "font.size": 8}
    with plt.rc_context(style | dict.fromkeys(GREYS, GREY)):
        figure, axes = plt.subplots(figsize=(width, height), layout="constrained", **grid)
        yield figure, axes
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)


def throughput(figures: Figures, path: Path) -> None:
    """Clicks a second of each contender, every run a dot."""
    _rates(figures, path, "clicks", 1_000, 3_000_000)


def scoring(figures: Figures, path: Path) -> None:
    """Records a second of each contender, every run a dot."""
    _rates(figures, path, "records", 10, 1_000_000)


def _rates(figures: Figures, path: Path, what: str, least: int, most: int) -> None:
    contenders = list(reversed(figures["contenders"].items()))
    with plot(path, height=0.8 + 0.32 * len(contenders)) as (_, axes):
        for at, (name, kept) in enumerate(contenders):
            rates = [run["rate"] for run in kept["runs"]]
            axes.barh(at, median(rates), color=BLUE if name.startswith("clickwarden") else GREY, height=0.6)
            axes.plot(rates, [at] * len(rates), "|", color=ORANGE, markersize=8)
            axes.annotate(f" {median(rates):,.0f}", (max(rates), at), va="center")
        axes.set_yticks(range(len(contenders)), [name for name, _ in contenders])
        axes.set_xscale("log")
        axes.set_xlim(least, most)
        axes.xaxis.set_major_formatter(THOUSANDS)
        axes.set_xlabel(f"{what} a second, logarithmic")


def curve(figures: Figures, path: Path) -> None:
    """Rate, CPU and memory over what is varied."""
    values = figures["values"]
    # Numbers that grow by factors are drawn at equal steps.
    ticks = range(len(values))
    panels = {
        "clicks a second": [point["rate"] for point in figures["points"]],
        "CPU s a million": [point["cpu"] / point["clicks"] * 1e6 for point in figures["points"]],
        "peak MB": [point["peak"] / 1e6 for point in figures["points"]],
    }
    with plot(path, height=2.2, ncols=len(panels)) as (figure, axes):
        for panel, (label, heights) in zip(axes, panels.items(), strict=True):
            panel.plot(ticks, heights, color=BLUE, marker=".")
            panel.set_xticks(ticks, figures["labels"])
            panel.set_ylim(bottom=0)
            panel.yaxis.set_major_formatter(THOUSANDS)
            panel.set_title(label, fontsize=8)
            panel.grid(alpha=0.25)
        figure.supxlabel(figures["varied"], fontsize=8)


def latency(figures: Figures, path: Path) -> None:
    """Share of alerts that have come, over time."""
    with plot(path) as (_, axes):
        for rate, kept in figures["rates"].items():
            times = np.maximum(kept["milliseconds"], 1)
            axes.plot(times, np.arange(1, len(times) + 1) / len(times), label=f"{int(rate):,} clicks/s")
        axes.set_xscale("log")
        axes.set_xlabel("ms from the crossing click's produce call to its alert")
        axes.set_ylabel("share of the alerts")
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)


def profile(figures: Figures, path: Path) -> None:
    """µs a click, step by step."""
    steps = list(reversed(figures["microseconds"].items()))
    with plot(path, height=0.6 + 0.22 * len(steps)) as (_, axes):
        axes.barh(range(len(steps)), [cost for _, cost in steps], color=BLUE, height=0.6)
        for at, (_, cost) in enumerate(steps):
            axes.annotate(f" {cost:.2f}", (cost, at), va="center")
        axes.set_yticks(range(len(steps)), [step for step, _ in steps])
        axes.margins(x=0.1)
        axes.set_xlabel("CPU µs a click")


DRAWN: dict[str, Callable[[Figures, Path], None]] = {
    "throughput": throughput,
    "scoring": scoring,
    "curve": curve,
    "latency": latency,
    "profile": profile,
}


def draw(name: str, figures: Figures, path: Path) -> None:
    """Draw what was measured by the benchmark of this name, where there is a way to."""
    kind = name.partition("-")[0]
    if kind in DRAWN:
        DRAWN[kind](figures, path)
