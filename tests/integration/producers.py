"""Producers in processes of their own, which are killed; their settings are in the environment."""

import asyncio
import itertools
import os
import signal
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
from aiokafka import AIOKafkaProducer

from clickwarden.detection.clicks import Clicks
from clickwarden.settings import Settings
from clickwarden.sources.producer import ClickProducer

SHOPPERS = 20
CROWD = 200


def numbered(clicks: int, first: int = 0) -> Clicks:
    times = np.arange(first, first + clicks, dtype=float)
    return Clicks(
        [f"user-{number % 10}" for number in range(clicks)], ["view"] * clicks, [None] * clicks, times
    )


async def transact(moment: str) -> None:
    """Send 1,000 clicks; in the transaction of the next 5,000 the process dies, at this moment."""
    commit = AIOKafkaProducer.commit_transaction

    async def skip(*_: object) -> None:
        pass

    async def die(client: AIOKafkaProducer) -> None:
        if moment == "committed":
            await commit(client)
        os.kill(os.getpid(), signal.SIGKILL)

    async with ClickProducer(Settings()) as producer:
        await producer.send_all(numbered(1000))
        await producer.flush()
        if moment == "batches sent":
            patch.object(AIOKafkaProducer, "send_offsets_to_transaction", skip).start()
        patch.object(AIOKafkaProducer, "commit_transaction", die).start()
        await producer.send_all(numbered(5000, first=1000))


async def shop(folder: Path, life: int) -> None:
    """Shoppers click one after the other, a crowd at once; what was acknowledged is written down."""
    journal = None

    def promised(user: str, *numbers: float) -> None:
        nonlocal journal
        if journal is None:
            journal = os.open(folder / f"promised-{life}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(journal, "".join(f"{user} {number:.0f}\n" for number in numbers).encode())

    async def shopper(producer: ClickProducer, user: str) -> None:
        for number in itertools.count((100 + life) * 1_000_000):
            await producer.send(user, "view", None, number)
            promised(user, number)

    async def crowd(producer: ClickProducer, user: str) -> None:
        for first in itertools.count((100 + life) * 1_000_000, CROWD):
            numbers = np.arange(first, first + CROWD, dtype=float)
            await producer.send_all(Clicks([user] * CROWD, ["view"] * CROWD, [None] * CROWD, numbers))
            promised(user, *numbers)
            await asyncio.sleep(0.02)

    async with ClickProducer(Settings()) as producer, asyncio.TaskGroup() as group:
        for number in range(SHOPPERS):
            group.create_task(shopper(producer, f"shopper-{number}"))
        group.create_task(crowd(producer, "crowd"))
        await producer.send("first", "view", None, 100_000_000 + life)
        promised("first", 100_000_000 + life)
        await producer.flush(leaving=producer.waiting - 1)
        (folder / f"delivered-{life}").touch()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["transact", moment]:
            asyncio.run(transact(moment))
        case ["shop", folder, life]:
            asyncio.run(shop(Path(folder), int(life)))
