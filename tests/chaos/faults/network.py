"""What may happen between a worker and Kafka: it is cut off, or what it says is slow, late or lost.

Each lasts from a fraction of the session timeout to several times as long. A worker may end
by itself meanwhile or behind it, as one does that cannot know whether its partitions are
another's by now; it is started again.
"""

import time
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from tests.chaos import leaders
from tests.chaos.cluster import PARTITIONS, SESSION_SECONDS, Cluster
from tests.chaos.faults.fault import Faults, any_worker, several_nodes
from tests.chaos.proxy import CUT, HALF_OPEN, STALLED, Condition

KIB = 1 << 10

faults = Faults()


class Far(NamedTuple):
    """The nodes that a worker does not reach as it should, and what they are to it."""

    nodes: tuple[int, ...]
    what: str


def _coordinator(cluster: Cluster, random: Random, name: str) -> Far:
    """The group's coordinator. It leads no partition meanwhile: all else goes on."""
    node = leaders.coordinator(cluster.site)
    leaders.lead_nothing(cluster.site, node, cluster.broker.nodes)
    return Far((node,), f"node {node}, the coordinator")


def _leader(cluster: Cluster, random: Random, name: str) -> Far:
    """The leader of one of the worker's partitions."""
    partition = random.choice(sorted(cluster.meant[name].partitions()) or range(PARTITIONS))
    node = leaders.leader(cluster.site, partition)
    return Far((node,), f"node {node}, leader of partition {partition}")


def _all(cluster: Cluster, random: Random, name: str) -> Far:
    return Far(tuple(cluster.broker.nodes), "all nodes")


Place = Callable[[Cluster, Random, str], Far]
PLACES: tuple[Place, ...] = (_coordinator, _leader, _all)


def _disturb(cluster: Cluster, random: Random, place: Place, condition: Condition) -> str:
    cluster.until(cluster.ready, 120, "all workers ready")  # at its start a worker does not wait for Kafka
    name = any_worker(cluster, random)
    far = place(cluster, random, name)
    seconds = SESSION_SECONDS * random.uniform(0.3, 4)
    with cluster.disturbed(name, far.nodes, condition):
        time.sleep(seconds)
    return f"{name} from {far.what}, for {seconds:.1f} s"


@faults.declare(weight=6, possible=several_nodes)
def coordinator_cut_off(cluster: Cluster, random: Random) -> str:
    """A worker does not reach the coordinator. The group takes it for dead, and it has the leaders still."""
    return _disturb(cluster, random, _coordinator, CUT)


@faults.declare(weight=3, possible=several_nodes)
def coordinator_cut_off_in_silence(cluster: Cluster, random: Random) -> str:
    """The same, and nobody clicks for a while: wall clock closes windows, whoever owns them."""
    cluster.until(cluster.ready, 120, "all workers ready")
    name = any_worker(cluster, random)
    far = _coordinator(cluster, random, name)
    bounds = ((0, 1), (1, 3), (0, 1))
    before, silent, behind = (SESSION_SECONDS * random.uniform(*each) for each in bounds)
    with cluster.disturbed(name, far.nodes, CUT):
        time.sleep(before)
        with cluster.load.silence():
            time.sleep(silent)
        time.sleep(behind)
    return f"{name} from {far.what}, for {before:.1f} s, {silent:.1f} s of silence and {behind:.1f} s"


@faults.declare(weight=4, possible=several_nodes)
def leader_cut_off(cluster: Cluster, random: Random) -> str:
    """A worker does not reach a leader. It stays in the group, and waits with what that node has."""
    return _disturb(cluster, random, _leader, CUT)


@faults.declare(weight=4, possible=several_nodes)
def cut_off(cluster: Cluster, random: Random) -> str:
    """A worker reaches no node. Others take over, and it speaks no more when it is back."""
    return _disturb(cluster, random, _all, CUT)


@faults.declare(weight=3, possible=several_nodes)
def slow(cluster: Cluster, random: Random) -> str:
    """A worker's way to all nodes is long and narrow. It falls behind, and catches up."""
    condition = Condition(latency=random.uniform(0.05, 1), bandwidth=2 ** random.uniform(4, 10) * KIB)
    hit = _disturb(cluster, random, _all, condition)
    return f"{hit}, by {condition.latency:.2f} s and to {condition.bandwidth / KIB:.0f} KiB/s"


@faults.declare(weight=4, possible=several_nodes)
def half_open(cluster: Cluster, random: Random) -> str:
    """What a worker says, and what it is told, is swallowed without a word."""
    return _disturb(cluster, random, random.choice(PLACES), HALF_OPEN)


@faults.declare(weight=4, possible=several_nodes)
def stalled(cluster: Cluster, random: Random) -> str:
    """What a worker says arrives when it is over, whoever speaks for its partitions by then."""
    return _disturb(cluster, random, random.choice(PLACES), STALLED)
