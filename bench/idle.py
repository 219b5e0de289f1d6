"""``idle``: clicks a second beside a pipeline that has nothing to score, in pairs of runs."""

from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.progress import Progress

from bench.contenders import OURS, Clickwarden
from bench.features import KEYS, transactions
from bench.load import Load
from bench.results import at_least, report
from bench.scorers import LEARNT, trained
from bench.throughput import compare, figures, row
from bench.worker import deployment


class Beside(Clickwarden):
    """A worker that has a pipeline, too, whose topic is empty."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "clickwarden, a pipeline idle"

    def prepare(self, load: Load, folder: Path) -> None:
        """Give the run a pipeline of its own as well."""
        super().prepare(load, folder)
        name = self.settings.app_id
        pipeline = trained(folder / f"{name}-fraud", f"{name}-transactions", transactions(LEARNT, KEYS, 0))
        self.settings = self.settings.model_copy(update={"pipelines": str(pipeline.folder)})


def measure(bootstrap: str, folder: Path, clicks: int, partitions: int, runs: int, seed: int) -> bool:
    """Count the load ``runs`` times with and without, in turn; report; whether every output was right."""
    console = Console(stderr=True, highlight=False)
    load, beside = Load(deployment(bootstrap, partitions, folder), seed), Beside()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        load.produce(clicks, progress)
        outcomes = compare([OURS, beside], {1.0: load}, runs, folder, progress)
    pairs = zip(outcomes[beside.name], outcomes[OURS.name], strict=True)
    ratios = [with_it.cost.rate / without.cost.rate for with_it, without in pairs]
    low, _, high = quantiles(ratios, n=4) if runs > 1 else ratios * 3
    rows = [row(name, some) for name, some in outcomes.items()]
    said = f"{' '.join(f'{ratio:.3f}' for ratio in ratios)}; middle half {low:.3f} to {high:.3f}"
    for cells, what in zip(rows, ("", said), strict=True):
        cells["× without, run by run"] = what
    title = f"{clicks:,} clicks, {partitions} partitions, lz4, seed {seed}, {runs} pairs of runs, medians"
    goals = [at_least("clicks/s × without a pipeline", 0.97, median(ratios))]
    kept = {"ratios": ratios} | {name: figures(some) for name, some in outcomes.items()}
    report("idle", title, rows, goals, kept)
    return all(run.verdict == "right" for some in outcomes.values() for run in some)
