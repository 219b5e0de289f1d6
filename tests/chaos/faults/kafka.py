"""What may happen to Kafka: a node dies, all of them are away, or others lead."""

import time
from random import Random

from tests.chaos import leaders
from tests.chaos.cluster import Broken, Cluster
from tests.chaos.faults.fault import Faults, several_nodes

AWAY_SECONDS = 30.0

faults = Faults()


@faults.declare(weight=1)
def node_killed(cluster: Cluster, random: Random) -> str:
    """A node of Kafka is killed and comes back. Workers live through it; of three nodes, two serve on."""
    node = random.choice(cluster.broker.nodes)
    cluster.until(cluster.ready, 120, "all workers ready")  # at its start a worker does not wait for Kafka
    cluster.broker.kill(node)
    time.sleep(random.uniform(0, 10))
    cluster.broker.start(node)
    return f"node {node}"


@faults.declare(weight=1)
def kafka_away(cluster: Cluster, random: Random) -> str:
    """No node of Kafka is there for half a minute. Workers wait for it, and go on by themselves."""
    cluster.until(cluster.ready, 120, "all workers ready")
    bound = {name: worker for name, worker in cluster.meant.items() if not cluster.may_end(worker)}
    cluster.broker.kill()
    time.sleep(AWAY_SECONDS)
    cluster.broker.start()
    cluster.until(cluster.ready, 120, "all workers ready after Kafka came back")
    if any(cluster.meant[name] is not worker for name, worker in bound.items()):
        raise Broken("a worker did not live through the absence of Kafka")
    return f"{AWAY_SECONDS:.0f} s"


@faults.declare(weight=2, possible=several_nodes)
def leader_moved(cluster: Cluster, random: Random) -> str:
    """Another node becomes the leader of each partition of the clicks. Readers and writers follow."""
    settings = cluster.site.settings
    nodes = list(cluster.broker.nodes)
    random.shuffle(nodes)
    leaders.lead(
        cluster.site, {settings.clicks_topic: dict.fromkeys(range(settings.partitions), tuple(nodes))}
    )
    return f"to node {nodes[0]}"
