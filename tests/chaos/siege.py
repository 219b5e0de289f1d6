"""The siege: load and faults, until the oracle speaks."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from rich.table import Table

from tests.chaos.cluster import MIB, Broken, Cluster
from tests.chaos.faults import FAULTS
from tests.chaos.faults.fault import Fault
from tests.chaos.outcome import Outcome
from tests.chaos.progress import LOOK_SECONDS, Progress
from tests.chaos.timeline import Chronicle
from tests.chaos.verdict import verdict

#: A worker that counts nothing for so long hangs.
HANG_SECONDS = 120.0
#: How often the next fault does not wait until the last one is overcome.
OVERLAP = 0.3


@dataclass(frozen=True)
class SiegeOutcome(Outcome):
    """What a siege brought.

    Pauses are in seconds, of one partition that had clicks to count; by fault only where the
    one before it was overcome.
    """

    faults: Counter[str] = field(default_factory=Counter[str])
    pauses: dict[str, float] = field(default_factory=dict[str, float])
    longest: float = 0.0

    def table(self) -> Table:
        """The outcome in one table."""
        table = Table("what", "figure", "longest pause")
        for column in table.columns[1:]:
            column.justify = "right"
        for name, times in sorted(self.faults.items()):
            pause = self.pauses.get(name)
            table.add_row(name, f"{times:,}", f"{pause:.1f} s" if pause is not None else "")
        table.add_section()
        table.add_row("faults", f"{self.faults.total():,}", f"{self.longest:.1f} s")
        self.show(table)
        return table


def siege(
    folder: Path,
    *,
    seed: int,
    rounds: int,
    workers: int,
    nodes: int,
    rate: int,
    faults: Sequence[Fault] = FAULTS,
) -> SiegeOutcome:
    """Lay siege to a cluster in ``folder``, which keeps the logs; ``faults`` are those to draw from.

    Raises:
        Broken: a worker hangs, or does not end as it must.
    """
    random = Random(seed)
    timeline = Chronicle(folder / "timeline")
    struck: Counter[str] = Counter()
    pauses: dict[str, float] = defaultdict(float)
    with Cluster(folder, timeline, nodes=nodes, workers=workers, rate=rate, seed=seed) as cluster:
        settings = cluster.site.settings
        cluster.start(*cluster.names)
        cluster.until(cluster.ready, HANG_SECONDS, "all workers ready")
        load, progress = cluster.load, Progress(settings)
        load.start()
        progress.start()
        longest, alone = 0.0, True
        for _ in range(rounds):
            time.sleep(random.uniform(0.1, 3))  # the moment of a fault is what is drawn
            for part in (load, progress):
                if not part.is_alive():
                    raise Broken(f"the {part.name} of the suite has died: nothing would be tested")
            possible = [fault for fault in faults if fault.possible(cluster)]
            (fault,) = random.choices(possible, [fault.weight for fault in possible])
            struck[fault.name] += 1
            longest, progress.longest = max(longest, progress.longest), 0.0
            hit = fault.strike(cluster, random)
            if random.random() < OVERLAP:
                timeline.note(f"{fault.name}: {hit}")
                alone = False
                continue
            # What was counted at the last moment before the fault may be seen a little later.
            moment = time.monotonic() + 2 * LOOK_SECONDS
            what = f"every partition counted again after {fault.name}: {hit}"
            try:
                cluster.until(partial(progress.counted_since, moment), HANG_SECONDS, what)
            except Broken as broken:
                if progress.trouble:  # it is the watcher who sees nothing
                    broken.add_note(f"progress could not be seen: {progress.trouble}")
                raise
            timeline.note(f"{fault.name}: {hit}; longest pause {progress.longest:.1f} s")
            if alone:
                pauses[fault.name] = max(pauses[fault.name], progress.longest)
            alone = True
        load.stop(settings.partitions)
        timeline.note(f"{load.sent:,} clicks sent; {progress.lag:,} to count")
        cluster.until(lambda: not cluster.site.behind(), HANG_SECONDS + load.sent / 20_000, "all counted")
        progress.stop()
        timeline.note("all counted; the oracle recounts them")
        cluster.stop(*cluster.meant)
        found = verdict(settings)
        timeline.note("done")
    longest = max(longest, progress.longest)
    figures = {
        "ended by themselves": cluster.fenced,
        "peak memory of a worker, MiB": round(cluster.peak / MIB),
    }
    return SiegeOutcome(found, cluster.kills, cluster.deaths, figures, struck, dict(pauses), longest)
