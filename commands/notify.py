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
from clickwarden.channels import channelsfile
from clickwarden.channels.channelsfile import OpenChannel
from clickwarden.channels.message import Message, probe
from clickwarden.errors import ChannelError, SettingsError
from clickwarden.settings import environment
from clickwarden.times import isotime
from commands.command import AsyncCommand

console = Console(highlight=False, markup=False, soft_wrap=True)


class Notify(AsyncCommand):
    """Send to the channels of channels.toml (CLICKWARDEN_CHANNELS).

    test [NAME]: one message that is marked as a test to each channel, or to that one; and what the other side
    says of it. It needs no Kafka.

    docs/channels.md says what to write into the file for mail, Slack, a webhook, Alertmanager, and whatever
    Apprise knows.

    Exit code: 0 each channel took it; 1 one did not, or the file is wrong.
    """

    options = [  # noqa: RUF012
        argument("action", type=click.Choice(["test"])),
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
        message = probe(uuid4().hex, isotime(time()), channels.page)
        taken = await asyncio.gather(*(_tell(channel, message) for channel in chosen))
        if not channels.page:
            console.print(f'messages link nowhere: {settings.channels} has no page = "https://…/"')
        if not all(taken):
            console.print(f"{plural(len(taken), 'channel')}, {taken.count(False):,} failed")
            sys.exit(1)


async def _tell(opened: OpenChannel, message: Message) -> bool:
    """Whether a channel took it; and print what it said."""
    channel, sender = opened
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
