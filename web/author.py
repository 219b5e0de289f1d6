"""Who changes rules, allow-list and models through the page: as commands do, in the same topics."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.main import app, settings
from clickwarden.alerts.words import visible
from clickwarden.detection.rulebook import Change, Edition
from clickwarden.errors import ClickwardenError, RulesChanged
from clickwarden.kafka.wholetopic import WholeTopic
from web.refusal import Refusal

log = logging.getLogger(__name__)

#: For so long Kafka may take to have a change, seconds.
PATIENCE = 20.0
#: Longest reason, characters.
WHY_MAX = 500

Made = TypeVar("Made")


class Author:
    """Makes changes, one at a time."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def write(self, draft: Callable[[], Awaitable[Change | Edition]], known: str = "") -> Edition:
        """Make a change of the rules; as they are in force.

        Args:
            draft: what makes it of the newest rules; an edition, where nothing is to be changed.
            known: field of the request that says which rules were known, if there is one.

        Raises:
            Refusal: as :meth:`make`.
        """

        async def write() -> Edition:
            change = await draft()
            if isinstance(change, Edition):
                return change
            edition = await app.rulestopic.write(change)
            log.info("Change %s by %s: %s (%s)", change.number, change.who, change.what, visible(change.why))
            return edition

        return await self.make(write, known)

    async def make(self, write: Callable[[], Awaitable[Made]], known: str = "") -> Made:
        """Make a change of what a topic holds.

        Args:
            write: what does.
            known: field of the request that says what was known, if there is one.

        Raises:
            Refusal: somebody else was first, or Kafka has not taken it; or as ``write``.
        """
        if self._lock.locked():  # each has Kafka asked, and may have tests run
            raise Refusal(429, "another change is being made at this worker: try again in a second")
        try:
            async with self._lock, asyncio.timeout(PATIENCE):
                return await write()
        except RulesChanged as error:
            raise Refusal(409, str(error), known) from None
        except TimeoutError:
            unsure = "Kafka does not answer, and may have the change all the same: look at the history first"
            raise Refusal(503, unsure) from None
        except ClickwardenError as error:
            raise Refusal(503, str(error)) from None

    def named(self, remote: str | None) -> str:
        """Who makes a change that is asked for from an address."""
        return f"the page of {settings.member}, from {remote}"


def reason(why: str) -> str:
    """Why somebody changes something, for the history.

    Raises:
        Refusal: nothing was said, or too much.
    """
    why = why.strip()
    if not 1 <= len(why) <= WHY_MAX:
        raise Refusal(400, f"why: has {len(why)} characters; say in 1 to {WHY_MAX} why it is changed", "why")
    return why


async def catch_up(topic: WholeTopic, unknown: str) -> None:
    """Have all read that is in a topic.

    Args:
        topic: that the worker follows.
        unknown: what may not be known, where that cannot be, in words.

    Raises:
        Refusal: Kafka does not answer.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            await topic.caught_up()
    except TimeoutError:
        raise Refusal(503, f"{unknown}, and Kafka does not answer: try again later") from None


author = Author()
