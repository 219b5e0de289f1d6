"""``sketch``: who is taken for a bot by mistake, and who is missed. Nothing has to run.

All clicks are of one window. More clicks are of more users, not of busier
ones: that is what fills a sketch. Users who come late find it fuller, so that
an order of clicks in which users come in waves is harder than a mixed one.
"""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from bench.plots import plot
from bench.results import at_most, report
from clickwarden.detection.batch import Batch
from clickwarden.detection.clicks import Clicks
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.detection.sketch import DEPTH, cells_of, hashes_of
from clickwarden.kafka.runs import RUN_RECORDS
from clickwarden.settings import Settings

THRESHOLD = 50
DEFAULT, NARROW = WIDTHS = 65_536, 16_384
PLOT = Path(__file__).parent.parent / "docs" / "img" / "sketch-error.svg"

#: Clicks in the window: for the table, and for the plot.
CLICKS = 1_000_000
LOADS = (125_000, 250_000, 500_000, CLICKS, 2_000_000)
#: Each wave's users are gone when the next one's come.
WAVES = 4
#: Of a million clicks: shoppers (log-normally active), bots, and the bots' share.
SHOPPERS = 352_000
BOTS = 500
BOTTING = 0.05
SEED = 7

Users = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Mistakes(NamedTuple):
    """How one way of counting judged the users.

    Attributes:
        false: users said to be over the threshold who are not.
        missed: users over the threshold who are not said to be.
    """

    false: int
    missed: int


def traffic(clicks: int, waves: int) -> Users:
    """The user of each click, numbered from 0 without a gap."""
    random = np.random.default_rng(SEED)
    millions = clicks / waves / 1e6
    activity = random.lognormal(size=round(SHOPPERS * millions))
    bots = round(BOTS * millions)
    shares = np.r_[activity / activity.sum() * (1 - BOTTING), np.full(bots, BOTTING / bots)]
    came = [
        wave * len(shares) + random.choice(len(shares), clicks // waves, p=shares) for wave in range(waves)
    ]
    return np.unique(np.concatenate(came), return_inverse=True)[1]


def plain(users: Users, names: Sequence[str], width: int) -> Mask:
    """Count-Min as it was published: a click raises every cell of its user."""
    cells = _cells(names, width)
    sums = np.bincount(cells[:, users].ravel(), minlength=DEPTH * width)
    over: Mask = sums[cells].min(axis=0) > THRESHOLD
    return over


def conservative(users: Users, names: Sequence[str], width: int) -> Mask:
    """Count-Min with conservative update: a click raises the lowest cells of its user."""
    cells = _cells(names, width)
    counts = np.zeros(DEPTH * width, np.int32)
    values = memoryview(counts.data)
    for user in users.tolist():
        indexes = cells[:, user].tolist()
        lowest = min([values[index] for index in indexes])
        for index in indexes:
            if values[index] == lowest:
                values[index] = lowest + 1
    over: Mask = counts[cells].min(axis=0) > THRESHOLD
    return over


def detection(users: Users, names: Sequence[str], width: int) -> Mask:
    """The detection: conservative update, a width that grows, an exact count from half the threshold on."""
    counting = Detection(0, [Rule(name="bot", window=60, threshold=THRESHOLD, width=width)], Settings())
    count = len(users)
    clicks = Clicks(list(map(names.__getitem__, users)), ["view"] * count, [None] * count, np.zeros(count))
    found = [counting.count(Batch(run)).anomalies for run in clicks.cut(RUN_RECORDS)]
    reported = {anomaly.user_id for anomalies in found for anomaly in anomalies}
    return np.array([name in reported for name in names])


def _cells(names: Sequence[str], width: int) -> NDArray[np.intp]:
    return cells_of(hashes_of(names, 0), width)


#: Who is over the threshold, by user; in the order of the table.
WAYS: dict[str, Callable[[Users, Sequence[str], int], Mask]] = {
    "plain": plain,
    "conservative update": conservative,
    "clickwarden": detection,
}
COLOURS = {"plain": "#d1495b", "conservative update": "#e09f3e", "clickwarden": "#3a86d1"}
#: The width that is begun with: only the detection's grows.
WAYS_AND_WIDTHS = list(product(WAYS, WIDTHS))


def judge(users: Users) -> dict[tuple[str, int], Mistakes]:
    """The mistakes of each way of counting at each width."""
    counts = np.bincount(users)
    over = counts > THRESHOLD
    names = [f"user-{number}" for number in range(len(counts))]
    mistakes = {}
    for way, width in WAYS_AND_WIDTHS:
        said = WAYS[way](users, names, width)
        mistakes[way, width] = Mistakes(int((said & ~over).sum()), int((over & ~said).sum()))
    return mistakes


def measure(loads: Sequence[int] = LOADS, clicks: int = CLICKS, plot: Path = PLOT) -> bool:
    """Report, and draw the plot; whether no user was missed."""
    console = Console(stderr=True, highlight=False)
    by_load = {}
    for load in loads:
        console.print(f"{load:,} clicks", style="dim")
        by_load[load] = judge(traffic(load, 1))
    console.print(f"{clicks:,} clicks of users who come in {WAVES} waves", style="dim")
    mixed, waves = by_load[clicks], judge(traffic(clicks, WAVES))
    rows = [
        {
            "counting": way,
            "first width": f"{width:,}",
            "false alerts": f"{mixed[way, width].false:,}",
            f"in {WAVES} waves": f"{waves[way, width].false:,}",
            "missed": f"{mixed[way, width].missed + waves[way, width].missed:,}",
        }
        for way, width in WAYS_AND_WIDTHS
    ]
    users = np.bincount(traffic(clicks, 1))
    title = (
        f"{clicks:,} clicks of {len(users):,} users in one window, {(users > THRESHOLD).sum():,} of them "
        f"over the threshold of {THRESHOLD}"
    )
    missed = sum(mistakes.missed for judged in (*by_load.values(), waves) for mistakes in judged.values())
    goals = [
        at_most(f"false alerts at width {DEFAULT:,}", 0, mixed["clickwarden", DEFAULT].false),
        at_most("missed", 0, missed),
    ]
    figures = [
        {"clicks": load, "waves": count, "counting": way, "width": width} | mistakes._asdict()
        for load, count, judged in (
            *((load, 1, judged) for load, judged in by_load.items()),
            (clicks, WAVES, waves),
        )
        for (way, width), mistakes in judged.items()
    ]
    report("sketch", title, rows, goals, {"mistakes": figures})
    _draw(by_load, plot)
    return not missed


def _draw(by_load: dict[int, dict[tuple[str, int], Mistakes]], path: Path) -> None:
    with plot(path) as (figure, axes):
        for way, width in WAYS_AND_WIDTHS:
            axes.plot(
                [load / 1e6 for load in by_load],
                [judged[way, width].false for judged in by_load.values()],
                color=COLOURS[way],
                linestyle="-" if width == DEFAULT else ":",
                marker=".",
                label=f"{way}, {width:,} cells",
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks([load / 1e6 for load in by_load], [f"{load / 1e6:g}" for load in by_load])
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("clicks in the window, millions")
        axes.set_ylabel("users reported by mistake")
        axes.grid(alpha=0.25)
        figure.legend(loc="outside right upper", frameon=False)
