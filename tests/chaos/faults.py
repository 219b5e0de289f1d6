"""The faults: what may happen to a worker or to Kafka, and what must hold then.

Above all of them stands the oracle: whatever happens, no anomaly is missing,
none is invented, none contradicts another, and every interval holds the truth.
"""

import asyncio
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from aiokafka import AIOKafkaClient
from aiokafka.protocol.admin import AlterPartitionReassignmentsRequest
from confluent_kafka import ElectionType, TopicPartition

from app.pulse import EXIT_CODE
from tests.chaos.cluster import IDLE_SECONDS, SESSION_SECONDS, Broken, Cluster

STOP_SECONDS = 5.0
AWAY_SECONDS = 30.0

Strike = Callable[[Cluster, Random], str]


class Fault(NamedTuple):
    """A kind of fault; ``weight`` is how often it is drawn, relative to the others."""

    name: str
    strike: Strike
    weight: int
    possible: Callable[[Cluster], bool]


FAULTS: list[Fault] = []


def fault(
    weight: int, possible: Callable[[Cluster], bool] = lambda cluster: True
) -> Callable[[Strike], Strike]:
    """Declare a fault. It strikes, leaves running what should run, and says what it hit."""

    def declare(strike: Strike) -> Strike:
        FAULTS.append(Fault(strike.__name__.replace("_", " "), strike, weight, possible))
        return strike

    return declare


def _several_run(cluster: Cluster) -> bool:
    return len(cluster.meant) > 1


def _several_nodes(cluster: Cluster) -> bool:
    return len(cluster.broker.nodes) > 1


def _any(cluster: Cluster, random: Random) -> str:
    return random.choice(sorted(cluster.meant))


@fault(weight=16)
def sigkill(cluster: Cluster, random: Random) -> str:
    """A worker is killed. Restarted, the same member counts on from its last snapshot."""
    name = _any(cluster, random)
    cluster.kill(name)
    cluster.start(name)
    return name


@fault(weight=8)
def sigkill_again(cluster: Cluster, random: Random) -> str:
    """A worker is killed, and again while it comes up: as it joins, recovers, or has just begun to count."""
    name = _any(cluster, random)
    lives = [random.uniform(0, 8) for _ in range(2)]
    cluster.kill(name)
    for life in lives:
        cluster.start(name)
        time.sleep(life)
        cluster.kill(name)
    cluster.start(name)
    return f"{name}, after {' and '.join(f'{life:.1f}' for life in lives)} s"


@fault(weight=4, possible=_several_run)
def sigkill_of_all(cluster: Cluster, random: Random) -> str:
    """All workers are killed at once. Nobody knows more than Kafka does."""
    names = sorted(cluster.meant)
    for name in names:
        cluster.kill(name)
    cluster.start(*names)
    return ", ".join(names)


@fault(weight=3)
def sigterm(cluster: Cluster, random: Random) -> str:
    """A worker is told to stop. It leaves its state behind within seconds; its next life goes on there."""
    name = _any(cluster, random)
    seconds = cluster.stop(name)
    cluster.start(name)
    return f"{name}, gone in {seconds:.1f} s"


@fault(weight=3)
def sigstop(cluster: Cluster, random: Random) -> str:
    """A worker is frozen for longer than its session. Awake, it ends by itself before it speaks to Kafka."""
    cluster.until(cluster.ready, 120, "all workers ready")  # one that still starts owns nothing yet
    name = _any(cluster, random)
    zombie = cluster.meant.pop(name)
    zombie.send_signal(signal.SIGSTOP)
    frozen = SESSION_SECONDS + random.uniform(1, 6)
    time.sleep(frozen)
    if zombie.alive:
        zombie.send_signal(signal.SIGCONT)
    code = zombie.wait(30)
    if code != EXIT_CODE:
        raise Broken(f"{name} woke up after {frozen:.1f} s and ended with {code}, not {EXIT_CODE}")
    cluster.start(name)
    return f"{name}, for {frozen:.1f} s"


@fault(weight=3, possible=lambda cluster: bool(cluster.absent))
def join(cluster: Cluster, random: Random) -> str:
    """A worker joins. The partitions that move to it are counted on from their state."""
    name = random.choice(cluster.absent)
    cluster.start(name)
    return name


@fault(weight=2, possible=_several_run)
def leave(cluster: Cluster, random: Random) -> str:
    """A worker leaves for good. The others take over its partitions."""
    name = _any(cluster, random)
    return f"{name}, gone in {cluster.stop(name):.1f} s"


