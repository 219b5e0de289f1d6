"""Give the clicks topic more partitions under load, kill workers meanwhile, then recount every click.

The seed decides who is killed when; a worker joins when the topic has just grown.
"""

import argparse
import random
import time
from pathlib import Path
from random import Random

from tests.chaos.cluster import NAMES, Cluster
from tests.chaos.outcome import Outcome
from tests.chaos.timeline import Chronicle
from tests.chaos.trial import hold
from tests.chaos.verdict import verdict

#: The topic has four partitions, and then so many.
NUMBERS = (8, 12)
#: SIGKILLs; the topic grows before the one of every turn of so many.
KILLS, TURN = 10, 4
WAIT_SECONDS = 120.0


def grow(folder: Path, *, seed: int, workers: int, rate: int) -> Outcome:
    """Have the topic of a cluster in ``folder`` grow; the folder keeps the logs.

    Raises:
        Broken: a worker hangs, or does not end as it must.
    """
    random = Random(seed)
    timeline = Chronicle(folder / "timeline")
    numbers = iter(NUMBERS)
    with Cluster(folder, timeline, nodes=1, workers=workers, rate=rate, seed=seed) as cluster:
        cluster.start(*cluster.names[: workers - 1] or cluster.names)
        cluster.until(cluster.ready, WAIT_SECONDS, "all workers ready")
        cluster.load.start()
        for kill in range(KILLS):
            time.sleep(random.uniform(0.5, 3))  # the moment of a fault is what is drawn
            if kill % TURN == 1 and (number := next(numbers, 0)):
                cluster.site.grow(number)
                timeline.note(f"{number} partitions")
                cluster.start(*cluster.absent)
                time.sleep(random.uniform(0, 3))
            name = random.choice(sorted(cluster.meant))
            cluster.kill(name)
            timeline.note(f"{name} killed")
            time.sleep(random.uniform(0, 2))
            cluster.start(name)
            if random.random() < 0.5:
                cluster.until(cluster.ready, WAIT_SECONDS, "all workers ready")
        settings = cluster.site.settings
        cluster.load.stop(settings.partitions)
        timeline.note(f"{cluster.load.sent:,} clicks sent")
        cluster.until(cluster.ready, WAIT_SECONDS, "all workers ready")
        cluster.until(lambda: not cluster.site.behind(), WAIT_SECONDS, "all counted")
        cluster.stop(*cluster.meant)
        found = verdict(settings)
    return Outcome(found, cluster.kills, cluster.deaths)


def main() -> None:
    """Have a topic grow; exit code 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.growth", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="drawn if left out")
    parser.add_argument("--workers", type=int, default=3, choices=range(1, len(NAMES) + 1), help="(3)")
    parser.add_argument("--rate", type=int, default=10_000, help="clicks a second (10000)")
    given = parser.parse_args()
    again = f"make growth SEED={given.seed} WORKERS={given.workers} RATE={given.rate}"
    hold("growth", given.seed, again, lambda folder: grow(folder, **vars(given)))


if __name__ == "__main__":
    main()
