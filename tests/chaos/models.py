"""Change the models of a pipeline again and again under load beside the clicks, kill workers meanwhile, then
judge every click and every record.

The seed decides which models score, when that changes, and who is killed in the middle of it.
"""

import argparse
import json
import random
import re
import shutil
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from numpy.random import default_rng
from rich.table import Table

from clickwarden.detection.lineup import Lineup, promoted, released, shadowed
from clickwarden.models import artefact
from clickwarden.models.pipeline import Pipeline
from tests.chaos.cluster import NAMES, Cluster
from tests.chaos.outcome import Outcome
from tests.chaos.timeline import Chronicle
from tests.chaos.transactions import BEGIN, DAY, Transactions, transactions
from tests.chaos.trial import hold
from tests.chaos.verdict import verdict
from tests.pipelines import appoint, put, train

PIPELINE = Path(__file__).parents[2] / "pipelines" / "fraud"
#: Detectors that score, each with a seed of its own, and a model that is cut off and never may.
DETECTORS = ("iforest", "iforest", "zscore", "kmeans")
CUT_OFF = "0123456789ab"
#: How often that one is put in charge before another is.
REFUSED = 0.2
#: Records that models learn from, those of a day at the usual rate; and alarms a day.
LEARNT, BUDGET = 6_000, 200
FAULTS = ("missing", "invented", "conflicting")
WAIT_SECONDS = 120.0
#: The reference takes some thousand records a second.
VERIFY_SECONDS = 900.0


@dataclass(frozen=True)
class ModelsOutcome(Outcome):
    """What a trial of models brought.

    Attributes:
        scored: what ``verify PIPELINE`` says.
    """

    scored: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return (
            super().ok and self.scored["ok"] and self.scored["expected"] > 0 and not self.scored["unjudged"]
        )

    @property
    def examples(self) -> dict[str, list[str]]:
        """The first few of each fault."""
        return super().examples | {f"record {name}": some for name, some in self.scored["examples"].items()}

    def show(self, table: Table) -> None:
        """Add the outcome."""
        super().show(table)
        table.add_section()
        for fate, count in sorted(self.scored["fates"].items()):
            table.add_row(f"records {fate}", f"{count:,}")
        table.add_row("records to be told", f"{self.scored['expected']:,}")
        table.add_row("days of drift", f"{self.scored['drift']:,}")
        table.add_row("repeats", f"{self.scored['repeats']:,}")
        for fault in FAULTS:
            cases = self.scored[fault]
            table.add_row(f"records {fault}", f"{cases:,}", style="bold red" if cases else None)


def swap(folder: Path, *, seed: int, kills: int, swaps: int, workers: int, rate: int) -> ModelsOutcome:
    """Have other models score in a cluster in ``folder``, which keeps the logs.

    Raises:
        Broken: a worker hangs, or does not end as it must.
    """
    random = Random(seed)
    timeline = Chronicle(folder / "timeline")
    shutil.copytree(PIPELINE, folder / "fraud", ignore=shutil.ignore_patterns("model", "sample*"))
    path = folder / "fraud" / "pipeline.toml"
    path.write_text(re.sub(r"^budget = \d+", f"budget = {BUDGET}", path.read_text(), flags=re.MULTILINE))
    pipeline = Pipeline.load(path.parent)
    events = random.sample(["kill"] * kills + ["swap"] * swaps, kills + swaps)
    with (
        ThreadPoolExecutor(
            1
        ) as appointing,  # one after the other, and a kill may come before, meanwhile or after
        Cluster(
            folder, timeline, nodes=1, workers=workers, rate=rate, seed=seed, pipelines=str(pipeline.folder)
        ) as cluster,
    ):
        settings = cluster.site.settings
        trained = _trained(pipeline, seed)
        versions = list(trained)
        cluster.start(*cluster.names)
        cluster.until(cluster.ready, WAIT_SECONDS, "all workers ready")
        for version, content in [*trained.items(), (CUT_OFF, trained[versions[-1]][:-100])]:
            put(settings, pipeline, version, content)
        records = Transactions(settings.bootstrap, pipeline.topic, rate=rate, seed=seed)
        cluster.load.start()
        records.start()
        lineup = Lineup(versions[-1])
        appointed: list[Future[None]] = []
        for event in events:
            time.sleep(random.uniform(0, 1.5))  # the moment is what is drawn
            if event == "swap":
                lineup = drawn(lineup, versions, random)
                appointed.append(appointing.submit(appoint, settings, pipeline, lineup))
                timeline.note(
                    f"{lineup.champion} in charge, beside it {', '.join(lineup.challengers) or 'none'}"
                )
            else:
                name = random.choice(sorted(cluster.meant))
                cluster.kill(name)
                timeline.note(f"{name} killed")
                time.sleep(random.uniform(0, 2))
                cluster.start(name)
            if random.random() < 0.3:
                cluster.until(cluster.ready, WAIT_SECONDS, "all workers ready")
        for done in appointed:
            done.result()
        records.stop()
        cluster.load.stop(settings.partitions)
        timeline.note(f"{cluster.load.sent:,} clicks and {records.sent:,} records sent")
        cluster.until(cluster.ready, WAIT_SECONDS, "all workers ready")
        cluster.until(lambda: not cluster.site.behind(), WAIT_SECONDS, "all counted")
        cluster.until(lambda: not cluster.site.behind(pipeline.topic), WAIT_SECONDS, "all scored")
        cluster.stop(*cluster.meant)
        found = verdict(settings)
        said = cluster.site.run("verify", str(pipeline.folder), "--json", seconds=VERIFY_SECONDS)
        told = Counter(
            "challengers' alarms" if each["shadow"] else "champions' alarms"
            for each in cluster.site.anomalies()
            if each["scored"]
        )
    return ModelsOutcome(
        found, cluster.kills, cluster.deaths, {"swaps": swaps, **told}, json.loads(said.stdout)
    )


def drawn(lineup: Lineup, versions: list[str], random: Random) -> Lineup:
    """Who scores next: another champion, with challengers or without; or one that may not."""
    others = [version for version in versions if version != lineup.champion]
    lineup = promoted(lineup, CUT_OFF if random.random() < REFUSED else random.choice(others))
    for version in versions:
        if version in lineup.challengers:
            lineup = released(lineup, version) if random.random() < 0.5 else lineup
        elif version != lineup.champion and random.random() < 0.3:
            lineup = shadowed(lineup, version)
    return lineup


def _trained(pipeline: Pipeline, seed: int) -> dict[str, bytes]:
    """Models by version, the last of them in the folder."""
    made = transactions(default_rng(seed), LEARNT, BEGIN - DAY, DAY / LEARNT, bad=0)
    values = [value for _, value in made if value is not None]
    trained = {}
    for number, detector in enumerate(DETECTORS):
        version = train(pipeline, seed + number, detector, values)
        trained[version] = artefact.packed(pipeline)
    return trained


def main() -> None:
    """Have other models score; exit code 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.models", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="drawn if left out")
    parser.add_argument("--kills", type=int, default=20, help="SIGKILLs (20)")
    parser.add_argument("--swaps", type=int, default=10, help="of models (10)")
    parser.add_argument("--workers", type=int, default=2, choices=range(1, len(NAMES) + 1), help="(2)")
    parser.add_argument("--rate", type=int, default=1_000, help="clicks a second, and records (1000)")
    given = parser.parse_args()
    words = " ".join(f"{name.upper()}={value}" for name, value in vars(given).items())
    hold("models", given.seed, f"make models {words}", lambda folder: swap(folder, **vars(given)))


if __name__ == "__main__":
    main()