@fault(weight=2, possible=_several_run)
def lost(cluster: Cluster, random: Random) -> str:
    """A worker is killed and does not come back. After its session the others take over its partitions."""
    name = _any(cluster, random)
    cluster.kill(name)
    return name


@fault(weight=2)
def data_deleted(cluster: Cluster, random: Random) -> str:
    """A worker comes back with an empty disk. Its tables are rebuilt from their changelogs."""
    name = _any(cluster, random)
    cluster.kill(name)
    shutil.rmtree(cluster.data(name), ignore_errors=True)
    cluster.start(name)
    return name


@fault(weight=2)
def data_corrupted(cluster: Cluster, random: Random) -> str:
    """A worker comes back with a damaged disk. What it cannot trust is rebuilt from the changelog."""
    name = _any(cluster, random)
    cluster.kill(name)
    kinds: dict[str, list[Path]] = {}
    for kind in ("*.sst", "*.log", "MANIFEST-*", "CURRENT"):
        files = [path for path in sorted(cluster.data(name).glob(f"**/*.db/{kind}")) if path.stat().st_size]
        if files:
            kinds[kind] = files
    kind, files = random.choice(list(kinds.items()) or [("none yet", [])])
    for path in files:
        content = bytearray(path.read_bytes())
        first = random.randrange(len(content))
        content[first : first + 4096] = random.randbytes(len(content[first : first + 4096]))
        path.write_bytes(content)
    cluster.start(name)
    return f"{name}, {len(files)} files {kind}"


@fault(weight=1)
def rules_changed(cluster: Cluster, random: Random) -> str:
    """Other thresholds, and a restart. They are in force from the next window on, and drop no count."""
    by = random.choice([by for by in (-1, 0, 1) if by != cluster.thresholds])
    cluster.change_thresholds(by)
    return f"thresholds {by:+}"


@fault(weight=1)
def node_killed(cluster: Cluster, random: Random) -> str:
    """A node of Kafka is killed and comes back. Workers live through it; of three nodes, two serve on."""
    node = random.choice(cluster.broker.nodes)
    cluster.until(cluster.ready, 120, "all workers ready")  # at its start a worker does not wait for Kafka
    cluster.broker.kill(node)
    time.sleep(random.uniform(0, 10))
    cluster.broker.start(node)
    return f"node {node}"


@fault(weight=1)
def kafka_away(cluster: Cluster, random: Random) -> str:
    """No node of Kafka is there for half a minute. Workers wait for it, and go on by themselves."""
    cluster.until(cluster.ready, 120, "all workers ready")
    running = {name: worker.pid for name, worker in cluster.meant.items()}
    cluster.broker.kill()
    time.sleep(AWAY_SECONDS)
    cluster.broker.start()
    cluster.until(cluster.ready, 120, "all workers ready after Kafka came back")
    if running != {name: worker.pid for name, worker in cluster.meant.items()}:
        raise Broken("a worker did not live through the absence of Kafka")
    return f"{AWAY_SECONDS:.0f} s"


@fault(weight=2)
def silence(cluster: Cluster, random: Random) -> str:
    """Nobody clicks, and wall clock closes the windows. It holds what it decided, also over a kill."""
    cluster.until(cluster.ready, 120, "all workers ready")
    name = _any(cluster, random)
    with cluster.load.silence():
        cluster.until(lambda: not cluster.site.behind(), 120, "all counted that there is")
        time.sleep(random.uniform(0, 3 * IDLE_SECONDS))
        cluster.kill(name)
        cluster.start(name)
        cluster.until(cluster.closed, 120, "wall clock closes the windows of a minute")
    return name


@fault(weight=2, possible=_several_nodes)
def leader_moved(cluster: Cluster, random: Random) -> str:
    """Another node becomes the leader of each partition of the clicks. Readers and writers follow."""
    settings = cluster.site.settings
    nodes = list(cluster.broker.nodes)
    random.shuffle(nodes)
    places = [TopicPartition(settings.clicks_topic, number) for number in range(settings.partitions)]

    async def reassign() -> None:
        client = AIOKafkaClient(**settings.client_options())
        await client.bootstrap()
        try:
            replicas: list[Any] = [(place.partition, nodes, {}) for place in places]
            request = AlterPartitionReassignmentsRequest(30_000, [(settings.clicks_topic, replicas, {})], {})
            await client.send(client.get_random_node(), request)  # which passes it on to the controller
        finally:
            await client.close()

    asyncio.run(reassign())
    cluster.site.asked(lambda: cluster.site.admin.elect_leaders(ElectionType.PREFERRED, places).result())
    return f"to node {nodes[0]}"
