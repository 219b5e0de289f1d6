"""Kill workers while they tell people, and have fail what they tell, then hold what came against the ledger.

Real mail, a webhook and Slack's contract, on loopback. The seed decides who
attacks, which sink fails how, and when a worker is killed.
"""

import argparse
import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec
from rich.table import Table

from clickwarden.alerts.incidents import Incident
from clickwarden.channels import ledgertopic
from clickwarden.channels.ledger import Entry
from clickwarden.settings import Settings
from tests.chaos import hearsay
from tests.chaos.cluster import NAMES, PARTITIONS, Cluster
from tests.chaos.outcome import Outcome
from tests.chaos.sinks import AMBUSH_SECONDS, FAULTS, Ambush, Sinks
from tests.chaos.timeline import Chronicle
from tests.chaos.trial import hold
from tests.chaos.verdict import verdict
from tests.site import Site, click, clicks

WINDOW = 5
RULES = f"""
[[rule]]
name = "bot"
window = {WINDOW}
threshold = 10
"""
#: Of an attacker: just over the threshold, and 2, 5 and 20 times as often.
OFTEN = (15, 24, 60, 210)
#: Attackers of a round: those who are told of one by one, and those who share a message.
TOGETHER = (1, 1, 2, 3, 8)
#: How a channel gathers, seconds, by name.
GATHERING = {"mail": (0, 0), "hook": (0.5, 1), "slack": (0.2, 0)}
WAIT_SECONDS = 120.0
#: Who is killed comes back under its name, and nobody waits for its session to end.
SESSION_SECONDS = 20.0
#: What was not taken is tried again within five minutes of the end of a long outage.
SETTLING_SECONDS = 600.0
SHOPPING_SECONDS = 0.1


@dataclass(frozen=True)
class TellingOutcome(Outcome):
    """What a trial of telling brought.

    Attributes:
        complaints: what is wrong with what people were told.
    """

    complaints: list[str] = field(default_factory=list[str])

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return super().ok and not self.complaints

    def show(self, table: Table) -> None:
        """Add the outcome."""
        super().show(table)
        style = "bold red" if self.complaints else None
        table.add_row("wrongly told", f"{len(self.complaints):,}", style=style)
        for complaint in self.complaints:
            table.add_row(complaint, "", style=style)


def tell(folder: Path, *, seed: int, kills: int, workers: int, away: float, spell: float) -> TellingOutcome:
    """Have a cluster in ``folder`` tell; the folder keeps the logs.

    Args:
        folder: kept where a promise is broken.
        seed: draws everything.
        kills: SIGKILLs.
        workers: how many there are.
        away: how long one of the sinks is away from the beginning, seconds.
        spell: how long the others fail at a time, at most, seconds.

    Raises:
        Broken: a worker hangs, or does not end as it must.
    """
    random = Random(seed)
    timeline = Chronicle(folder / "timeline")
    sinks = Sinks()
    sinks.open()
    rules, channels = folder / "given-rules.toml", folder / "channels.toml"
    rules.write_text(RULES)
    channels.write_text("\n".join(_written(name, sinks) for name in sinks.by_name))
    given = {"channels": channels, "session_timeout": SESSION_SECONDS}
    with Cluster(
        folder, timeline, nodes=1, workers=workers, rate=0, seed=seed, rules=rules, **given
    ) as cluster:
        cluster.start(*cluster.names)
        cluster.until(cluster.ready, WAIT_SECONDS, "all workers ready")
        trial = _Trial(cluster, sinks, random)
        cluster.until(trial.begun, WAIT_SECONDS, "all channels told from now on")
        with_shoppers = _Shoppers(cluster.site)
        with_shoppers.start()
        trial.run(kills, away, spell)
        sinks.await_well()
        timeline.note("every sink is well")
        cluster.until(cluster.ready, WAIT_SECONDS, "all workers ready")
        cluster.until(trial.settled, SETTLING_SECONDS, "all of it told")
        with_shoppers.stop()
        cluster.until(lambda: not cluster.site.behind(), WAIT_SECONDS, "all counted")
        cluster.stop(*cluster.meant)
        found, complaints, figures = verdict(cluster.site.settings), trial.complaints(), trial.figures()
    sinks.close()
    return TellingOutcome(found, cluster.kills, cluster.deaths, figures, complaints)


