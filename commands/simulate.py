"""``faust -A app simulate``: shoppers, and an attack among them."""

import asyncio
import time
from contextlib import suppress
from itertools import dropwhile

import click
from faust.cli import option

from app.main import settings
from clickwarden.detection.clicks import Clicks
from clickwarden.sandbox import shoppers
from clickwarden.sources.producer import ClickProducer
from clickwarden.times import isotime
from commands.command import AsyncCommand

USERS = 2_000


class Simulate(AsyncCommand):
    """Send the clicks of shoppers to the topic, and an attack among them.

    Everything happens in real time: each click carries the moment it is sent
    at. The shoppers stay under every rule of rules.toml. The attack is one
    user who reads page after page, a few seconds after the start; all of its
    clicks fall into one minute, so that the alert's count can be held against
    what was sent. Where Kafka is away, clicks wait on disk, in
    CLICKWARDEN_DATA_DIR; they are sent when it is back, by the next simulate or
    replay if need be, and each once.
    """

    options = [  # noqa: RUF012
        option(
            "--rate",
            type=click.FloatRange(min=0, min_open=True),
            default=200.0,
            show_default=True,
            help="Clicks a second of all shoppers, the day's average.",
        ),
        option(
            "--users",
            type=click.IntRange(min=1),
            help=f"How many shoppers there are.  [default: {USERS}, or as many as the rate needs]",
        ),
        option(
            "--duration",
            type=click.FloatRange(min=0),
            default=0.0,
            show_default=True,
            help="Seconds after which to stop. 0: Ctrl-C stops it.",
        ),
        option(
            "--attack",
            type=click.IntRange(min=0),
            default=10_000,
            show_default=True,
            help="Clicks of the attack. 0: none.",
        ),
        option("--attacker", default="attacker", show_default=True, help="The attacker's user_id."),
        option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random numbers."
        ),
    ]

    async def run(
        self, rate: float, users: int | None, duration: float, attack: int, attacker: str, seed: int
    ) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(markup=False, highlight=False, soft_wrap=True)
        users = users or max(USERS, shoppers.users_for(rate))
        traffic = iter(shoppers.Shoppers(rate, users, seed, time.time()))
        next(traffic)  # fills the shop, which takes a while at a high rate
        bot = shoppers.attack(attack, attacker, time.time())
        injected = 0

        async def shop() -> None:
            for clicks in dropwhile(_past, traffic):
                async for _ in producer.pace(clicks, clicks.times):
                    pass

        async def strike() -> None:
            nonlocal injected
            async for sent in producer.pace(bot, bot.times):
                injected = sent

        def status() -> str:
            line = f"{producer.acked:,} clicks acknowledged, {producer.waiting:,} wait on disk"
            if attack:
                ahead = bot.times[0] - time.time()
                line += f"; attack in {ahead:.0f} s" if ahead > 0 else f"; attack: {injected:,} of {attack:,}"
            return line

        producer = ClickProducer(settings)
        console.print(f"{users:,} shoppers click {rate:g} times a second")
        if attack:
            first, last = isotime(bot.times[0]), isotime(bot.times[-1])
            console.print(f"Attack: {attack:,} clicks of {attacker} from {first} to {last}")
        try:
            async with producer:
                live = Live(console=console, refresh_per_second=1, transient=True, get_renderable=status)
                with live, suppress(TimeoutError):
                    async with asyncio.timeout(duration or None):
                        await asyncio.gather(shop(), strike())
        finally:
            console.print(f"{producer.acked:,} clicks acknowledged, {producer.waiting:,} wait on disk")
            if attack:
                minute = bot.times[0] // shoppers.MINUTE * shoppers.MINUTE
                window = f"{isotime(minute)} to {isotime(minute + shoppers.MINUTE)}"
                console.print(f"Attack: {injected:,} clicks of {attacker} sent, all in the window {window}")


def _past(clicks: Clicks) -> bool:
    return not len(clicks.times) or bool(clicks.times[-1] < time.time())
