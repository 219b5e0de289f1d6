"""Lay siege to Clickwarden: kill, freeze, starve and isolate it under load, then recount every click.

Real Apache Kafka and real workers on this machine. The seed decides which
faults strike, where, and after how long; it is printed, and the same seed
draws the same faults again.
"""

import argparse
import logging
import random
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.chaos.cluster import NAMES, Broken
from tests.chaos.siege import siege


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
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # outages are what this is about
    folder = Path(tempfile.mkdtemp(prefix="clickwarden-chaos-"))
    print(f"seed {given.seed}: {again}", flush=True)
    try:
        outcome = siege(folder, **vars(given))
        Console().print(outcome.table())
        for fault, examples in outcome.verdict.examples.items():
            print(f"{fault}:", *examples, sep="\n  ")
        ok = outcome.ok
    except Broken as error:
        print(f"broken: {error}", *getattr(error, "__notes__", ()), sep="\n  ")
        ok = False
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        sys.exit(130)
    if not ok:
        sys.exit(f"seed {given.seed}; logs in {folder}; again: {again}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
