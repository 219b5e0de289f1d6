"""The clicks agent: counts runs of records as they come."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agents.decoding import Decoding
from agents.partitions import Partitions
from app.application import app, settings
from app.transport import RunSchema
from tables.snapshots import snapshots

decoding = Decoding(
    settings.field_names, settings.max_skew, settings.seed, patience=settings.session_timeout / 2
)
partitions = Partitions(decoding)
app.source = partitions

#: Collections of a young generation this large: clicks are freed by reference
#: count, and stock thresholds cost a third of the throughput.
GC_THRESHOLD = (50_000, 20, 100)


@asynccontextmanager
async def _crash_on_error() -> AsyncIterator[None]:
    """End the worker when a step fails.

    Faust logs what its agents, callbacks and timers raise and goes on, behind
    what was not done; the next start begins with it.
    """
    try:
        yield
    except Exception as error:
        await app.crash(error)
        raise


@app.agent(app.topic(settings.clicks_topic, schema=RunSchema(), value_type=None), concurrency=1)
async def clicks(stream: Any) -> None:
    """Count the clicks of the partitions assigned to this worker."""
    async for event in stream.noack().events():
        async with _crash_on_error():
            run = event.value
            if not app.consumer.is_stale(run):
                await partitions.count(event.message.partition, run)


@snapshots.on_recover
async def recovered(*tables: Any) -> None:
    """Open the partitions assigned; the source is sought to their state next."""
    async with _crash_on_error():
        await partitions.open_assigned()


@app.on_partitions_revoked.connect
async def revoked(*args: Any, **kwargs: Any) -> None:
    """Forget the partitions; the consumer has checkpointed them."""
    partitions.drop()


@app.task
async def decode() -> None:
    """Keep the decoding process."""
    async with _crash_on_error():
        await decoding.run()


@app.task
async def beat() -> None:
    """Keep the worker's pulse."""
    await app.pulse.beat()


@app.task
async def watch_kafka() -> None:
    """Notice when Kafka is away, and when it is back."""
    async with _crash_on_error():
        await app.presence.watch()


@app.task
async def tune_garbage_collection() -> None:
    """Leave what is loaded at start-up out of every later collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


@app.timer(settings.checkpoint_interval)
async def checkpoint() -> None:
    """Make what was counted durable."""
    async with _crash_on_error():
        await partitions.checkpoint()


@app.timer(1.0)
async def close_idle() -> None:
    """Let wall clock close windows of silent partitions."""
    async with _crash_on_error():
        await partitions.close_idle()
