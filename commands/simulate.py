"""``faust -A app simulate``: shoppers, and an attack among them."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import dropwhile

import click
from faust.cli import option
from rich.console import Console
from rich.live import Live

from app.main import settings
from clickwarden.alerts.words import plural
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
        """Send clicks until the time is over, and say at the end what became of them."""
        console = Console(markup=False, highlight=False, soft_wrap=True)
        users = users or max(USERS, shoppers.users_for(rate))
        traffic = iter(shoppers.Shoppers(rate, users, seed, time.time()))
        next(traffic)  # fills the shop, which takes a while at a high rate
        bot = _Attack(attack, attacker, time.time()) if attack else None
        simulation = _Simulation(ClickProducer(settings), traffic, bot)
        console.print(f"{users:,} shoppers click {rate:g} times a second")
        if bot:
            console.print(bot.plan)
        try:
            async with simulation.producer:
                live = Live(
                    console=console, refresh_per_second=1, transient=True, get_renderable=simulation.status
                )
                with live, suppress(TimeoutError):
                    async with asyncio.timeout(duration or None):
                        await simulation.run()
        finally:
            console.print(simulation.acknowledged)
            if bot:
                console.print(bot.outcome)


class _Attack:
    """One user who reads page after page, and how many of its clicks are on their way."""

    def __init__(self, size: int, attacker: str, now: float) -> None:
        self._size = size
        self._attacker = attacker
        self._clicks = shoppers.attack(size, attacker, now)
        self._sent = 0

    async def strike(self, producer: ClickProducer) -> None:
        """Send the clicks, each at its time."""
        async for sent in producer.pace(self._clicks, self._clicks.times):
            self._sent = sent

    @property
    def plan(self) -> str:
        """What will be sent, in words."""
        first, last = isotime(self._clicks.times[0]), isotime(self._clicks.times[-1])
        return f"Attack: {plural(self._size, 'click')} of {self._attacker} from {first} to {last}"

    @property
    def status(self) -> str:
        """How far it is, in words."""
        ahead = self._clicks.times[0] - time.time()
        return f"attack in {ahead:.0f} s" if ahead > 0 else f"attack: {self._sent:,} of {self._size:,}"

    @property
    def outcome(self) -> str:
        """What was sent, in words."""
        minute = self._clicks.times[0] // shoppers.MINUTE * shoppers.MINUTE
        window = f"{isotime(minute)} to {isotime(minute + shoppers.MINUTE)}"
        return f"Attack: {plural(self._sent, 'click')} of {self._attacker} sent, all in the window {window}"


class _Simulation:
    """The shoppers and the attack on their way to the topic."""

    def __init__(self, producer: ClickProducer, traffic: Iterator[Clicks], attack: _Attack | None) -> None:
        self.producer = producer
        self._traffic = traffic
        self._attack = attack

    async def run(self) -> None:
        """Send all clicks, each at its time."""
        attacks = [self._attack.strike(self.producer)] if self._attack else []
        await asyncio.gather(self._shop(), *attacks)

    async def _shop(self) -> None:
        for clicks in dropwhile(_past, self._traffic):
            async for _ in self.producer.pace(clicks, clicks.times):
                pass

    @property
    def acknowledged(self) -> str:
        """What Kafka has, and what it has not, in words."""
        return f"{plural(self.producer.acked, 'click')} acknowledged, {self.producer.waiting:,} wait on disk"

    def status(self) -> str:
        """What is going on now, in words."""
        return f"{self.acknowledged}; {self._attack.status}" if self._attack else self.acknowledged


def _past(clicks: Clicks) -> bool:
    return not len(clicks.times) or bool(clicks.times[-1] < time.time())
