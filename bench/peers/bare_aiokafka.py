"""The least that reading with aiokafka costs: fetch, unpack, count; nothing is decoded.

A program: ``bare_aiokafka.py BOOTSTRAP TOPIC OUTPUT CLICKS PARTITIONS``. Prints a line before the first
fetch, one after the last click and one when it is done, and stays until its stdin ends.
"""

import asyncio
import sys

import uvloop
from aiokafka import AIOKafkaConsumer

FETCH_BYTES = 1024 * 1024
FETCH_WAIT_MS = 20


async def main(bootstrap: str, topic: str, clicks: int) -> None:
    """Read the whole topic."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    async with consumer:
        print("first", flush=True)
        counted = 0
        while counted < clicks:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                counted += len(records)
        print("last", flush=True)
        print("done", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    bootstrap, topic, _, clicks, _ = sys.argv[1:]
    uvloop.run(main(bootstrap, topic, int(clicks)))
