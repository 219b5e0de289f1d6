"""The verdict of ``verify --table``: the rows that a table has, and those of which its topic tells."""

import asyncio
from contextlib import nullcontext, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.progress import Progress

from app.main import settings
from clickwarden.audit.table import TableJudgement, ToldRows
from clickwarden.errors import DatabaseError, TopicMissing
from clickwarden.kafka.reader import reader
from clickwarden.sandbox import shop
from clickwarden.sandbox.postgres import Postgres
from clickwarden.sources.captured import connected, slot_of
from clickwarden.sources.rows import rows_of
from commands.progress import read
from commands.terminal import faults_table

if TYPE_CHECKING:
    from psycopg import AsyncConnection

#: So long Debezium may be behind: it says each 5 s how far it is.
BEHIND_SECONDS = 120.0

MEANINGS = {
    "missing": "rows of the table of which the topic does not tell",
    "extra": "rows of which the topic tells, and the table has them not",
    "twice": "rows that came and came again, by the topic",
    "unborn": "rows that went, by the topic, and had not come",
}


class Verdict(NamedTuple):
    """What is so, and why it may say little.

    Attributes:
        judgement: of the rows.
        slot: why the topic may not be told of everything; empty where it is.
    """

    judgement: TableJudgement
    slot: str

    @property
    def conclusive(self) -> bool:
        """Whether nothing was missing to judge by."""
        return not self.slot and not self.judgement.partial


async def verify(table: str, topic: str, database: str, slot: str, progress: Progress) -> Verdict:
    """Read the table, wait until the topic is told of all of it, and read the topic; "" is the usual one.

    Raises:
        ClickwardenError: that cannot be done.
    """
    async with connected(database or _default()) as asking:
        rows = await rows_of(asking, table)
    async with connected(database or _default()) as asking:
        trouble = await _await_told(asking, slot, rows.moment.lsn)
    told = ToldRows(rows.key, rows.moment.sees)
    begins: dict[Any, int] = {}
    with nullcontext() if topic else suppress(TopicMissing):  # Connect makes it with the first row
        async with reader(settings, topic or usual_topic(table)) as consumer:
            begins = await consumer.beginning_offsets(consumer.assignment())
            async for partition, run in read(consumer, "Changes", progress):
                for record in run:
                    told.add(partition, record)
    partial = sorted(tp.partition for tp, offset in begins.items() if offset)
    return Verdict(told.judge(rows.ids, partial), trouble)


def usual_topic(table: str) -> str:
    """Where 'register' has a table captured into, if nobody says."""
    return f"debezium.{table}"


async def _await_told(asking: "AsyncConnection", name: str, lsn: int) -> str:
    """Wait until a slot was read as far; why it never will, where that is so."""
    deadline = monotonic() + BEHIND_SECONDS
    while True:
        slot = await slot_of(asking, name)
        if slot is None:
            return f"there is no slot {name}: what was written since is told to nobody"
        if slot.status == "lost":
            return f"the slot {name} is lost: what was written since is told to nobody"
        if slot.confirmed is not None and slot.confirmed >= lsn:
            return ""
        if monotonic() > deadline:
            raise DatabaseError(
                f"the slot {name} is {slot.behind or 0:,} bytes behind after {BEHIND_SECONDS:.0f} s; "
                "'faust -A app connect status' says why"
            )
        await asyncio.sleep(0.2)


def _default() -> str:
    if settings.capture_database:
        return settings.capture_database
    running = Postgres.running_in((settings.data_dir / "postgres").absolute())
    if running is None:
        raise DatabaseError(
            "which database has the table? Say --database postgresql://ROLE@HOST:PORT/NAME, of a role that "
            "may read it, or set CLICKWARDEN_CAPTURE_DATABASE"
        )
    return running.url(shop.READER, shop.DATABASE)


def show(table: str, topic: str, verdict: Verdict, console: Console) -> None:
    """Print it for people."""
    found = verdict.judgement
    console.print(faults_table(found, MEANINGS))
    for fault, examples in found.examples.items():
        console.print(f"{fault}: {'; '.join(examples)}", style="bold red", soft_wrap=True)
    said = " + ".join(f"{count:,} {name}" for name, count in found.records.items())
    console.print(f"rows: {found.rows:,} in {table}, {found.told:,} by {topic}", soft_wrap=True)
    console.print(f"records: {said}, and {found.later:,} of what came after", soft_wrap=True)
    if found.repeated:
        console.print(f"  {found.repeated:,} rows of snapshots were told before, and count once")
    if found.vanished:
        console.print(
            f"  {found.vanished:,} rows were gone when the table was read anew, and nobody was told of their "
            "end",
            style="yellow",
            soft_wrap=True,
        )
    for partition in found.partial:
        console.print(
            f"partial: partition {partition} has lost its beginning; what is missing may have been in it",
            style="yellow",
            soft_wrap=True,
        )
    if verdict.slot:
        console.print(f"BLIND: {verdict.slot}", style="bold red", soft_wrap=True)
    if found.ok and verdict.conclusive:
        console.print("OK: the topic tells of each row once", style="bold green")
