"""The assignor: Faust's, for workers whose address may change."""

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from faust.assignor import PartitionAssignor
from faust.assignor.client_assignment import ClientMetadata


class Assignor(PartitionAssignor):  # type: ignore[misc]
    """Takes an assignment that was made for this worker at another address.

    Faust writes each worker's address into its assignment, and asserts that
    it is the worker's own. Kafka gives a static member that comes back within
    the session timeout what its predecessor had been assigned, and asks
    nobody: after a move to another host or port the address is the old one.

    Attributes:
        moved: whether the last assignment named another address, which is the one that others know.
    """

    moved = False

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Take an assignment."""
        metadata = ClientMetadata.loads(self._decompress(assignment.user_data))
        address = str(self._url)
        self.moved = metadata.url != address
        metadata.url = address
        user_data = self._compress(metadata.dumps())
        super().on_assignment(
            ConsumerProtocolMemberAssignment(assignment.version, assignment.assignment, user_data)
        )
