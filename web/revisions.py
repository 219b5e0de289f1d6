"""Rules that are changed through the page: with the checks of ``rules put``, in the same topic."""

import asyncio

from app.main import app
from clickwarden.detection.revision import NoSuchRule, Revised, Revision, RevisionError, revised
from clickwarden.detection.rulebook import Change, Edition
from clickwarden.kafka.rulestopic import change_of, outrun
from web.author import author, catch_up, reason
from web.refusal import Refusal


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


#: Where its field that must be there is taken from.
EDITION = "it is the number of the newest change in /api/v1/rules/history"


async def revise(name: str, wanted: RevisionRequest, remote: str | None) -> Edition:
    """Change a rule for who asks from an address; the rules as they are in force.

    Raises:
        Refusal: it is wrong, somebody else was first, or Kafka has not taken it.
    """
    why = reason(wanted.why)

    async def change() -> Change:
        new = await draft(name, wanted)
        return change_of(
            app.rulestopic.book,
            new.rules,
            new.disabled,
            what=new.what,
            who=author.named(remote),
            why=why,
            now=app.clock.now(),
        )

    return await author.write(change, "edition")


async def draft(name: str, wanted: RevisionRequest, *, tested: bool = True) -> Revised:
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
        await catch_up(topic, f"change {wanted.edition} is not known to this worker")
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
