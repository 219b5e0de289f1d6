"""Rules that are changed through the page: with the checks of ``rules put``, in the same topic."""

import asyncio
import logging
import re
from collections.abc import Sequence

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from app.main import app, settings
from clickwarden.alerts.words import visible
from clickwarden.detection.revision import FailedTest, NoSuchRule, Revised, Revision, RevisionError, revised
from clickwarden.detection.rulebook import Edition
from clickwarden.errors import ClickwardenError, RulesChanged
from clickwarden.formats.json import UNREADABLE
from clickwarden.kafka.rulestopic import change_of, outrun

log = logging.getLogger(__name__)

#: Of a request's body, and how long it may take to come.
BODY_BYTES = 16 * 1024
BODY_SECONDS = 10.0
#: Longest reason, characters.
WHY_MAX = 500
#: For so long Kafka may take to have a change, seconds.
PATIENCE = 20.0
#: What comes of a body that does not come whole.
BROKEN = (TimeoutError, ConnectionError, web.RequestPayloadError, HttpProcessingError)

_AT = re.compile(r" - at `\$\.?(?P<field>\w*).*`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_MISSING = re.compile(r"Object missing required field `(.*)`")


class RevisionRequest(Revision, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of a rule; what is left out stays as it is.

    Attributes:
        threshold: more clicks than this are an anomaly.
        shadow: what it finds is recorded, and nobody is told of it.
        enabled: whether it is in force.
        without: names of its tests that it no longer has.
        edition: ``number`` of the newest change that was known when this one was made.
        why: for the history, 1 to 500 characters; a preview needs none.
    """

    edition: int
    why: str = ""


class Refused(msgspec.Struct):
    """Why a rule is not changed.

    Attributes:
        error: in words.
        field: of the request, which is wrong; empty where it is none of them.
        tests: those of the rule that fail.
    """

    error: str
    field: str = ""
    tests: Sequence[FailedTest] = ()


class Refusal(Exception):
    """A rule is not changed; with the answer's status."""

    def __init__(self, status: int, error: str, field: str = "", tests: Sequence[FailedTest] = ()) -> None:
        super().__init__(error)
        self.status = status
        self.answer = Refused(error, field, tests)


async def asked(request: web.Request) -> RevisionRequest:
    """What a request asks for.

    Raises:
        Refusal: it is no JSON, too large, or holds what it may not.
    """
    if request.content_type != "application/json":
        raise Refusal(415, f"Content-Type: is {request.content_type}; send JSON, as application/json")
    too_large = Refusal(413, f"the body has more than {BODY_BYTES:,} bytes; a change of a rule has few")
    if (request.content_length or 0) > BODY_BYTES:
        raise too_large
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except BROKEN:
        raise Refusal(400, "the body did not come whole; send it again") from None
    if len(body) > BODY_BYTES:
        raise too_large
    try:
        return msgspec.json.decode(body, type=RevisionRequest)
    except UNREADABLE as error:
        raise _explained(str(error)) from None


def _explained(said: str) -> Refusal:
    """What is no change of a rule, in our own words."""
    at = _AT.search(said)
    why = said[: at.start()] if at else said
    if unknown := _UNKNOWN.fullmatch(why):
        fields = ", ".join(RevisionRequest.__struct_fields__)
        return Refusal(400, f"{unknown[1]}: there is no such field; there are {fields}", unknown[1])
    if missing := _MISSING.fullmatch(why):
        cure = "is missing; it is the number of the newest change in /api/v1/rules/history"
        return Refusal(400, f"{missing[1]}: {cure}", missing[1])
    field = at["field"] if at else ""
    return Refusal(400, f"{field or 'the body'}: {why[0].lower()}{why[1:]}; see docs/api.md", field)


class Reviser:
    """Makes changes, one at a time."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def revise(self, name: str, wanted: RevisionRequest, remote: str | None) -> Edition:
        """Change a rule for who asks from an address; the rules as they are in force.

        Raises:
            Refusal: it is wrong, somebody else was first, or Kafka has not taken it.
        """
        why = wanted.why.strip()
        if not 1 <= len(why) <= WHY_MAX:
            raise Refusal(
                400, f"why: has {len(why)} characters; say in 1 to {WHY_MAX} why it is changed", "why"
            )
        if self._lock.locked():  # each has Kafka asked, and may have tests run
            raise Refusal(429, "another rule is being changed at this worker: try again in a second")
        try:
            async with self._lock, asyncio.timeout(PATIENCE):
                new = await self.draft(name, wanted)
                change = change_of(
                    app.rulestopic.book,
                    new.rules,
                    new.disabled,
                    what=new.what,
                    who=f"the page of {settings.member}, from {remote}",
                    why=why,
                    now=app.clock.now(),
                )
                edition = await app.rulestopic.write(change)
        except RulesChanged as error:
            raise Refusal(409, str(error), "edition") from None
        except TimeoutError:
            unsure = "Kafka does not answer, and may have the change all the same: look at the history first"
            raise Refusal(503, unsure) from None
        except ClickwardenError as error:
            raise Refusal(503, str(error)) from None
        log.info("Change %s by %s: %s (%s)", change.number, change.who, change.what, visible(why))
        return edition

    async def draft(self, name: str, wanted: RevisionRequest, *, tested: bool = True) -> Revised:
        """The rules as they would be.

        Args:
            name: of the rule.
            wanted: what becomes of it.
            tested: whether its tests are run, too.

        Raises:
            Refusal: it is wrong, or of rules that are no longer in force.
        """
        topic = app.rulestopic
        if wanted.edition > topic.book.number:  # by the word of another worker, which has read on further
            await self._catch_up(wanted.edition)
        if not 1 <= wanted.edition <= topic.book.number:
            error = f"edition: {wanted.edition} is no change; the newest is {topic.book.number}"
            raise Refusal(400, error, "edition")
        try:
            edition = topic.book.editions[wanted.edition - 1]
            new = await asyncio.to_thread(revised, edition, name, wanted, tested=tested)
        except NoSuchRule as error:
            raise Refusal(404, str(error)) from None
        except RevisionError as error:
            raise Refusal(400, str(error), error.field, error.tests) from None
        if wanted.edition < topic.book.number:
            raise Refusal(409, str(outrun(topic.book.editions[wanted.edition])), "edition")
        return new

    async def _catch_up(self, number: int) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await app.rulestopic.caught_up()
        except TimeoutError:
            unknown = (
                f"change {number} is not known to this worker, and Kafka does not answer: try again later"
            )
            raise Refusal(503, unknown) from None


reviser = Reviser()
