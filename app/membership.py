"""The worker's place in its consumer group, and whether it is certain."""

import asyncio
import logging
import math
from typing import NoReturn

from app.presence import Presence
from app.pulse import end, now
from clickwarden.settings import Settings

log = logging.getLogger(__name__)

#: Between two heartbeats of the worker.
HEARTBEAT_SECONDS = 0.5
#: How long after a heartbeat that was acknowledged the worker's place is certain: less than
#: the silence after which another process may have it by the worker's name
#: (app.identity.SILENCE_SECONDS), and so less than the session timeout too.
CERTAIN_SECONDS = 2.0
LOOK_SECONDS = 0.05
#: A silence as long as this is told of; where all of Kafka is away, that is known by then.
TELL_SECONDS = 5.0

#: Exit codes as in sysexits.h: EX_TEMPFAIL, EX_PROTOCOL, EX_NOPERM.
CUT_OFF = 75
UNCOORDINATED = 76
EXPELLED = 77


class Membership:
    """What the worker can know of its place in the group.

    The group's coordinator, a node of Kafka, gives the partitions of a member
    to others when it has heard no heartbeat for the session timeout; and gives
    its place to a process that joins under the same name at once. The member
    learns of neither before it reaches the coordinator again, while the nodes
    that lead the topics take whatever it sends. So the time since the last
    acknowledged heartbeat is counted, from the moment it was sent, since the
    answer says nothing of what came later:

    * After :data:`CERTAIN_SECONDS` the worker is silent: what it has to say
      waits (:meth:`certain`) until the coordinator has acknowledged it again.
    * Who is no longer a member while it holds partitions ends, and what it
      wanted to say is lost: whoever holds them now says it.
    * Who has not been acknowledged for twice the session timeout ends,
      because it is cut off from the coordinator; but only where Kafka
      answered all the while. Not sooner, since a coordinator that is being
      replaced does not answer either, and to stay silent does no harm.

    So an outage of all of Kafka is lived through in silence. When Kafka is
    back, the coordinator knows the member still, and it speaks on; or another
    was first, and it ends.

    While the group rebalances, heartbeats are acknowledged too. From the join
    on none are sent, and the worker holds nothing; its place is certain again
    from the SyncGroup request on that brings its assignment. Recovery of the
    tables changes nothing of this: heartbeats go on.

    Attributes:
        admitted: whether the worker's name is its own, from its first join on.
        holds: whether partitions are assigned to this worker.
    """

    def __init__(self, settings: Settings, presence: Presence) -> None:
        self.admitted = self.holds = False
        self._name = settings.member
        self._timeout = settings.session_timeout
        self._presence = presence
        self._acknowledged = -math.inf

    def acknowledge(self, sent: float) -> None:
        """The coordinator knew this member at some time after ``sent``, of :func:`app.pulse.now`."""
        self._acknowledged = max(self._acknowledged, sent)

    @property
    def is_certain(self) -> bool:
        """Whether nobody else can hold what this worker holds."""
        return not self.holds or self._silence < CERTAIN_SECONDS

    async def certain(self) -> None:
        """Wait until the place is certain."""
        while not self.is_certain:  # noqa: ASYNC110 - it becomes so in another thread
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def trouble(self) -> str:
        """Why the worker has been silent for some time, in words; empty if it has not."""
        if not self.holds or self._silence < TELL_SECONDS:
            return ""
        return f"the coordinator of the group has not acknowledged this worker for {self._silence:.0f} s"

    async def watch(self) -> None:
        """Log when the worker falls silent and when it speaks again, until cancelled."""
        silent = False
        while True:
            await asyncio.sleep(1)
            if self.trouble and not silent and not self._presence.trouble:
                log.warning("Nothing is sent to Kafka: %s", self.trouble)
                silent = True
            elif silent and not self.trouble:
                log.warning("The coordinator of the group acknowledges this worker again; counting goes on")
                silent = False

    def check(self) -> None:
        """Exit at once, without a word to Kafka, where the worker is cut off from the coordinator."""
        patience = 2 * self._timeout
        if self.holds and min(self._silence, self._presence.answering) > patience:
            end(
                f"the coordinator of the group has not acknowledged this worker for {self._silence:.1f} s, "
                "longer than twice CLICKWARDEN_SESSION_TIMEOUT, though Kafka answers; its partitions may "
                "belong to another by now",
                CUT_OFF,
            )

    def expel(self) -> NoReturn:
        """Exit at once, without a word to Kafka: the worker's place is taken."""
        end(
            "the group no longer knows this worker, and its partitions may belong to another by now: it was "
            "silent for CLICKWARDEN_SESSION_TIMEOUT, or another has joined under its name, "
            f"CLICKWARDEN_WORKER_ID={self._name}",
            EXPELLED,
        )

    @property
    def _silence(self) -> float:
        return now() - self._acknowledged
