"""Change rules and allow-list again and again under load, kill workers meanwhile, then recount every click.

The seed decides what the rules become, when, and who is killed in the middle of it.
"""

import argparse
import random
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

from msgspec import UNSET
from msgspec.structs import replace

from clickwarden.detection.allowlist import Allowance, Members
from clickwarden.detection.rules import OVERLAP_MAX, Rule
from tests.chaos.cluster import NAMES, Cluster
from tests.chaos.outcome import Outcome
from tests.chaos.timeline import Chronicle
from tests.chaos.trial import hold
from tests.chaos.verdict import verdict

WAIT_SECONDS = 120.0
#: Rules of every kind that are there at times, of clicks that others count, too.
KINDS = (
    Rule(name="carts", window=60, threshold=12, events=("add", "buy")),
    Rule(name="reader", window=60, threshold=20, count="distinct product_id"),
    Rule(name="guesser", window=60, threshold=9, share="login of login, buy", at_least=0.9),
    Rule(name="corner", window=60, threshold=9, slide=10, where={"product_id": "p1*"}),
    Rule(name="seeker", window=120, threshold=15, slide=30, count="distinct product_id", events=("add",)),
    Rule(
        name="taker", window=120, threshold=9, slide=60, share="add of add, view", at_least=0.5, shadow=True
    ),
)
#: What a rule may become at times, whatever it is: sliding or not, of some clicks only.
SLIDES = (0, 5, 10, 30, 60)
CONDITIONS = (UNSET, {"product_id": "p?5*"}, {"product_id": ["p7*", "p8*"]}, {"product_id": "!p1*"})


def change(folder: Path, *, seed: int, changes: int, kills: int, workers: int, rate: int) -> Outcome:
    """Change the rules of a cluster in ``folder``, which keeps the logs.

    Raises:
        Broken: a worker hangs, or does not end as it must.
    """
    random = Random(seed)
    timeline = Chronicle(folder / "timeline")
    doomed = set(random.sample(range(changes), kills))
    with Cluster(folder, timeline, nodes=1, workers=workers, rate=rate, seed=seed) as cluster:
        cluster.start(*cluster.names)
        cluster.until(cluster.ready, WAIT_SECONDS, "all workers ready")
        cluster.load.start()
        for number in range(changes):
            time.sleep(random.uniform(0, 1.5))  # the moment is what is drawn
            rules = drawn(cluster.rules, random)
            lists = drawn_lists(cluster.rules, random)
            putting = threading.Thread(target=cluster.put_rules, args=(rules, *lists))
            putting.start()
            if number in doomed:
                time.sleep(
                    random.uniform(0, 1.5)
                )  # before the change is there, while it is taken up, or after
                name = random.choice(sorted(cluster.meant))
                cluster.kill(name)
                cluster.start(name)
                timeline.note(f"{name} killed at change {number}")
            putting.join()
        settings = cluster.site.settings
        put = cluster.site.changes() - 1  # they begin with the first
        cluster.load.stop(settings.partitions)
        timeline.note(f"{cluster.load.sent:,} clicks sent")
        cluster.until(cluster.ready, WAIT_SECONDS, "all workers ready")
        cluster.until(lambda: not cluster.site.behind(), WAIT_SECONDS, "all counted")
        cluster.stop(*cluster.meant)
        found = verdict(settings)
        told = Counter(f"told by rule {each['rule']}" for each in cluster.site.anomalies())
    figures = {"changes of the rules": put, **dict(sorted(told.items()))}
    return Outcome(found, cluster.kills, cluster.deaths, figures)


def drawn(rules: tuple[Rule, ...], random: Random) -> list[Rule]:
    """Rules as they may be next: other thresholds, windows, conditions, in shadow, fewer or more of them."""
    some = [*rules, *(rule for rule in KINDS if random.random() < 0.3)]
    some = [replace(rule, threshold=rule.threshold + random.randint(-2, 2)) for rule in some]
    some = [_revised(rule, random) if random.random() < 0.2 else rule for rule in some]
    some[0] = replace(some[0], shadow=random.random() < 0.5)
    if random.random() < 0.3:
        some.remove(random.choice(some))
    return some


def _revised(rule: Rule, random: Random) -> Rule:
    slide = random.choice([slide for slide in SLIDES if slide * OVERLAP_MAX >= rule.window or not slide])
    rule = replace(rule, slide=slide, where=random.choice(CONDITIONS))
    if rule.share:
        return replace(rule, at_least=random.choice([0.5, 0.75, 0.9, 1.0]))
    return replace(rule, count=random.choice(["clicks", "distinct product_id"]))


def drawn_lists(rules: tuple[Rule, ...], random: Random) -> tuple[list[Members], list[Allowance]]:
    """Who is allowed no more, and who is from now on: attackers, who are named after their rule."""
    allowed, others = random.sample([f"{rule.name}-" for rule in rules], 2)
    entry = Allowance(prefixes=[allowed], users=[f"{others}1"], reason=random.choice(["one", "another"]))
    return [Members(prefixes=[others])], [entry] if random.random() < 0.5 else []


def main() -> None:
    """Change the rules; exit code 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.changes", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="drawn if left out")
    parser.add_argument("--changes", type=int, default=100, help="(100)")
    parser.add_argument("--kills", type=int, default=20, help="SIGKILLs between (20)")
    parser.add_argument("--workers", type=int, default=2, choices=range(1, len(NAMES) + 1), help="(2)")
    parser.add_argument("--rate", type=int, default=5_000, help="clicks a second (5000)")
    given = parser.parse_args()
    words = " ".join(f"{name.upper()}={value}" for name, value in vars(given).items())
    hold("changes", given.seed, f"make changes {words}", lambda folder: change(folder, **vars(given)))


if __name__ == "__main__":
    main()
