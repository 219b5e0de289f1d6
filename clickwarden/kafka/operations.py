"""What Kafka allows a client to do with a topic and with a group, as Kafka says itself (KIP-430).

aiokafka's requests are of versions that do not ask.
"""

from collections.abc import Collection, Mapping
from typing import TypeAlias

from aiokafka import AIOKafkaClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String

#: The bits of Kafka's answers that matter here.
BITS = {"Read": 3, "Write": 4, "Describe": 8}
#: What a Kafka answers that does not tell (KIP-430).
UNTOLD = -(2**31)

Text = String("utf-8")
Operations: TypeAlias = frozenset[str]


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", Text), ("port", Int32), ("rack", Text))),
        ("cluster_id", Text),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", Text),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(Text)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = list(topics)

    def build(self, struct: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        return struct(self._topics, False, False, True)


class _DescribeGroupsResponse(Response):  # type: ignore[misc]
    API_KEY = 15
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error_code", Int16),
                ("group", Text),
                ("state", Text),
                ("protocol_type", Text),
                ("protocol", Text),
                (
                    "members",
                    Array(
                        ("member_id", Text),
                        ("client_id", Text),
                        ("client_host", Text),
                        ("member_metadata", Bytes),
                        ("member_assignment", Bytes),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
    )


class _DescribeGroupsRequestStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = _DescribeGroupsResponse
    SCHEMA = Schema(("groups", Array(Text)), ("include_authorized_operations", Boolean))


class _DescribeGroupsRequest(Request[_DescribeGroupsRequestStruct]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, struct: type[_DescribeGroupsRequestStruct]) -> _DescribeGroupsRequestStruct:
        return struct([self._group], True)


async def on_topics(client: AIOKafkaClient, topics: Collection[str]) -> Mapping[str, Operations]:
    """What is allowed on each of these topics; one that does not exist, as far as one may know, is left out.

    Raises:
        KafkaError: Kafka does not answer.
    """
    response = await client.send(client.get_random_node(), _MetadataRequest(topics))
    found: dict[str, Operations] = {}
    for code, topic, _, _, bits in response.topics:
        if code in (0, TopicAuthorizationFailedError.errno):
            found[topic] = frozenset() if code else _operations(bits)
    return found


async def on_group(client: AIOKafkaClient, coordinator: int, group: str) -> Operations:
    """What is allowed on a group, whose coordinator is this node.

    Raises:
        KafkaError: Kafka does not answer, or the coordinator is another by now.
    """
    response = await client.send(coordinator, _DescribeGroupsRequest(group))
    ((code, *_, bits),) = response.groups
    if code == GroupAuthorizationFailedError.errno:
        return frozenset()
    if code:
        raise for_code(code)()
    return _operations(bits)


def _operations(bits: int) -> Operations:
    if bits == UNTOLD:
        return frozenset(BITS)
    return frozenset(operation for operation, bit in BITS.items() if bits >> bit & 1)
