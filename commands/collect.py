"""``faust -A app collect``: clicks over HTTP into the topic."""

import asyncio
import os
import signal
from contextlib import suppress

import click
from aiohttp import web
from faust.cli import option
from rich.console import Console

from app.main import settings
from app.room import connections
from app.visitors import Runner, Visitors
from clickwarden.alerts.words import plural
from clickwarden.errors import SettingsError
from clickwarden.formats.clients import Clients
from clickwarden.settings import LOOPBACK, PREFIX
from clickwarden.sources.collector import Collector
from clickwarden.sources.keys import Keys
from clickwarden.sources.producer import ClickProducer
from commands import reading
from commands.command import AsyncCommand

#: How long requests may still take that were there when it is told to end, seconds.
LAST_REQUESTS = 5.0


class Collect(AsyncCommand):
    """Take clicks over HTTP and put them into the clicks topic.

    POST /clicks takes a click, an array of some or one a line (NDJSON), GET
    /pixel.gif one in its query. It answers when they are on disk, in
    CLICKWARDEN_DATA_DIR, and sends them to Kafka from there, each once. A click
    without a user is of the client's address, one without a time of now.

    Servers send CLICKWARDEN_COLLECT_TOKEN (Authorization: Bearer TOKEN), and
    pages a key (/clicks?key=KEY), which --key makes. Without a token everybody
    may send who reaches CLICKWARDEN_COLLECT_BIND, on this machine only.

    It runs until Ctrl-C or SIGTERM, and then answers what it has begun with.
    What Kafka has not got by then waits on disk for the next start.
    """

    options = [  # noqa: RUF012
        *reading.CLIENTS,
        option(
            "--key",
            "origin",
            metavar="ORIGIN",
            help="Print a key for the pages of an origin, https://shop.example, and end.",
        ),
        option(
            "--days",
            type=click.FloatRange(min=0, min_open=True),
            default=365,
            show_default=True,
            help="How long that key is good. Another token ends all keys at once.",
        ),
    ]

    async def run(self, trusted_proxies: str, ipv6_prefix: int, origin: str | None, days: float) -> None:
        """Collect until a signal comes, or print a key."""
        console = Console(markup=False, highlight=False, soft_wrap=True)
        if origin is not None:
            console.print(_key(origin, days))
            return
        try:
            clients = Clients(reading.networks(trusted_proxies), ipv6_prefix)
        except SettingsError as error:
            raise SettingsError(f"--trusted-proxies: {error}") from None
        producer = ClickProducer(settings)
        collecting = asyncio.create_task(_collect(producer, clients, console))
        loop = asyncio.get_running_loop()
        for ending in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(ending, collecting.cancel)
        try:
            with suppress(asyncio.CancelledError):
                await collecting
        finally:
            console.print(
                f"{plural(producer.sent, 'click')} taken; {producer.acked:,} acknowledged by Kafka, "
                f"{producer.waiting:,} wait on disk"
            )


async def _collect(producer: ClickProducer, clients: Clients, console: Console) -> None:
    """Collect until it is cancelled."""
    visitors = Visitors(connections())
    async with producer:
        collector = Collector(settings, producer, clients, visitors.admit)
        runner = Runner(
            collector.application,
            visitors,
            auto_decompress=False,
            handle_signals=False,
            shutdown_timeout=LAST_REQUESTS,
        )
        await runner.setup()
        try:
            await _listen(runner)
            console.print(f"Taking clicks at http://{_host()}:{settings.collect_port}/clicks{_from_where()}")
            await collector.ended
        finally:
            await runner.cleanup()


async def _listen(runner: web.BaseRunner) -> None:
    try:
        await web.TCPSite(runner, settings.collect_bind, settings.collect_port).start()
    except OSError as error:
        raise SettingsError(
            f"{PREFIX}COLLECT_BIND={settings.collect_bind}, {PREFIX}COLLECT_PORT={settings.collect_port}: "
            f"nothing can be taken there: {os.strerror(error.errno or 0)}; choose another"
        ) from None


def _host() -> str:
    bind = settings.collect_bind
    return f"[{bind}]" if ":" in bind else bind


def _from_where() -> str:
    if settings.collect_bind in LOOPBACK:
        return f", from this machine only: {PREFIX}COLLECT_BIND opens it to others"
    return ""


def _key(origin: str, days: float) -> str:
    token = settings.collect_token.get_secret_value()
    if not token:
        raise SettingsError(
            f"{PREFIX}COLLECT_TOKEN is not set, and it signs the keys; 'openssl rand -hex 16' makes one"
        )
    return Keys(token).make(origin, days)
