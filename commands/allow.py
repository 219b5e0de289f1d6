"""``faust -A app allow``: who may go over thresholds, and tells nobody by it."""

from datetime import timedelta
from time import time

import click
from faust.cli import argument, option
from rich.console import Console

from app.main import settings
from clickwarden.alerts.words import plural, visible
from clickwarden.detection.allowlist import Members
from clickwarden.detection.amendment import Amendment, adding, removing, removing_for, replacing
from clickwarden.detection.members import (
    network_of,
    prefix_of,
    reason_of,
    until_after,
    until_of,
    user_of,
)
from clickwarden.errors import SettingsError
from clickwarden.kafka.rulestopic import RulesTopic, change_of
from clickwarden.sources.published import published
from clickwarden.times import epoch
from commands.changing import make, who
from commands.command import AsyncCommand
from commands.terminal import whole_table

#: Of those that were allowed together, so many are named.
NAMED = 3

console = Console(highlight=False, markup=False, soft_wrap=True)


class Allow(AsyncCommand):
    """Say who may go over thresholds: monitors, tests under load, known crawlers.

    What an allowed user does is found, recorded and shown apart, with the
    reason, and tells nobody.

    add [USER] --reason WORDS: allow a user, by the exact id; or those
    whose ids begin with --prefix, or are addresses in a --network, or in the
    --networks of a file or a URL, which replace those allowed before for that
    reason. Who is on the list already gets the new reason and expiry.

    remove [USER]: take off what was added so; or all with that --reason.

    list: who is on it, why, until when, and who added that.

    The list is in Kafka, in the topic <app id>-rules, and so 'rules history'
    shows its changes. Workers take a change up within 2 s, for what they find
    from then on. An entry expires by the time of the clicks: it means windows
    that begin before.

    Exit code: 0 it was done; 1 it was not, and nothing is changed.
    """

    options = [  # noqa: RUF012
        argument("action", type=click.Choice(["add", "remove", "list"])),
        argument("user", required=False, metavar="[USER]"),
        option("--prefix", metavar="TEXT", help="All whose ids begin so."),
        option("--network", metavar="CIDR", help="All whose ids are addresses in it: 203.0.113.0/24."),
        option("--networks", metavar="FILE|URL", help='The networks of a JSON file: {"prefixes": […]}.'),
        option("--reason", metavar="WORDS", help="Why; stands in the anomalies."),
        option("--until", metavar="TIME", help="When it expires, ISO-8601 (left out: never)."),
        option("--for", "span", metavar="TIME", help="The same, from now on: 30d, 12h, 90m."),
    ]

    async def run(
        self,
        action: str,
        user: str | None,
        prefix: str | None,
        network: str | None,
        networks: str | None,
        reason: str | None,
        until: str | None,
        span: str | None,
    ) -> None:
        """Do what is asked for."""
        topic = RulesTopic(settings)
        await topic.read()
        if action == "list":
            _list(topic)
            return
        if not topic.book.number:
            raise SettingsError("there are no rules yet to go over; start a worker first")
        asked = {"USER": user, "--prefix": prefix, "--network": network, "--networks": networks}
        given = [name for name, value in asked.items() if value is not None]
        if action == "remove":
            if networks or until or span or len([*given, *([reason] if reason else [])]) != 1:
                raise SettingsError(
                    "remove: say whom, in one way: USER, --prefix, --network, or all with a --reason"
                )
            entries = topic.book.allow_list
            whom = _whom(user, prefix, network)
            await _amend(topic, removing_for(entries, reason) if reason else removing(entries, whom), "")
            return
        if len(given) != 1:
            raise SettingsError("add: say whom, in one way: USER, --prefix, --network, or --networks")
        why, expiry = reason_of(reason), _expiry(until, span)
        if networks is not None:
            found = await published(networks)
            replaced = replacing(topic.book.allow_list, found, networks, why, expiry)
            if replaced is None:
                console.print(f"{networks}: its {plural(len(found), 'network')} are on the list already")
            else:
                await _amend(topic, replaced, why)
            return
        whom = _whom(user, prefix, network)
        added = adding(topic.book.allow_list, whom, why, expiry)
        if isinstance(added, Amendment):
            await _amend(topic, added, why)
        else:
            console.print(f"{visible(*whom.names)} is on the list already, for that reason")


def _whom(user: str | None, prefix: str | None, network: str | None) -> Members:
    return Members(
        users=[user_of(user)] if user is not None else [],
        prefixes=[prefix_of(prefix)] if prefix is not None else [],
        networks=[network_of(network)] if network is not None else [],
    )


def _expiry(until: str | None, span: str | None) -> str:
    """When what is added expires; empty: never."""
    if until and span:
        raise SettingsError("--until and --for both say when it expires; give one of them")
    if span:
        return until_after(span, time())
    return until_of(until, time()) if until else ""


async def _amend(topic: RulesTopic, amendment: Amendment, why: str) -> None:
    # The rules as they were written: also those that only a newer release can read.
    last = topic.book.editions[-1].change
    change = change_of(
        topic.book, last.rules, last.disabled, what=visible(amendment.what), who=who(), why=why, now=time(),
        disallow=amendment.disallow, allow=amendment.allow,
    )  # fmt: skip
    await make(topic, change)


def _list(topic: RulesTopic) -> None:
    listed = topic.book.allow_list.listed()
    if not listed:
        console.print("nobody is on the allow-list")
        return
    table = whole_table("who", "why", "expires", "added")
    for term, members in listed.items():
        names = list(members.names)
        shown = ", ".join(map(visible, names[:NAMED]))
        if len(names) > NAMED:
            shown += f" and {len(names) - NAMED:,} more"
        change = topic.book.editions[term.since - 1].change
        added = f"{change.when} by {visible(change.who)}, change {change.number}"
        is_over = bool(term.until) and epoch(term.until) <= time()
        table.add_row(shown, visible(term.reason), _left(term.until), added, style="dim" if is_over else None)
    console.print(table)


def _left(until: str) -> str:
    """When that is, and how long until then."""
    if not until:
        return "never"
    seconds = int(epoch(until) - time())
    if seconds <= 0:
        return f"expired {until}"
    left = timedelta(seconds=seconds)
    days, hours, minutes = left.days, left.seconds // 3600, left.seconds % 3600 // 60
    return f"{until}, in " + (f"{days} d {hours} h" if days else f"{hours} h {minutes} min")
