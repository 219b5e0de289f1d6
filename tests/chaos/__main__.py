"""Lay siege to Clickwarden: kill, freeze, starve and isolate it under load, then recount every click.

Real Apache Kafka and real workers on this machine. The seed decides which
faults strike, where, and after how long; it is printed, and the same seed
draws the same faults again.
"""

import argparse
import random

from tests.chaos.cluster import NAMES
from tests.chaos.siege import siege
from tests.chaos.trial import hold


def main() -> None:
    """Run a siege; exit code 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="drawn if left out")
    parser.add_argument("--rounds", type=int, default=20, help="faults (20)")
    parser.add_argument("--workers", type=int, default=2, choices=range(1, len(NAMES) + 1), help="(2)")
    parser.add_argument(
        "--nodes", type=int, default=1, choices=(1, 3), help="of Kafka; 3: network faults too (1)"
    )
    parser.add_argument("--rate", type=int, default=20_000, help="clicks a second (20000)")
    given = parser.parse_args()

    again = f"make chaos SEED={given.seed} ROUNDS={given.rounds} WORKERS={given.workers} NODES={given.nodes}"
    if given.rate != parser.get_default("rate"):
        again += f" RATE={given.rate}"
    hold("chaos", given.seed, again, lambda folder: siege(folder, **vars(given)))


if __name__ == "__main__":
    main()
