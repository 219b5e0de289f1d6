"""Detection on trial: labelled attacks among an honest crowd, and who is told of.

Clicks lie in partitions by user and come as they are received, in runs as the worker counts them. Nothing has
to run: it is the worker's detection, and Kafka's clock is a made-up one.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.detection import Detection, Findings, Parameters
from clickwarden.detection.rules import Rule
from clickwarden.kafka.runs import RUN_RECORDS
from clickwarden.sandbox.attacks import ATTACKS, LONGEST
from clickwarden.sandbox.crowd import HOUR, STEP, Crowd
from clickwarden.sandbox.traffic import EVENTS, Traffic
from clickwarden.times import epoch

#: 2026-01-01T00:00:00Z.
START = 1_767_225_600
PARTITIONS = 4
MINUTE = 60.0
#: Clicks that are held up are waited for, seconds.
SETTLING = 300


class Scale(NamedTuple):
    """How much is made up.

    Attributes:
        hours: of event time, whole.
        rate: clicks of the crowd an hour, the day's average.
        each: attacks of each kind.
        seed: of the random numbers.
    """

    hours: int = 24
    rate: float = 1_000_000
    each: int = 48
    seed: int = 7


class Label(NamedTuple):
    """The truth about one attack.

    Attributes:
        attack: its kind's name.
        users: who took part.
        first, last: event times of its clicks, by their senders' clocks, epoch seconds.
        most: clicks of one of them in any 60 s, by the same clocks.
        over: by rule, when one of them had more clicks than the rule allows within its window, wherever
            that begins; rules that nobody ever exceeded are missing.
    """

    attack: str
    users: list[str]
    first: float
    last: float
    most: int
    over: dict[str, float]


@dataclass
class Tally:
    """What came of a trial.

    Attributes:
        labels: of the attacks.
        alarms: by rule and user, event times at which each incident was told of first: people are told of
            one once, however many windows it lasts.
        busiest: by rule and kind of honest user, the most clicks that were counted in one window; users
            who never had half of what the rule allows are missing.
        clicks: how many.
    """

    labels: list[Label]
    alarms: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    busiest: dict[tuple[str, str], int] = field(default_factory=dict)
    clicks: int = 0

    def add(self, other: "Tally") -> None:
        """Add what came of another partition."""
        self.alarms |= other.alarms  # a user's clicks are all in one
        for case, most in other.busiest.items():
            self.busiest[case] = max(self.busiest.get(case, 0), most)
        self.clicks += other.clicks

    def honest(self, rule: str, kind: str) -> list[list[float]]:
        """The alarms of each honest user of a kind under a rule; those who have none are missing."""
        attackers = {user for label in self.labels for user in label.users}
        return [
            times
            for (name, user), times in self.alarms.items()
            if name == rule and user not in attackers and kind_of(user) == kind
        ]

    def found(self, label: Label, rule: str) -> float:
        """When an attack was told of first, by event time; inf if never."""
        times = [time for user in label.users for time in self.alarms.get((rule, user), ())]
        return min(times, default=math.inf)


class Trial:
    """The detection of one partition, and what it tells.

    Args:
        detection: of the partition.
        labels: of the attacks.
    """

    def __init__(self, detection: Detection, labels: list[Label]) -> None:
        self.tally = Tally(labels)
        self._detection = detection
        self._told: set[str] = set()

    def count(self, traffic: Traffic, names: Sequence[str]) -> None:
        """Count the partition's clicks in the order in which they were received."""
        here = traffic.pick(traffic.users % PARTITIONS == self._detection.partition)
        self.tally.clicks += len(here)
        for first in range(0, len(here), RUN_RECORDS):
            run = here.pick(slice(first, first + RUN_RECORDS))
            self._take(self._detection.count(Batch(run.clicks(names))))

    def _take(self, findings: Findings) -> None:
        for anomaly in findings.anomalies:
            if anomaly.incident_id not in self._told:
                self._told.add(anomaly.incident_id)
                times = self.tally.alarms.setdefault((anomaly.rule, anomaly.user_id), [])
                times.append(_moment(anomaly, self._detection))
        busiest = self.tally.busiest
        for window in findings.closed:
            for user, suspect in window.suspects.items():
                case = window.rule.name, kind_of(user)
                busiest[case] = max(busiest.get(case, 0), suspect.count_high)


