"""The assignor: Faust's, for workers whose address may change and a topic that may grow."""

from collections.abc import Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from faust.assignor import PartitionAssignor
from faust.assignor.client_assignment import ClientMetadata


class _Numbered(ClientMetadata, serializer="json", include_metadata=False, namespace="@ClientMetadata"):  # type: ignore[misc, call-arg]
    """What the leader is told, and tells: Faust's, and the number of partitions, 0 from an older release."""

    partitions: int = 0


class Assignor(PartitionAssignor):  # type: ignore[misc]
    """Takes an assignment that was made for this worker at another address, and assigns new partitions.

    Faust writes each worker's address into its assignment, and asserts that
    it is the worker's own. Kafka gives a static member that comes back within
    the session timeout what its predecessor had been assigned, and asks
    nobody (KIP-345): after a move to another host or port the address is the
    old one, and with other pipelines the topics are the old ones.

    And Faust has topics assigned together that have the same number of
    partitions in what the leader's client knows of Kafka, which may be old,
    or of a moment when one topic had been given more and the others had not.
    Here every topic of the application is assigned together, with as many
    partitions as any member says that all of them have.

    Attributes:
        outdated: whether the last assignment was made for another address, which is the one that others
            know, or for other topics.
        partitions: how many the last assignment shared out among the workers; 0 before the first.
    """

    outdated = False
    partitions = 0
    _subscribed: frozenset[str] | None = None

    def metadata(self, topics: set[str]) -> ConsumerProtocolMemberMetadata:
        """What the leader is told by who subscribes to these topics."""
        self._subscribed = frozenset(topics)
        metadata: ConsumerProtocolMemberMetadata = super().metadata(topics)
        return metadata

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Take an assignment."""
        metadata = _Numbered.loads(self._decompress(assignment.user_data))
        address, given = str(self._url), metadata.assignment
        wanted = self._subscribed or frozenset(metadata.topic_groups)
        gone = (given.actives.keys() | given.standbys.keys()) - wanted
        self.outdated = bool(metadata.url != address or gone or wanted - metadata.topic_groups.keys())
        self.partitions = metadata.partitions
        metadata.url = address
        for topic in gone:
            given.actives.pop(topic, None)
            given.standbys.pop(topic, None)
        user_data = self._compress(metadata.dumps())
        taken = given.kafka_protocol_assignment(self._table_manager) if gone else assignment.assignment
        super().on_assignment(ConsumerProtocolMemberAssignment(assignment.version, taken, user_data))

    @property
    def _metadata(self) -> _Numbered:
        # At least those assigned: whoever leads next may know of no more than it is told.
        known = max(self.app.growth.partitions, self.partitions)
        return _Numbered(**super()._metadata.asdict(), partitions=known)

    def assign(
        self, cluster: ClusterMetadata, member_metadata: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Share the partitions out among the members."""
        number = max(_Numbered.loads(metadata.user_data).partitions for metadata in member_metadata.values())
        assigned = super().assign(_Alike(number), member_metadata)
        return {member: self._numbered(assignment, number) for member, assignment in assigned.items()}

    def _numbered(
        self, assignment: ConsumerProtocolMemberAssignment, number: int
    ) -> ConsumerProtocolMemberAssignment:
        metadata = _Numbered.loads(self._decompress(assignment.user_data))
        metadata.partitions = number
        user_data = self._compress(metadata.dumps())
        return ConsumerProtocolMemberAssignment(assignment.version, assignment.assignment, user_data)


class _Alike:
    """What Faust asks of Kafka's metadata, where each topic has the same number of partitions."""

    def __init__(self, number: int) -> None:
        self._partitions = set(range(number))

    def partitions_for_topic(self, topic: str) -> set[int]:
        """Their numbers."""
        return self._partitions
