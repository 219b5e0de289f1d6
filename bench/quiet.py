"""``quiet``: what the slot of a quiet table keeps of PostgreSQL's log, beside a busy table that fills it."""

import asyncio
import time
from pathlib import Path

from rich.console import Console

from bench.capture import Stack
from bench.results import at_least, at_most, report
from clickwarden.sandbox import shop
from clickwarden.sources.captured import connected, slot_of

#: Rows of the busy table in one commit, and commits a second: some 2 MB of log a second.
ROWS, PACE = 2_000, 4.0
FILL = f"INSERT INTO busy (words) SELECT repeat(md5(i::text), 4) FROM generate_series(1, {ROWS}) i"
POSITION = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
MIB = 1024 * 1024


def measure(bootstrap: str, folder: Path, seconds: int) -> bool:
    """Keep one table quiet and another busy for so long; report; whether the slot is read to the end."""
    console = Console(stderr=True, highlight=False)
    stack = Stack(bootstrap, folder)
    try:
        stack.start()
        asyncio.run(stack.capture("quiet"))
        kept, written, behind = asyncio.run(_watch(stack, seconds, console))
        asyncio.run(stack.release("quiet"))
    finally:
        stack.stop()
    report(
        "quiet",
        f"A captured table in which nothing changes for {seconds} s, beside a busy one",
        [
            {"what": "log written meanwhile", "figure": f"{written / MIB:,.0f} MiB"},
            {"what": "kept for the slot, at most", "figure": f"{max(kept) / MIB:,.1f} MiB"},
            {"what": "not read at the end", "figure": f"{behind / MIB:,.1f} MiB"},
        ],
        [
            at_most("kept for the slot, MiB", 64, max(kept) / MIB),
            at_least("log written meanwhile, MiB", 64, written / MIB),
        ],
        {"kept": max(kept), "written": written, "behind": behind},
    )
    return bool(kept)


async def _watch(stack: Stack, seconds: int, console: Console) -> tuple[list[int], int, int]:
    """Bytes kept for the slot each second, those written to the log, and those not read at the end."""
    kept: list[int] = []
    behind = 0
    async with (
        connected(stack.postgres.url(shop.OWNER, shop.DATABASE)) as busy,
        connected(stack.postgres.url(shop.READER, shop.DATABASE)) as reader,
    ):
        await busy.execute("CREATE TABLE busy (words text)")
        (begin,) = await (await reader.execute(POSITION)).fetchone() or (0,)
        began = time.monotonic()
        commits = 0
        while (now := time.monotonic() - began) < seconds:
            await busy.execute(FILL)
            commits += 1
            if now >= len(kept):
                slot = await slot_of(reader, "quiet")
                if slot is None or slot.kept is None:
                    raise RuntimeError(f"the slot is lost after {now:.0f} s: {slot}")
                kept.append(slot.kept)
                behind = slot.behind or 0
                if not len(kept) % 60:
                    console.print(f"{now:.0f} s: {slot.kept / MIB:.1f} MiB kept", style="dim")
            await asyncio.sleep(max(0.0, began + commits / PACE - time.monotonic()))
        (end,) = await (await reader.execute(POSITION)).fetchone() or (0,)
    return kept, end - begin, behind
