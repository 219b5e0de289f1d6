"""Who changes rules and allow-list through the page: as commands do, in the same topic."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from app.main import app, settings
from clickwarden.alerts.words import visible
from clickwarden.detection.rulebook import Change, Edition
from clickwarden.errors import ClickwardenError, RulesChanged
from web.refusal import Refusal

log = logging.getLogger(__name__)

#: For so long Kafka may take to have a change, seconds.
PATIENCE = 20.0


class Author:
    """Makes changes, one at a time."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def write(self, draft: Callable[[], Awaitable[Change | Edition]], known: str = "") -> Edition:
        """Make a change; the rules as they are in force.

        Args:
            draft: what makes it of the newest rules; an edition, where nothing is to be changed.
            known: field of the request that says which rules were known, if there is one.

        Raises:
            Refusal: somebody else was first, or Kafka has not taken it; or as ``draft``.
        """
        if self._lock.locked():  # each has Kafka asked, and may have tests run
            raise Refusal(429, "another change is being made at this worker: try again in a second")
        try:
            async with self._lock, asyncio.timeout(PATIENCE):
                change = await draft()
                if isinstance(change, Edition):
                    return change
                edition = await app.rulestopic.write(change)
        except RulesChanged as error:
            raise Refusal(409, str(error), known) from None
        except TimeoutError:
            unsure = "Kafka does not answer, and may have the change all the same: look at the history first"
            raise Refusal(503, unsure) from None
        except ClickwardenError as error:
            raise Refusal(503, str(error)) from None
        log.info("Change %s by %s: %s (%s)", change.number, change.who, change.what, visible(change.why))
        return edition

    def named(self, remote: str | None) -> str:
        """Who makes a change that is asked for from an address."""
        return f"the page of {settings.member}, from {remote}"


author = Author()
