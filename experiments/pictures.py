"""Take the README's pictures of the page under attack: a broker, a worker, shoppers, three attacks, Chromium.

Takes three to four minutes and writes docs/img/page-*.png.
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import click
import numpy as np
from playwright.sync_api import expect
from rich.console import Console

from clickwarden.detection.clicks import Clicks
from clickwarden.sandbox import shoppers
from clickwarden.sandbox.broker import Broker
from clickwarden.settings import Settings
from clickwarden.sources.producer import ClickProducer
from experiments.chromium import chromium
from experiments.deployment import Deployment

IMAGES = Path(__file__).parents[1] / "docs" / "img"
#: Width of each picture, CSS pixels, and the colour scheme.
PICTURES: dict[str, tuple[int, Literal["light", "dark"]]] = {
    "page-light": (1280, "light"),
    "page-dark": (1280, "dark"),
    "page-phone": (375, "light"),
}
HEIGHT = 1180

CLICKS = 10_000
ATTACKER = "203.0.113.9"
#: Who breaks a rule more quietly: what, every so many seconds.
QUIETER = {"198.51.100.23": ("login_failed", 1.25), "shopper-1729": ("view", 0.95)}
#: Shoppers alone, then the quieter attacks: seconds before the loud one.
LEAD = 120.0
PATIENCE = 270_000  # milliseconds


def steady(user: str, event: str, every: float, begin: float) -> Clicks:
    """One user who clicks at one pace for five minutes, on three products."""
    times = begin + np.arange(0, 300, every)
    products = [f"product-{1 + number % 3}" for number in range(len(times))]
    return Clicks([user] * len(times), [event] * len(times), list(products), times)


def traffic(begin: float) -> Iterator[Iterator[Clicks]]:
    """Shoppers, and the attacks, each an iterator of clicks in the order of time."""
    crowd = iter(shoppers.Shoppers(300.0, 4_000, 1, begin))
    yield dropwhile(lambda clicks: not len(clicks.times) or clicks.times[-1] < time.time(), crowd)
    for user, (event, every) in QUIETER.items():
        yield iter([steady(user, event, every, begin + LEAD / 2)])
    yield iter([shoppers.attack(CLICKS, ATTACKER, begin + LEAD)])


async def click_on(settings: Settings) -> None:
    """Send all of it in real time, until cancelled."""

    async def send(source: Iterator[Clicks]) -> None:
        for clicks in source:
            async for _ in producer.pace(clicks, clicks.times):
                pass

    async with ClickProducer(settings) as producer:
        await asyncio.gather(*map(send, traffic(time.time())))


def take(address: str) -> list[Path]:
    """Open the page in all sizes, wait until it shows all attacks, and take the pictures."""
    with chromium() as browser:
        pages = {
            name: browser.new_page(
                viewport={"width": width, "height": HEIGHT},
                color_scheme=scheme,
                device_scale_factor=2,
                timezone_id="UTC",
            )
            for name, (width, scheme) in PICTURES.items()
        }
        for page in pages.values():
            page.goto(address)
        for name, page in pages.items():
            rows = page.locator("#incidents > li")
            for text in (f"{CLICKS:,}", *QUIETER):
                expect(rows.filter(has_text=text).first).to_be_visible(timeout=PATIENCE)
            page.screenshot(path=IMAGES / f"{name}.png")
    return [IMAGES / f"{name}.png" for name in PICTURES]


async def pictures(deployment: Deployment) -> list[Path]:
    """Take the pictures of a worker under attack."""
    await deployment.declare()
    with deployment.worker():
        await deployment.answers()
        clicking = asyncio.create_task(click_on(deployment.settings))
        taken = await asyncio.to_thread(take, f"http://127.0.0.1:{deployment.settings.web_port}/")
        clicking.cancel()
        await asyncio.wait([clicking])
    return taken


@click.command(help=__doc__)
def main() -> None:
    """Take the pictures."""
    console = Console(stderr=True, highlight=False)
    # While the last transaction is being completed Kafka refuses the next, and aiokafka says so each time.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    with (
        TemporaryDirectory(prefix="clickwarden-") as name,
        console.status("Waiting for the attacks"),
        Broker(Path(name) / "kafka", port=0) as kafka,
    ):
        taken = asyncio.run(pictures(Deployment(kafka.bootstrap, Path(name) / "pictures")))
    for path in taken:
        console.print(f"{path.name} {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
