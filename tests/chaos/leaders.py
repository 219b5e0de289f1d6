"""Who leads: the coordinator of a site's group, the leaders of its partitions, and how they are moved."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaClient
from aiokafka.protocol.admin import AlterPartitionReassignmentsRequest
from confluent_kafka import ElectionType, TopicPartition

from tests.site import Site

#: Replicas of each partition of a topic, by node: the first is to lead it.
Replicas = Mapping[int, Sequence[int]]

MOVE_MS = 30_000


def coordinator(site: Site) -> int:
    """The node that leads the partition of ``__consumer_offsets`` in which the group is kept."""
    group = site.settings.app_id
    node: int = site.asked(
        lambda: site.admin.describe_consumer_groups([group])[group].result().coordinator.id
    )
    return node


def leader(site: Site, partition: int) -> int:
    """The node that leads a partition of the clicks."""
    topic = site.settings.clicks_topic
    found = site.asked(lambda: site.admin.list_topics(topic, timeout=10)).topics[topic]
    node: int = found.partitions[partition].leader
    return node


def lead(site: Site, topics: Mapping[str, Replicas]) -> None:
    """Put the leaders of partitions where they are wanted."""

    async def reassign() -> None:
        client = AIOKafkaClient(**site.settings.client_options())
        await client.bootstrap()
        try:
            wanted: list[Any] = [
                (topic, [(partition, list(nodes), {}) for partition, nodes in replicas.items()], {})
                for topic, replicas in topics.items()
            ]
            request = AlterPartitionReassignmentsRequest(MOVE_MS, wanted, {})
            await client.send(client.get_random_node(), request)  # which passes it on to the controller
        finally:
            await client.close()

    places = [TopicPartition(topic, partition) for topic in topics for partition in topics[topic]]
    asyncio.run(reassign())
    site.asked(lambda: site.admin.elect_leaders(ElectionType.PREFERRED, places).result())


def lead_nothing(site: Site, node: int, nodes: Collection[int]) -> None:
    """Have the other nodes lead every partition but those that Kafka keeps for itself."""
    others = [other for other in nodes if other != node]
    topics = site.asked(lambda: site.admin.list_topics(timeout=10)).topics
    lead(
        site,
        {
            name: {
                partition: [*others[partition % len(others) :], *others[: partition % len(others)], node]
                for partition in topic.partitions
            }
            for name, topic in topics.items()
            if not name.startswith("__")
        },
    )
