"""Coordination: aiokafka's part in the consumer group, which tells the worker how it stands."""

import asyncio
from collections.abc import Awaitable
from time import monotonic
from typing import Any

from aiokafka.conn import CloseReason
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    RebalanceInProgressError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.group import SyncGroupRequest

from app.identity import claim
from app.membership import UNCOORDINATED
from app.pulse import REFUSED, end, now
from clickwarden.errors import ClickwardenError
from clickwarden.kafka.rights import Right, denied

#: Kafka's FENCED_INSTANCE_ID, which aiokafka has no name for.
FENCED_INSTANCE_ID = 82


class Coordination(GroupCoordinator):  # type: ignore[misc]
    """aiokafka's, for one :class:`app.membership.Membership`; it runs in the consumer's thread.

    aiokafka hands what it cannot cope with to whoever next asks the consumer
    for records, in a way that Faust does not, and waits: the worker would
    count nothing and live. Here the process ends.
    """

    def __init__(self, *args: Any, assignors: list[Any], **kwargs: Any) -> None:
        (self._assignor,) = assignors
        self._app = self._assignor.app
        self._membership = self._app.membership
        super().__init__(*args, assignors=assignors, **kwargs)
        # A third of the session: two more can be tried before the group gives the place away.
        self._patience = self._session_timeout_ms / 3000

    # -- what the worker holds ------------------------------------------------------------------------

    async def _on_join_prepare(self, previous_assignment: Any) -> None:
        if not self._membership.admitted:
            await self._claim()
        await super()._on_join_prepare(previous_assignment)
        self._membership.holds = False

    async def _do_rejoin_group(self, subscription: Any) -> bool:
        """Join; again, where the assignment was made for another address or other topics than ours.

        The assignor remembers it, and so asks for the same partitions.
        """
        joined: bool = await super()._do_rejoin_group(subscription)
        return joined and not self._assignor.outdated

    async def _on_join_complete(self, generation: int, member: str, protocol: str, assigned: bytes) -> None:
        self._assignor.on_assignment(ConsumerProtocol.ASSIGNMENT.decode(assigned))
        if self._assignor.outdated:
            self.request_rejoin()
            return
        self._membership.holds = True
        await super()._on_join_complete(generation, member, protocol, assigned)

    def _on_metadata_change(self) -> None:
        """Leave it to :class:`app.growth.Growth`: new partitions need a place in the changelogs first."""

    async def _claim(self) -> None:
        try:
            await claim(self._app.settings, self._app.clock)
        except ClickwardenError as error:
            end(str(error), REFUSED)
        self._membership.admitted = True

    # -- what the coordinator acknowledges ------------------------------------------------------------

    async def ensure_coordinator_known(self) -> None:
        """Look for the coordinator until it is found."""
        while self.coordinator_id is None and not self._closing.done():
            try:
                async with asyncio.timeout(self._patience):
                    await super().ensure_coordinator_known()
            except TimeoutError:
                self._hang_up()

    async def _do_heartbeat(self) -> bool:
        sent = now()
        try:
            async with asyncio.timeout(self._patience):
                acknowledged: bool = await super()._do_heartbeat()
                if acknowledged and (self._membership.is_certain or await self._is_known()):
                    self._membership.acknowledge(sent)
        except TimeoutError:
            self._hang_up()
            self.coordinator_dead()
            return False
        return acknowledged

    def _hang_up(self) -> None:
        """Close connections that bring no answer.

        aiokafka waits for 90 s, Faust's ``broker_request_timeout``, which a JoinGroup request may take; on a
        connection that a firewall has forgotten, say, a heartbeat waits in vain until the place is lost.
        """
        since = monotonic() - self._patience
        for connection in list(self._client._conns.values()):
            if connection._requests and connection._last_action < since:
                connection.close(reason=CloseReason.CONNECTION_TIMEOUT)

    async def _is_known(self) -> bool:
        """Whether the coordinator really knows this member.

        While it loads the group it acknowledges every heartbeat, of whomever.
        A SyncGroup request it answers from what it knows, and changes nothing by it.
        """
        request = SyncGroupRequest(
            self.group_id, self.generation, self.member_id, self._group_instance_id, []
        )
        try:
            response = await self._send_req(request)
        except KafkaError:
            return False
        return response.error_code in (0, RebalanceInProgressError.errno)

    async def _send_req(self, request: Any) -> Any:
        sent = now()
        response = await super()._send_req(request)
        error = getattr(response, "error_code", 0)
        if error == FENCED_INSTANCE_ID:
            self._membership.expel()
        if isinstance(request, SyncGroupRequest) and not error:
            self._membership.acknowledge(sent)
        return response

    # -- what ends the worker -------------------------------------------------------------------------

    def reset_generation(self) -> None:
        """Begin anew as a member: the coordinator no longer knows this one, or it leaves."""
        if self._membership.holds and not self._closing.done():
            self._app.pulse.check()  # it may know better why
            self._membership.expel()
        super().reset_generation()

    def _push_error_to_user(self, error: Exception) -> Awaitable[Any]:
        self._fail(error)
        waiting: Awaitable[Any] = super()._push_error_to_user(error)
        return waiting

    async def _coordination_routine(self) -> None:
        try:
            await super()._coordination_routine()
        except Exception as error:
            self._fail(error.__cause__)
            raise

    async def commit_offsets(self, assignment: Any, offsets: Any) -> None:
        """Commit; where Kafka denies that, Faust would log how it came to it, and crash."""
        try:
            await super().commit_offsets(assignment, offsets)
        except TopicAuthorizationFailedError as error:
            await self._app.end_if_refused(error)
            raise

    def _fail(self, error: BaseException | None) -> None:
        if isinstance(error, GroupAuthorizationFailedError):
            end(str(denied(self._app.settings, [Right("Read", "group", self.group_id)])), REFUSED)
        if not self._app.should_stop:
            end(f"the worker can no longer take part in its consumer group ({error!r})", UNCOORDINATED)
