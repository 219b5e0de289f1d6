"""``faust -A app blocklist``: whom acting would block, until when and why."""

from time import time

from rich.console import Console

from app.main import settings
from clickwarden.alerts.feedback import KnownFeedback
from clickwarden.alerts.incidents import Severity
from clickwarden.alerts.words import duration, plural, visible
from clickwarden.blocking.block import Block, Terms
from clickwarden.blocking.blocklist import BlockedUsers, Listing, allowed_by, human_by
from clickwarden.blocking.written import left_out
from clickwarden.kafka.reader import reader, to_end
from clickwarden.kafka.rulestopic import RulesTopic
from clickwarden.times import isotime
from commands.command import AsyncCommand
from commands.terminal import whole_table

#: What is tried where nothing is set.
TRIED: Severity = "high"

console = Console(highlight=False, markup=False, soft_wrap=True)


class Blocklist(AsyncCommand):
    """Show who is blocked until when and why, or would be.

    Reads incidents, allow-list and feedback from Kafka, changes nothing, and
    says the same whether acting is on or off: CLICKWARDEN_BLOCK_SEVERITY, or
    high where that is not set, CLICKWARDEN_BLOCK_SECONDS, CLICKWARDEN_BLOCK_MOST
    and CLICKWARDEN_BLOCK_PRIVATE say from when on, and how long.

    docs/blocking.md says how it is enforced.
    """

    async def run(self) -> None:
        """Print the list."""
        terms = Terms.of(settings, settings.block_severity or TRIED)
        listing = await _read(terms)
        if not settings.block_severity:
            console.print(
                "acting is off, and nobody is blocked; CLICKWARDEN_BLOCK_SEVERITY="
                f"{TRIED} in the workers' settings would block:"
            )
        if not listing.blocks:
            console.print(f"nobody: no incident of severity {terms.severity} or more is recent enough")
        else:
            _print(listing)
        for words in left_out(listing.left_out):
            console.print(f"left out: {words}")


async def _read(terms: Terms) -> Listing:
    rules, feedback = RulesTopic(settings), KnownFeedback()
    await rules.read()

    blocklist = BlockedUsers(terms, human_by(feedback))
    async with reader(settings, settings.feedback_topic) as consumer:
        async for _, records in to_end(consumer):
            for record in records:
                feedback.take(record.value)
    async with reader(settings, settings.incidents_topic) as consumer:
        async for _, records in to_end(consumer):
            for record in records:
                blocklist.take(record.value)
    now = time()
    return await blocklist.look(allowed_by(rules.book.allow_list, now), now)


def _print(listing: Listing) -> None:
    table = whole_table("who", "scope", "since", "until", "why")
    for block in listing.blocks:
        table.add_row(
            visible(block.target.value),
            block.target.scope,
            isotime(int(block.since)),
            f"{isotime(int(block.until))}, in {duration(int(block.until - listing.at) // 60 * 60)}",
            _why(block),
        )
    console.print(table)
    console.print(plural(len(listing.blocks), "block"))


def _why(block: Block) -> str:
    offence = block.offence
    again = f", time {block.times:,} in a row" if block.times > 1 else ""
    return (
        f"{offence.severity}, rule {visible(offence.rule)}{again} (incident {visible(offence.incident_id)})"
    )
