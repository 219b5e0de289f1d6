"""Topics of their own for tests that read and write what a worker does."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from clickwarden.kafka.topics import declare
from clickwarden.settings import Settings


@pytest.fixture
def declared(kafka: str) -> Callable[[int], Awaitable[Settings]]:
    """Creates all topics, with so many partitions of clicks; returns the settings that name them."""

    async def create(partitions: int) -> Settings:
        name = uuid4().hex
        settings = Settings(
            _env_file=None,
            broker=f"kafka://{kafka}",
            app_id=name,
            clicks_topic=f"clicks-{name}",
            anomalies_topic=f"anomalies-{name}",
            partitions=partitions,
        )
        await declare(settings)
        return settings

    return create
