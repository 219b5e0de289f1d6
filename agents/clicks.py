"""The clicks agent: counts runs of records as they come."""

from typing import Any

from agents.decoding import Decoding
from agents.partitions import Partitions
from app.main import app, settings
from app.transport import RunSchema
from clickwarden.errors import SchemasMissing
from clickwarden.formats.choice import decoder_of
from clickwarden.kafka.registry import Registry
from tables.activity import activity
from tables.snapshots import snapshots

decoding = Decoding(decoder_of(settings), settings.seed, patience=settings.session_timeout / 2)
registry = Registry(settings)
partitions = Partitions(app, snapshots, activity, decoding)
app.sources[settings.clicks_topic] = partitions


@app.agent(app.topic(settings.clicks_topic, schema=RunSchema(), value_type=None), concurrency=1)
async def clicks(stream: Any) -> None:
    """Count the clicks of the partitions assigned to this worker."""
    async for event in stream.noack().events():
        async with app.crash_on_error():
            run = event.value
            while not app.consumer.is_stale(run):
                try:
                    await partitions.take(event.message.partition, run)
                except SchemasMissing as missing:
                    # Not while it is counted: a partition that waits can be checkpointed, and revoked.
                    run.answers = {**run.answers, **await registry.answers(missing.newest, app.clock.now)}
                    partitions.prepare(run)
                else:
                    break


@snapshots.on_recover
async def recovered(*tables: Any) -> None:
    """Open the partitions assigned; the source is sought to their state next."""
    async with app.crash_on_error():
        await decoding.started()
        await partitions.open_assigned()


@app.on_partitions_revoked.connect
async def revoked(*args: Any, **kwargs: Any) -> None:
    """Forget the partitions; the consumer has checkpointed them."""
    partitions.drop()


@app.companion
async def decode() -> None:
    """Keep the decoding process, which starts while the tables are recovered."""
    async with app.crash_on_error():
        await decoding.run()


@app.timer(settings.checkpoint_interval)
async def checkpoint() -> None:
    """Make what was counted durable."""
    async with app.crash_on_error():
        await partitions.checkpoint()


@app.timer(0.25)
async def close_idle() -> None:
    """Let wall clock close windows of silent partitions."""
    async with app.crash_on_error():
        await partitions.close_idle()