def _written(name: str, sinks: Sinks) -> str:
    wait, interval = GATHERING[name]
    content = sinks.by_name[name].content()
    return f'[[channel]]\nname = "{name}"\n{content}\ngroup_wait = {wait}\ngroup_interval = {interval}\n'


class _Trial:
    def __init__(self, cluster: Cluster, sinks: Sinks, random: Random) -> None:
        self._cluster = cluster
        self._sinks = sinks
        self._random = random
        self._attackers = 0
        #: By channel, kills that came when it was not noted what had become of a message.
        self._between: Counter[str] = Counter()
        self._struck: Counter[str] = Counter()

    def run(self, kills: int, away: float, spell: float) -> None:
        random, sinks, timeline = self._random, self._sinks, self._cluster.timeline
        names = list(sinks.by_name)
        longest = random.choice(names)
        sinks.fail(longest, "down", away)
        timeline.note(f"{longest} down for {away:g} s")
        others = [name for name in names if name != longest]
        kinds = [*itertools.product(others, FAULTS)]
        random.shuffle(kinds)
        for number in range(kills):
            due = next((kind for kind in kinds if kind[0] in sinks.well), None)
            if number % 2 and due:
                kinds.remove(due)
                kinds.append(due)  # after all others
                name, fault = due
                seconds = random.uniform(spell / 2, spell)
                sinks.fail(name, fault, seconds)
                self._struck[fault] += 1
                timeline.note(f"{name} {fault} for {seconds:.1f} s")
            self._attack(random.choice(TOGETHER))
            self._kill(number)
            if random.random() < 0.5:
                self._cluster.until(self._cluster.ready, WAIT_SECONDS, "all workers ready")

    def _attack(self, users: int) -> None:
        now = time.time()
        begin = max(now - 1, now // WINDOW * WINDOW)  # of two windows, neither might be over the threshold
        for _ in range(users):
            self._attackers += 1
            attack = clicks(f"eve-{self._attackers}", self._random.choice(OFTEN), begin, now)
            self._cluster.site.send(*attack, partition=self._attackers % PARTITIONS)

    def _kill(self, number: int) -> None:
        """Kill who tells: when somebody has a message and it does not know so yet, or at any moment."""
        random, cluster = self._random, self._cluster
        well = self._sinks.well
        ambush = Ambush()
        if well and random.random() < 0.6:
            self._sinks.by_name[random.choice(well)].lie_in_wait(ambush)
            deadline = time.monotonic() + AMBUSH_SECONDS
            while not ambush.struck.wait(0.1) and time.monotonic() < deadline:
                cluster.tend()
            # A channel that was away is told minutes later: then there is nobody to be caught.
            what = "in the middle of telling" if ambush.struck.is_set() else "though nothing came"
        else:
            time.sleep(random.uniform(0, 1.5))
            what = "at any moment"
        name = self._keeper() or random.choice(sorted(cluster.meant))
        cluster.kill(name)
        ambush.over.set()
        unsettled = asyncio.run(ledgertopic.read(cluster.site.settings))
        for channel in self._sinks.by_name:
            self._between[channel] += bool(unsettled.unsettled(channel))
        cluster.timeline.note(f"{number + 1}: {name} killed {what}")
        cluster.start(name)

    def _keeper(self) -> str | None:
        for name, worker in self._cluster.meant.items():
            try:
                if 0 in worker.partitions():
                    return name
            except OSError:  # not there yet
                continue
        return None

    def begun(self) -> bool:
        """Whether the channels are known: what is over before they are, nobody is told of."""
        ledger = asyncio.run(ledgertopic.read(self._cluster.site.settings))
        return ledger.channels.keys() >= self._sinks.by_name.keys()

    def settled(self) -> bool:
        """Whether the ledger says that all was told of every attacker."""
        settings = self._cluster.site.settings
        incidents = _incidents(self._cluster.site)
        if len({incident.user_id for incident in incidents}) < self._attackers:
            return False
        ledger = asyncio.run(ledgertopic.read(settings))
        return all(incident.ended is not None for incident in incidents) and not any(
            ledger.unsettled(channel) or hearsay.untold(channel, incidents, ledger)
            for channel in self._sinks.by_name
        )

    def complaints(self) -> list[str]:
        """What is wrong with what people were told."""
        site = self._cluster.site
        incidents = _incidents(site)
        users = {incident.incident_id: incident.user_id for incident in incidents}
        ledger = asyncio.run(ledgertopic.read(site.settings))
        entries = _entries(site.settings, site)
        found = [f"{entry.channel}: {entry.key} is {entry.state}" for entry in ledger.entries.values()]
        for channel, sink in self._sinks.by_name.items():
            theirs = {key: entry for (name, key), entry in entries.items() if name == channel}
            found += hearsay.untold(channel, incidents, ledger)
            found += hearsay.openings_untold(channel, theirs.values(), incidents)
            known = hearsay.named(theirs, users) if channel == "slack" else list(theirs.values())
            # Of who dies unbidden it is not known when it did, and the trial has failed anyway.
            excused = self._between[channel] + sink.unanswered + self._cluster.deaths
            found += hearsay.complaints(channel, sink.seen, known, excused)
        return found

    def figures(self) -> dict[str, int]:
        """What happened."""
        sinks = self._sinks.by_name.values()
        entries = _entries(self._cluster.site.settings, self._cluster.site)
        figures = {"incidents": len(_incidents(self._cluster.site))}
        for fault in FAULTS:
            figures[f"sinks {fault}"] = self._struck[fault]
        figures["refused"] = sum(sink.refused.total() for sink in sinks)
        figures["had, and not answered"] = sum(sink.unanswered for sink in sinks)
        for name, sink in self._sinks.by_name.items():
            messages = sum(channel == name for channel, _ in entries)
            figures[f"{name}: messages of the ledger"] = messages
            figures[f"{name}: messages that came"] = len(sink.seen)
            figures[f"{name}: kills between sending and noting"] = self._between[name]
            figures[f"{name}: repeats"] = len(sink.seen) - messages
            figures[f"{name}: marked"] = sum(message.marked for message in sink.seen)
        return figures


def _incidents(site: Site) -> list[Incident]:
    return [msgspec.convert(each, Incident) for each in site.incidents().values()]


def _entries(settings: Settings, site: Site) -> dict[tuple[str, str], Entry]:
    """Every message that the ledger ever knew, as it knew it last, by channel and key, in their order."""
    entries: dict[tuple[str, str], Entry] = {}
    for record in site.read(settings.told_topic):
        entry = msgspec.json.decode(record.value or b"", type=Entry)
        if entry.key:
            entries[entry.channel, entry.key] = entry
    return entries


class _Shoppers(threading.Thread):
    """Their clicks make time pass in every partition."""

    def __init__(self, site: Site) -> None:
        super().__init__(name="shoppers", daemon=True)
        self._site = site
        self._over = threading.Event()

    def run(self) -> None:
        producer = self._site.producer()
        for number in itertools.count():
            for partition in range(PARTITIONS):
                value = click(f"shopper-{number % 1000}-{partition}", time.time())
                self._site.send(value, partition=partition, by=producer)
            if self._over.wait(SHOPPING_SECONDS):
                return

    def stop(self) -> None:
        """Shop no more."""
        self._over.set()
        self.join()


def main() -> None:
    """Have workers tell; exit code 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.telling", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="drawn if left out")
    parser.add_argument("--kills", type=int, default=50, help="SIGKILLs (50)")
    parser.add_argument("--workers", type=int, default=2, choices=range(1, len(NAMES) + 1), help="(2)")
    parser.add_argument("--away", type=float, default=600, help="seconds that one sink is away (600)")
    parser.add_argument("--spell", type=float, default=20, help="seconds of others' faults, at most (20)")
    given = parser.parse_args()
    words = " ".join(f"{name.upper()}={value:g}" for name, value in vars(given).items())
    hold("telling", given.seed, f"make telling {words}", lambda folder: tell(folder, **vars(given)))


if __name__ == "__main__":
    main()
