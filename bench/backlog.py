"""``backlog``: what waits when a worker comes back after an outage."""

from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bench import throughput
from bench.contenders import Clickwarden
from bench.load import Load
from bench.results import at_least, report
from bench.worker import Crew, deployment

#: Share of the clicks that was counted before the outage.
BEFORE = 0.05


def measure(bootstrap: str, folder: Path, clicks: int, partitions: int, seed: int) -> bool:
    """Count some clicks, stop, let ``clicks`` wait, start again, report; whether the output was right."""
    console = Console(stderr=True, highlight=False)
    contender = Clickwarden()
    load = Load(deployment(bootstrap, partitions, folder), seed)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        load.produce(round(clicks * BEFORE), progress)
        contender.prepare(load, folder)
        with Crew(contender.settings) as crew:
            crew.until(lambda: crew.committed() == load.clicks, "every click before the outage is committed")
        load.produce(clicks, progress)
    outcome = throughput.Outcome(contender.run(), contender.result())
    title = f"{clicks:,} clicks waiting, {partitions} partitions, after an outage, counted by the same worker"
    rows = [throughput.row("clickwarden", [outcome])]
    goals = [at_least("right", 1, outcome.verdict == "right")]
    report("backlog", title, rows, goals, {"runs": throughput.figures([outcome])})
    return outcome.verdict == "right"
