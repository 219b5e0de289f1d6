"""``faust -A app notify``: whether people can be told."""

import asyncio
import sys
from time import monotonic, time
from uuid import uuid4

import click
from faust.cli import argument
from rich.console import Console

from app.main import settings
from clickwarden.alerts.words import plural
from clickwarden.channels import channelsfile, ledgertopic
from clickwarden.channels.channelsfile import OpenChannel
from clickwarden.channels.ledger import Entry, Ledger
from clickwarden.channels.message import Message, probe
from clickwarden.errors import ChannelError, SettingsError
from clickwarden.settings import environment
from clickwarden.times import isotime
from commands.command import AsyncCommand

#: Why a channel is not told of an incident.
REASONS = {
    "shadow": "of rules in shadow",
    "allowed": "of users who are allowed",
    "rule": "of rules it does not want",
    "category": "of categories it does not want",
    "severity": "of less severity than it wants",
    "past": "over before it was there",
    "told": "told before",
    "human": "said to be human",
    "snoozed": "snoozed",
}

console = Console(highlight=False, markup=False, soft_wrap=True)


class Notify(AsyncCommand):
    """Send to the channels of channels.toml (CLICKWARDEN_CHANNELS).

    test [NAME]: one message that is marked as a test to each channel, or to that one; and what the other side
    says of it. It needs no Kafka.

    status [NAME]: since when there is each channel, of how much it is yet to be told, what was not taken and
    why, and of how many incidents it is not told, by reason.

    replay [NAME]: have sent again what was given up.

    docs/channels.md says what to write into the file for mail, Slack, a webhook, Alertmanager, and whatever
    Apprise knows.

    Exit code: 0 each channel took it, or nothing was given up; 1 one did not, something was, or the file is
    wrong.
    """

    options = [  # noqa: RUF012
        argument("action", type=click.Choice(["test", "status", "replay"])),
        argument("name", required=False),
    ]

    async def run(self, action: str, name: str | None) -> None:
        """Do what is asked for."""
        channels = channelsfile.load(settings.channels, environment())
        if name is not None and name not in channels.by_name:
            raise SettingsError(
                f"{name}: {settings.channels} has no such channel; there are {', '.join(channels.by_name)}"
            )
        chosen = [channels.by_name[name]] if name is not None else list(channels.by_name.values())
        if action == "test":
            await self._test(chosen, channels.page)
            return
        ledger, names = await ledgertopic.read(settings), [each.channel.name for each in chosen]
        entries = [each for each in ledger.entries.values() if each.channel in names]
        if action == "replay":
            failed = [each for each in entries if each.state == "failed"]
            await ledgertopic.ask_again(settings, failed)
            console.print(f"{plural(len(failed), 'message')} asked for again")
            return
        for each in names:
            _print_status(each, ledger)
        for entry in entries:
            _print_entry(entry)
        if any(entry.state == "failed" for entry in entries):
            sys.exit(1)

    async def _test(self, chosen: list[OpenChannel], page: str) -> None:
        message = probe(uuid4().hex, isotime(time()), page)
        taken = await asyncio.gather(*(_tell(channel, message) for channel in chosen))
        if not page:
            console.print(f'messages link nowhere: {settings.channels} has no page = "https://…/"')
        if not all(taken):
            console.print(f"{plural(len(taken), 'channel')}, {taken.count(False):,} failed")
            sys.exit(1)


async def _tell(opened: OpenChannel, message: Message) -> bool:
    """Whether a channel took it; and print what it said."""
    channel, sender, _ = opened
    began = monotonic()
    try:
        answer = await sender.send(message)
    except ChannelError as error:
        when = "it may be tried again" if error.again is not None else "to try again is of no use"
        _print(channel.name, channel.scheme, "NOT TAKEN", began, f"{error} ({when})")
        return False
    reference = f" ({channel.inert(answer.reference)})" if answer.reference else ""
    _print(channel.name, channel.scheme, "taken", began, f"{answer.words}{reference}")
    return True


def _print(name: str, scheme: str, what: str, began: float, said: str) -> None:
    console.print(f"{name} ({scheme}://): {what} after {monotonic() - began:.2f} s: {said}")


def _print_status(name: str, ledger: Ledger) -> None:
    entry = ledger.channels.get(name)
    if entry is None:
        console.print(f"{name}: no worker has told it anything yet; workers read the file when they start")
        return
    silenced = ", ".join(
        f"{REASONS.get(reason, reason)} {count:,}" for reason, count in entry.silenced.items()
    )
    console.print(
        f"{name}: told since {isotime(entry.at)}; {plural(entry.waiting, 'incident')} waiting; "
        f"not told of: {silenced or 'none'}"
    )


def _print_entry(entry: Entry) -> None:
    what = {"failed": "given up", "again": "asked for again", "intent": "being sent"}[entry.state]
    tried = f"tried {plural(entry.attempts, 'time')}: {entry.words}" if entry.attempts else "not tried yet"
    console.print(
        f"{entry.channel}: {what}: {entry.stage} of {plural(len(entry.incidents), 'incident')} "
        f"({entry.key}), since {isotime(entry.at)}, {tried}"
    )
