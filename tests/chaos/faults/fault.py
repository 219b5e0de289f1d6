"""A fault: how it is declared, and what several kinds of it ask."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from tests.chaos.cluster import Cluster

Strike = Callable[[Cluster, Random], str]


class Fault(NamedTuple):
    """A kind of fault; ``weight`` is how often it is drawn, relative to the others."""

    name: str
    strike: Strike
    weight: int
    possible: Callable[[Cluster], bool]


class Faults(list[Fault]):
    """Kinds of faults, in the order they were declared."""

    def declare(
        self, weight: int, possible: Callable[[Cluster], bool] = lambda cluster: True
    ) -> Callable[[Strike], Fault]:
        """Declare a fault. It strikes, leaves running what should run, and says what it hit."""

        def declared(strike: Strike) -> Fault:
            self.append(Fault(strike.__name__.replace("_", " "), strike, weight, possible))
            return self[-1]

        return declared


def several_run(cluster: Cluster) -> bool:
    """Whether more than one worker is meant to run."""
    return len(cluster.meant) > 1


def several_nodes(cluster: Cluster) -> bool:
    """Whether Kafka has more than one node."""
    return len(cluster.broker.nodes) > 1


def any_worker(cluster: Cluster, random: Random) -> str:
    """Name of a worker that is meant to run."""
    return random.choice(sorted(cluster.meant))
