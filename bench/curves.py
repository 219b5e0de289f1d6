"""``curves``: what a click costs as one thing grows and everything else stays."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress

from bench import throughput
from bench.contenders import Clickwarden
from bench.load import USUAL, Load, Shape
from bench.results import Goal, at_most, report
from bench.throughput import Outcome
from bench.worker import deployment

CLICKS = 1_000_000
SEED = 7
#: In the order in which they are added.
RULES = (
    ("bot", 60, 50, ()),
    ("credential-stuffing", 60, 15, ("login",)),
    ("slow-scraper", 600, 200, ("view",)),
    ("carts", 60, 30, ("add_to_cart",)),
    ("crawler", 300, 150, ("view", "click")),
    ("resellers", 600, 20, ("purchase",)),
    ("burst", 10, 30, ()),
    ("hourly", 3600, 1000, ()),
)


class Point(NamedTuple):
    """One run of a curve.

    Attributes:
        shape: of the clicks.
        clicks: how many.
        partitions: of the topic.
        workers: that count them.
        rules: the file's text; None: the settings' own.
    """

    shape: Shape = USUAL
    clicks: int = CLICKS
    partitions: int = 4
    workers: int = 1
    rules: str | None = None


class Curve(NamedTuple):
    """What is varied, in words; its values; and the run of one value."""

    varied: str
    values: Sequence[float]
    point: Callable[[float], Point]


def rule(name: str, window: int, threshold: int, events: Sequence[str] = ()) -> str:
    """A rule as rules.toml has it."""
    wanted = f"events = {list(events)!r}\n" if events else ""
    return f'[[rule]]\nname = "{name}"\nwindow = {window}\nthreshold = {threshold}\n{wanted}'


def _users(users: float) -> Point:
    # All of them come in each window of a minute.
    clicks = max(CLICKS, int(users))
    return Point(Shape(rate=clicks, users=int(users)), clicks)


def _window(minutes: float) -> Point:
    return Point(Shape(rate=CLICKS / 10), rules=rule("bot", int(minutes * 60), 50))


CURVES = {
    "users": Curve("users a window", (10_000, 100_000, 1_000_000, 10_000_000), _users),
    "rules": Curve(
        "rules",
        (1, 2, 4, 8),
        lambda count: Point(rules="".join(rule(*definition) for definition in RULES[: int(count)])),
    ),
    "partitions": Curve("partitions", (1, 4, 16, 64), lambda count: Point(partitions=int(count))),
    "window": Curve("minutes a window", (1, 5, 15, 60), _window),
    "garbage": Curve(
        "share of records that are no click", (0, 0.01, 0.05, 0.1), lambda share: Point(Shape(garbage=share))
    ),
    "disorder": Curve("seconds out of order", (0, 1, 4, 10), lambda seconds: Point(Shape(disorder=seconds))),
    "size": Curve("bytes a record", (100, 512, 1024, 4096), lambda size: Point(Shape(size=int(size)))),
    "workers": Curve(
        "workers on the same two cores",
        (1, 2, 3, 4),
        lambda count: Point(workers=int(count), clicks=3 * CLICKS),
    ),
}


def measure(bootstrap: str, folder: Path, names: Sequence[str], scale: float = 1.0) -> bool:
    """Measure and report these curves; whether every output was right.

    ``scale`` makes every load smaller, or larger.
    """
    console = Console(stderr=True, highlight=False)
    right = True
    for name in names:
        outcomes = {}
        for value in CURVES[name].values:
            outcomes[value] = outcome = run(bootstrap, folder, CURVES[name].point(value), scale)
            right &= outcome.verdict == "right"
            console.print(
                f"{CURVES[name].varied} {value:,g}: {outcome.cost.rate:,.0f} clicks/s, {outcome.verdict}",
                style="dim",
            )
        _report(name, CURVES[name], outcomes)
    return right


def run(bootstrap: str, folder: Path, point: Point, scale: float = 1.0) -> Outcome:
    """Make the load of one point and count it once."""
    settings = deployment(bootstrap, point.partitions, folder)
    if point.rules is not None:
        path = folder / f"{settings.app_id}.toml"
        path.write_text(point.rules)
        settings = settings.model_copy(update={"rules": path})
    load = Load(settings, SEED, point.shape)
    with Progress(disable=True) as progress:
        load.produce(int(point.clicks * scale), progress)
    return throughput.run(Clickwarden(point.workers), load, folder)


def _report(name: str, curve: Curve, outcomes: dict[float, Outcome]) -> None:
    labels = [_label(value) for value in outcomes]
    rows = []
    for label, outcome in zip(labels, outcomes.values(), strict=True):
        cells = throughput.row("", [outcome])
        del cells["contender"]
        rows.append({curve.varied: label} | cells)
    points = [kept for outcome in outcomes.values() for kept in throughput.figures([outcome])]
    figures = {"varied": curve.varied, "values": list(outcomes), "labels": labels, "points": points}
    report(f"curve-{name}", f"By {curve.varied}, one run each", rows, _goals(name, outcomes), figures)


def _label(value: float) -> str:
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} K" if value >= 1e4 else f"{value:g}"


def _goals(name: str, outcomes: dict[float, Outcome]) -> list[Goal]:
    seconds = {value: outcome.cost.reading / outcome.cost.clicks for value, outcome in outcomes.items()}
    if name == "rules":
        return [at_most("8 rules, time × that of 1", 2, seconds[8] / seconds[1])]
    if name == "garbage":
        return [at_most("5 % garbage, time × that of none", 1.3, seconds[0.05] / seconds[0])]
    return []
