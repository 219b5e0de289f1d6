"""Quix Streams: a tumbling window of its own, closed as the partition's time moves on.

A program: ``quix_streams.py BOOTSTRAP TOPIC OUTPUT CLICKS PARTITIONS``.
"""

import sys
from pathlib import Path
from typing import Any

from quixstreams import Application


def event_time(click: Any, headers: Any, timestamp: float, timestamp_type: Any) -> int:
    """Epoch milliseconds."""
    return int(click["timestamp"] * 1000)


def main(bootstrap: str, topic: str, output: str, clicks: int) -> None:
    """Count the whole topic."""
    counted = 0

    def processed(topic: str, partition: int, offset: int) -> None:
        nonlocal counted
        counted += 1
        if counted == 1:
            print("first", flush=True)
        if counted == clicks:
            print("last", flush=True)
            app.stop()

    app = Application(
        bootstrap,
        consumer_group=output,
        auto_offset_reset="earliest",
        on_message_processed=processed,
        state_dir=Path("state"),
    )
    source = app.topic(topic, key_deserializer="str", timestamp_extractor=event_time)
    anomalies = app.topic(output)
    counts = app.dataframe(source).tumbling_window(60_000, grace_ms=5_000).count().final("partition")
    over = counts[counts["value"] > 50]
    over = over.apply(
        lambda window, user, *_: {
            "user_id": user,
            "window_start": window["start"] // 1000,
            "clicks": window["value"],
        },
        metadata=True,
    )
    over.to_topic(anomalies)
    app.run()
    print("done", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    bootstrap, topic, output, clicks, _ = sys.argv[1:]
    main(bootstrap, topic, output, int(clicks))
