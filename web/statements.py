"""What people say of incidents through this worker, and what stands of them."""

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from app.main import app, settings
from clickwarden.alerts import feedbacktopic
from clickwarden.alerts.feedback import (
    Feedback,
    FeedbackError,
    Muted,
    Proposal,
    Statement,
    meanwhile,
    noted,
    proposal,
)
from clickwarden.alerts.incidents import Incident
from clickwarden.alerts.words import visible
from clickwarden.errors import ClickwardenError
from clickwarden.times import epoch
from web import live
from web.author import PATIENCE
from web.refusal import Refusal

log = logging.getLogger(__name__)


class FeedbackStatus(msgspec.Struct):
    """What stands of an incident, and what follows.

    Attributes:
        feedback: what was said of it; None where nothing was.
        muted: why nobody is told of it: ``human``, or ``snoozed``; None where people are told as ever.
        until: when the snooze of its user under its rule is over, whichever incident it was said of, ISO-8601
            UTC; None where there is none.
        meanwhile: incidents of that user under that rule that the snooze has covered so far.
        proposal: whom to put on the allow-list, if it was a human; ``POST /api/v1/allow`` does it.
    """

    feedback: Feedback | None
    muted: Muted | None
    until: str | None
    meanwhile: int
    proposal: Proposal | None


class Noted(NamedTuple):
    """What stands once somebody has said something; ``already``: it stood before."""

    feedback: Feedback
    already: bool


def status_of(incident: Incident, of_user: Sequence[Incident]) -> FeedbackStatus:
    """What stands of an incident, which is one of those of its user."""
    now = app.clock.now()
    said = live.feedback.get(incident.incident_id)
    snooze = live.feedback.snooze(incident.rule, incident.user_id)
    until = snooze and snooze.until
    return FeedbackStatus(
        feedback=said,
        muted=live.feedback.muted(incident, now),
        until=until if until and epoch(until) > now else None,
        meanwhile=meanwhile(snooze, of_user) if snooze else 0,
        proposal=proposal(said, now) if said else None,
    )


class Registrar:
    """Notes what people say, one statement after the other."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def note(
        self, incident: Incident, statement: Statement, *, until: float | None, who: str, why: str
    ) -> Noted:
        """Have Kafka take what somebody says of an incident; see :func:`clickwarden.alerts.feedback.noted`.

        Raises:
            Refusal: it cannot be; what was said before is not known now; or Kafka has not taken it.
        """
        try:
            async with asyncio.timeout(PATIENCE), self._lock:
                if live.state() != "live":
                    why_not = live.following.trouble or "what was said before is still being read"
                    raise Refusal(503, f"{why_not}: try again in a moment")
                before = live.feedback.get(incident.incident_id)
                said = noted(before, incident, statement, until=until, who=who, why=why, now=app.clock.now())
                if said is before:
                    return Noted(said, already=True)
                await feedbacktopic.write(settings, said)
                live.feedback.note(said)  # who asks next is not to wait until it has come back
        except FeedbackError as error:
            raise Refusal(400, str(error), str(error).partition(":")[0]) from None
        except TimeoutError:
            raise Refusal(503, "Kafka does not answer, and may have it all the same: look again") from None
        except ClickwardenError as error:
            raise Refusal(503, str(error)) from None
        log.info("Incident %s: %s, says %s", incident.incident_id, statement, visible(who))
        return Noted(said, already=False)


registrar = Registrar()
