"""The agents of pipelines: score runs of records as they come."""

from typing import Any

from agents.scored import ScoredPartitions
from app.main import app
from app.transport import RunSchema
from clickwarden.models.pipeline import Pipeline
from tables.features import features

#: By topic.
scored: dict[str, ScoredPartitions] = {}


def _declare(pipeline: Pipeline) -> None:
    """Have the records of a pipeline's topic scored."""
    partitions = scored[pipeline.topic] = ScoredPartitions(app, pipeline, features)
    app.sources[pipeline.topic] = partitions

    async def score(stream: Any) -> None:
        """Score the records of the partitions assigned to this worker."""
        async for event in stream.noack().events():
            async with app.crash_on_error():
                if not app.consumer.is_stale(event.value):
                    await partitions.take(event.message.partition, event.value)

    topic = app.topic(pipeline.topic, schema=RunSchema(), value_type=None)
    app.agent(topic, concurrency=1, name=f"score.{pipeline.name}")(score)


async def recovered(*tables: Any) -> None:
    """Open the partitions assigned; their sources are sought to their state next."""
    async with app.crash_on_error():
        for partitions in scored.values():
            await partitions.open_assigned()


async def revoked(*args: Any, **kwargs: Any) -> None:
    """Forget the partitions; the consumer has checkpointed them."""
    for partitions in scored.values():
        partitions.drop()


async def follow() -> None:
    """Read on in the models topic."""
    await app.modelstopic.follow()


async def checkpoint() -> None:
    """Make what was scored durable."""
    async with app.crash_on_error():
        for partitions in scored.values():
            await partitions.checkpoint()


async def take_up() -> None:
    """Have every partition take up models that have changed."""
    async with app.crash_on_error():
        for partitions in scored.values():
            await partitions.take_up()


for each in app.pipelines.values():
    _declare(each)
if scored:
    features.on_recover(recovered)
    app.on_partitions_revoked.connect(revoked)
    app.companion(follow)
    app.timer(app.settings.checkpoint_interval)(checkpoint)
    app.timer(0.25)(take_up)
