"""The least that reading with aiokafka costs: fetch, unpack, count; nothing is decoded.

A program: ``bare.py BOOTSTRAP TOPIC CLICKS``. Prints a line before the
first fetch and one after the last click, and stays until it is stopped.
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
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
