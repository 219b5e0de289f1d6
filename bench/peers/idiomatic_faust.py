"""Faust as its manual shows it: an agent, a windowed table on RocksDB, a callback when a window closes.

A program: ``idiomatic_faust.py BOOTSTRAP TOPIC OUTPUT CLICKS PARTITIONS``.
"""

import asyncio
import sys
from typing import Any

import faust

bootstrap, topic, output = sys.argv[1:4]
clicks, partitions = map(int, sys.argv[4:])
#: How often windows are looked at, and so how long the last ones are waited for, seconds.
CLEANUP_SECONDS = 1.0

app = faust.App(
    output,
    broker=f"kafka://{bootstrap}",
    store="rocksdb://",
    datadir="faust",
    topic_partitions=partitions,
    topic_replication_factor=1,
    table_cleanup_interval=CLEANUP_SECONDS,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
    topic_disable_leader=True,
)


class Click(faust.Record, serializer="json"):  # type: ignore[misc,call-arg]
    """What is read of a click."""

    user_id: str
    timestamp: float


async def closed(key: tuple[str, tuple[float, float]], count: int) -> None:
    """Report a user over the threshold."""
    user, (start, _) = key
    if count > 50:
        await anomalies.send(value={"user_id": user, "window_start": int(start), "clicks": count})


anomalies = app.topic(output, value_serializer="json")
counts = app.Table("counts", default=int, on_window_close=closed)
windows = counts.tumbling(60.0, expires=5.0).relative_to_field(Click.timestamp)


@app.agent(app.topic(topic, value_type=Click))
async def count(stream: Any) -> None:
    """Count each click of each user."""
    counted = 0
    async for click in stream:
        if not counted:
            print("first", flush=True)
        windows[click.user_id] += 1
        counted += 1
        if counted == clicks:
            print("last", flush=True)
            await asyncio.sleep(3 * CLEANUP_SECONDS)
            print("done", flush=True)


if __name__ == "__main__":
    faust.Worker(app, loglevel="WARN", stdout=sys.stderr, redirect_stdouts=False).execute_from_commandline()