def _moment(anomaly: Anomaly, detection: Detection) -> float:
    """When it was told, by event time: with its newest click, or later than that."""
    return epoch(anomaly.last_seen) if anomaly.status == "ongoing" else detection.clock.time


def kind_of(user: str) -> str:
    """What a user of a trial is: shopper, office and so on, or the name of an attack."""
    return user.partition("-")[0]


def run(rules: Sequence[Rule], parameters: Parameters, scale: Scale, progress: Progress) -> Tally:
    """Make the crowd and the attacks up, and count them: each partition in a process, on all cores."""
    partitions = range(PARTITIONS)
    count = partial(_count, rules, parameters, scale)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        tallies = progress.track(pool.map(count, partitions), PARTITIONS, description="Counting partitions")
        first, *others = tallies
    for other in others:
        first.add(other)
    return first


def _count(rules: Sequence[Rule], parameters: Parameters, scale: Scale, partition: int) -> Tally:
    crowd = Crowd(scale.rate, scale.seed, START)
    pending, labels = _attacks(rules, scale, len(crowd.names))
    names = [*crowd.names, *(user for label in labels for user in label.users)]
    trial = Trial(Detection(partition, rules, parameters), labels)
    for step, honest in enumerate(islice(crowd, int(scale.hours * HOUR) // STEP)):
        hostile, pending = pending.before(START + (step + 1) * STEP)
        trial.count(Traffic.together([honest, hostile]), names)
    return trial.tally


def _attacks(rules: Sequence[Rule], scale: Scale, first: int) -> tuple[Traffic, list[Label]]:
    """All attacks, spread over the time there is, and the truth about them; users numbered from ``first``."""
    random = np.random.default_rng(scale.seed + 1)
    span = scale.hours * HOUR - LONGEST - SETTLING
    labels, made = [], []
    for attack in ATTACKS:
        for number in range(scale.each):
            traffic = attack.traffic(random, START + span * (number + random.random()) / scale.each)
            users = [f"{attack.name}-{number + 1}-{user + 1}" for user in range(attack.users)]
            labels.append(
                Label(
                    attack.name,
                    users,
                    float(traffic.times.min()),
                    float(traffic.times.max()),
                    _most(traffic),
                    dict(_over(rules, traffic)),
                )
            )
            made.append(
                Traffic(
                    traffic.times, traffic.received, traffic.users + first, traffic.events, traffic.products
                )
            )
            first += attack.users
    return Traffic.together(made), labels


def _most(traffic: Traffic) -> int:
    """The most clicks of one user within less than 60 s."""
    most = 0
    for user in np.unique(traffic.users):
        times = np.sort(traffic.times[traffic.users == user])
        behind = np.searchsorted(times, times + MINUTE)
        most = max(most, int((behind - np.arange(len(times))).max()))
    return most


def _over(rules: Sequence[Rule], traffic: Traffic) -> Iterator[tuple[str, float]]:
    """Which rules one of the users exceeds, and when: by plain counting, in windows that begin anywhere."""
    for rule in rules:
        counted = np.array([not rule.events or event in rule.events for event in EVENTS])[traffic.events]
        moments = [
            moment
            for user in np.unique(traffic.users[counted])
            for moment in _passed(np.sort(traffic.times[counted & (traffic.users == user)]), rule)
        ]
        if moments:
            yield rule.name, min(moments)


def _passed(times: NDArray[np.float64], rule: Rule) -> list[float]:
    """The moments at which one user's clicks, in order of time, are more than the rule allows."""
    last = times[rule.threshold :]
    first = times[: len(last)]
    over: list[float] = last[last - first < rule.window].tolist()
    return over
