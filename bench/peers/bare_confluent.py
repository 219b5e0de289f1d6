"""The least that reading with confluent-kafka costs: librdkafka fetches, clicks are counted unread.

A program: ``bare_confluent.py BOOTSTRAP TOPIC OUTPUT CLICKS PARTITIONS``. Prints a line before the first
fetch, one after the last click and one when it is done, and stays until its stdin ends.
"""

import sys

from confluent_kafka import Consumer

#: Tuned: large answers, a long queue ahead of the program, and many messages a call.
OPTIONS = {
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "fetch.message.max.bytes": 4 * 1024 * 1024,
    "fetch.wait.max.ms": 20,
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": 256 * 1024,
    "check.crcs": False,
}
BATCH = 10_000


def main(bootstrap: str, topic: str, group: str, clicks: int) -> None:
    """Read the whole topic."""
    consumer = Consumer(OPTIONS | {"bootstrap.servers": bootstrap, "group.id": group})
    consumer.subscribe([topic])
    print("first", flush=True)
    counted = 0
    while counted < clicks:
        counted += len(consumer.consume(BATCH, timeout=0.1))
    print("last", flush=True)
    print("done", flush=True)
    sys.stdin.read()
    consumer.close()


if __name__ == "__main__":
    bootstrap, topic, output, clicks, _ = sys.argv[1:]
    main(bootstrap, topic, output, int(clicks))
