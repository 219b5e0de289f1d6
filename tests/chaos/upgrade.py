"""Upgrade workers one after the other under load, and what else befalls pods, then recount every click.

A rolling upgrade from an older commit with kills in the middle of it, one more worker, a drained node (a
worker comes back without its disk), a recreated pod (killed, with another address), and one worker fewer.
The seed decides who and when.
"""

import argparse
import random
import subprocess
import time
from pathlib import Path
from random import Random

from tests.chaos.cluster import NAMES, Cluster
from tests.chaos.outcome import Outcome
from tests.chaos.timeline import Chronicle
from tests.chaos.trial import hold
from tests.chaos.verdict import verdict

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 120.0
#: Between two events, at most, seconds.
PAUSE = 4.0


def upgrade(folder: Path, *, seed: int, since: str, rate: int) -> Outcome:
    """Upgrade a cluster in ``folder``, which keeps the logs, from the commit ``since`` to what is here.

    Raises:
        Broken: a worker hangs, or does not end as it must.
    """
    random = Random(seed)
    timeline = Chronicle(folder / "timeline")
    before = _checkout(folder / "before", since)
    with Cluster(folder, timeline, nodes=1, workers=len(NAMES), rate=rate, seed=seed) as cluster:
        *old, new = cluster.names
        cluster.site.checkouts = dict.fromkeys(old, before)
        cluster.start(*old)
        cluster.until(cluster.ready, WAIT_SECONDS, "all workers of the older release ready")
        cluster.load.start()

        def settle(what: str) -> None:
            cluster.until(cluster.ready, WAIT_SECONDS, f"all workers ready: {what}")
            timeline.note(what)
            time.sleep(random.uniform(1, PAUSE))  # the moment is what is drawn

        settle(f"{len(old)} workers of {since}")
        for name in reversed(old):  # as a StatefulSet does
            seconds = cluster.stop(name)
            del cluster.site.checkouts[name]
            cluster.start(name)
            if random.random() < 0.5:
                time.sleep(random.uniform(0, 2))
                cluster.kill(name)
                cluster.start(name)
            settle(f"{name} upgraded, stopped in {seconds:.1f} s")
        cluster.start(new)
        settle(f"{new} has joined")
        drained = random.choice(cluster.names)
        cluster.stop(drained)
        cluster.site.forget_data(drained)
        time.sleep(random.uniform(0, PAUSE))
        cluster.start(drained)
        settle(f"{drained} is back from another node, without its disk")
        recreated = random.choice(cluster.names)
        cluster.kill(recreated)
        cluster.site.move(recreated)
        cluster.start(recreated)
        settle(f"{recreated} was recreated with another address")
        cluster.stop(new)
        settle(f"{new} has left for good")
        settings = cluster.site.settings
        cluster.load.stop(settings.partitions)
        timeline.note(f"{cluster.load.sent:,} clicks sent")
        cluster.until(lambda: not cluster.site.behind(), WAIT_SECONDS, "all counted")
        cluster.stop(*cluster.meant)
        found = verdict(settings)
    return Outcome(found, cluster.kills, cluster.deaths)


def _checkout(folder: Path, commit: str) -> Path:
    """The files of a commit."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    return folder


def main() -> None:
    """Upgrade a cluster; exit code 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.upgrade", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="drawn if left out")
    parser.add_argument("--since", default="HEAD~1", help="commit of the older release (HEAD~1)")
    parser.add_argument("--rate", type=int, default=5_000, help="clicks a second (5000)")
    given = parser.parse_args()
    again = f"make upgrade SEED={given.seed} SINCE={given.since} RATE={given.rate}"
    hold("upgrade", given.seed, again, lambda folder: upgrade(folder, **vars(given)))


if __name__ == "__main__":
    main()
