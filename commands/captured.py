"""The demo's shop: PostgreSQL, Kafka Connect that captures it, a model, customers and a fraudster."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from time import monotonic, time

import msgspec
from rich.console import Console

from app.main import settings
from clickwarden import zstd
from clickwarden.errors import DatabaseError, SettingsError
from clickwarden.sandbox import connect, shop
from clickwarden.sandbox.connect import Connect
from clickwarden.sandbox.orders import COLUMNS, Orders
from clickwarden.sandbox.postgres import Postgres
from clickwarden.settings import PREFIX

PIPELINE = Path("pipelines", "fraud")
TOPIC = "debezium.public.transactions"
TABLE = "public.transactions"
#: Orders a second of customers; the card is stolen so long after the shop has opened, and used so often then.
PACE, STOLEN_AFTER, STOLEN_ORDERS = 2.0, 5.0, 15


def pipeline(folder: Path) -> tuple[Path, Path]:
    """A copy of the pipeline of card transactions, of the captured table; and the sample to learn from.

    Raises:
        SettingsError: it is not here.
    """
    if not (PIPELINE / "pipeline.toml").exists():
        raise SettingsError(f"there is no {PIPELINE} here: run it in the checkout, as make demo-capture does")
    made = folder / "fraud"
    made.mkdir()
    lines = (PIPELINE / "pipeline.toml").read_text().splitlines()
    topic = f'topic = "{TOPIC}"\nformat = "debezium"'
    text = "\n".join(topic if line.startswith("topic =") else line for line in lines)
    (made / "pipeline.toml").write_text(text)
    return made, Path(shutil.copy(PIPELINE / "sample.ndjson.zst", folder))


@asynccontextmanager
async def running(
    folder: Path, bootstrap: str, learning: Awaitable[None], console: Console
) -> AsyncIterator[tuple[Postgres, Connect]]:
    """PostgreSQL with a shop, and Kafka Connect, once a model has learnt.

    They are in ``folder``, that of the worker's data, where commands find them.
    """
    database = Postgres(folder / "postgres", port=0)
    worker = Connect(folder / "connect", bootstrap, group=f"{settings.app_id}-connect", port=0)
    connect.jars()
    async with AsyncExitStack() as stack:
        for server in (database, worker):
            stack.push_async_callback(asyncio.to_thread, server.stop)
        console.print(f"Starting PostgreSQL, and {connect.NAME} with Debezium {connect.DEBEZIUM}")
        starting = (asyncio.to_thread(server.start) for server in (database, worker))
        await asyncio.gather(*starting, learning)
        await shop.open_at(database)
        yield database, worker


def watching(database: Postgres, worker: Connect) -> dict[str, str]:
    """What has the worker watch over them, as who reads the table."""
    return {
        f"{PREFIX}CONNECT_URL": worker.url,
        f"{PREFIX}CAPTURE_DATABASE": database.address(shop.READER, shop.DATABASE),
        "PGPASSFILE": str(database.passwords),
    }


def orders(sample: Path) -> Orders:
    """The shop's, of a sample."""
    lines = zstd.decompress(sample.read_bytes()).splitlines()
    return Orders([msgspec.json.decode(line) for line in lines], time(), Random())


async def trade(database: Postgres, ordered: Orders, duration: float, console: Console) -> None:
    """Write what was ordered before, and then what is ordered now, for so long; 0: for ever.

    Raises:
        DatabaseError: PostgreSQL does not take it.
    """
    import psycopg

    try:
        await _write(database, ordered, duration, console)
    except psycopg.Error as error:
        database.check_alive()
        raise DatabaseError(f"PostgreSQL takes no orders any more: {str(error).strip()}") from error


async def _write(database: Postgres, ordered: Orders, duration: float, console: Console) -> None:
    import psycopg

    columns = ", ".join(COLUMNS)
    insert = f"INSERT INTO transactions ({columns}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
    async with await psycopg.AsyncConnection.connect(
        database.url(shop.OWNER, shop.DATABASE), autocommit=True
    ) as connection:
        past = ordered.past()
        async with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY transactions ({columns}) FROM STDIN") as copy,
        ):
            for row in past:
                await copy.write_row(row)
        console.print(f"The shop has {len(past):,} orders of the last day, and customers order on")
        began, stolen = monotonic(), 0
        while not duration or monotonic() - began < duration:
            await connection.execute(insert, ordered.usual(time()))
            if monotonic() - began > STOLEN_AFTER and stolen < STOLEN_ORDERS:
                if not stolen:
                    console.print(f"Now somebody shops with {ordered.victim}, a card that is not theirs")
                await connection.execute(insert, ordered.stolen(time()))
                stolen += 1
            await asyncio.sleep(1 / PACE)
