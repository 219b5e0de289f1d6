"""The list of who is blocked, kept up to date from Kafka while the page is served, where it is wanted."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Literal

from aiohttp.web import Application
from aiokafka import ConsumerRecord

from app.main import app, settings
from clickwarden.alerts.feedback import KnownFeedback
from clickwarden.blocking.block import Terms
from clickwarden.blocking.blocklist import BlockedUsers, Listing, allowed_by, human_by
from clickwarden.blocking.history import History
from clickwarden.blocking.written import left_out
from clickwarden.kafka.following import ALL, Followed, Following, end

log = logging.getLogger(__name__)

#: Between two looks at who is blocked.
PAUSE_SECONDS = 1.0

State = Literal["off", "loading", "away", "live"]


class Blocking:
    """What this worker knows of who is blocked.

    Attributes:
        history: the listings so far.
        terms: whom to block, and how long.
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.history = History()
        self._feedback = KnownFeedback()
        self._blocklist = BlockedUsers(terms, human_by(self._feedback))
        self._following = Following(
            [
                Followed(settings.incidents_topic, self._take, newest=ALL),
                Followed(settings.feedback_topic, self._hear, newest=ALL),
            ],
            app.clock.now,
        )
        self._left_out = ""

    @property
    def listing(self) -> Listing | None:
        """The list as it is now; None while it cannot be known."""
        return None if self.trouble else self.history.listing

    @property
    def state(self) -> State:
        """Whether the list is known."""
        if self.trouble:
            return "away"
        return "loading" if self.history.listing is None else "live"

    @property
    def trouble(self) -> str:
        """Why who is blocked, or who is allowed, cannot be known now."""
        return self._following.trouble or app.rulestopic.trouble

    def _take(self, record: ConsumerRecord) -> None:
        self._blocklist.take(record.value)

    def _hear(self, record: ConsumerRecord) -> None:
        if said := self._feedback.take(record.value):
            self._blocklist.reconsider(said.incident_id)

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        following = asyncio.create_task(self._following.follow(settings))
        try:
            await self._following.loaded.wait()
            while True:
                if app.rulestopic.book.number:  # before, nobody is known to be allowed
                    await self._look()
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            await end(following)

    async def _look(self) -> None:
        now = app.clock.now()
        listing = await self._blocklist.look(allowed_by(app.rulestopic.book.allow_list, now), now)
        self.history.take(listing)
        words = "; ".join(left_out({"many": listing.left_out.get("many", 0)}))
        if "many" in listing.left_out and not self._left_out:
            log.warning("Not all are on the list of who is blocked: %s", words)
        self._left_out = words if "many" in listing.left_out else ""


#: None where nobody is to be blocked.
blocking = Blocking(Terms.of(settings, settings.block_severity)) if settings.block_severity else None


async def _keep(_: Application) -> AsyncIterator[None]:
    if blocking is None:
        yield
        return
    keeping = asyncio.create_task(blocking.keep())
    yield
    await end(keeping)


app.web.web_app.cleanup_ctx.append(_keep)
