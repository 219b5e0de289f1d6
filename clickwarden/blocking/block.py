"""How long one user is blocked: a function of that user's incidents."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from clickwarden.alerts.incidents import SEVERITIES, Severity
from clickwarden.blocking.address import Target
from clickwarden.settings import Settings

#: A block that was over for so long makes the next one no longer, seconds.
REMEMBERED = 7 * 86_400.0


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to block, and how long.

    Attributes:
        severity: of this one at least an incident has to be.
        first: how long after the last click known, seconds.
        most: who comes back after a block is blocked twice as long as before, and at most so long, seconds.
        private: block addresses of one's own network, too.
    """

    severity: Severity
    first: float
    most: float
    private: bool = False

    @classmethod
    def of(cls, settings: Settings, severity: Severity) -> "Terms":
        """Those that are set, from this severity on."""
        return cls(
            severity=severity,
            first=settings.block_seconds,
            most=settings.block_most,
            private=settings.block_private,
        )

    def is_met(self, severity: Severity) -> bool:
        """Whether an incident of this severity has its user blocked."""
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.severity)


class Offence(NamedTuple):
    """What an incident says of its user; times in epoch seconds.

    Attributes:
        begin: first click counted exactly.
        last: last click known.
        incident_id: of the incident.
        rule: that was broken.
        severity: of the incident.
    """

    begin: float
    last: float
    incident_id: str
    rule: str
    severity: Severity


class Block(NamedTuple):
    """One who is blocked, or was.

    Attributes:
        user_id: as it stood in the click: an attacker's text.
        target: what is blocked.
        since: epoch seconds.
        until: epoch seconds.
        times: 1 for the first time; one more each time that the user came back after a block.
        offence: the last that it is for.
    """

    user_id: str
    target: Target
    since: float
    until: float
    times: int
    offence: Offence


def block_of(user_id: str, target: Target, offences: Iterable[Offence], terms: Terms) -> Block | None:
    """The last block of a user; None where there is none.

    It begins with an incident and lasts for a time after its last click. What the user does meanwhile
    makes it last as long again from then on; what begins when it is over is another block, twice as long for
    each that was over at most :data:`REMEMBERED` before.

    Args:
        user_id: the user's.
        target: what to block of the user.
        offences: for which to block, in any order.
        terms: how long.
    """
    over: deque[float] = deque()
    since = until = seconds = 0.0
    times, last = 0, None
    for offence in sorted(offences):
        if last is None or offence.begin >= until:
            if last is not None:
                over.append(until)
            since = until = offence.begin
            while over and offence.begin - over[0] > REMEMBERED:
                over.popleft()
            times, seconds = len(over) + 1, min(terms.most, terms.first * 2.0 ** min(len(over), 64))
        until = max(until, offence.last + seconds)
        last = offence
    return None if last is None else Block(user_id, target, since, until, times, last)
