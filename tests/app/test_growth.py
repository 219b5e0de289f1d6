"""The number of partitions, as every worker watches it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.growth import Growth
from clickwarden.errors import SettingsError
from tests.site import Site


@pytest.fixture
def site(kafka: str, tmp_path: Path) -> Iterator[Site]:
    made = Site(kafka, tmp_path, partitions=2)
    yield made
    made.close()


class Group:
    """By how many partitions a worker was assigned some."""

    def __init__(self, assigned: int) -> None:
        self.assigned = assigned
        self.asked = asyncio.Event()

    async def rejoin(self) -> None:
        self.asked.set()


async def test_a_worker_joins_again_for_partitions_that_are_new_and_refuses_fewer(site: Site) -> None:
    growth, group = Growth(site.settings), Group(2)
    await growth.follow()
    watching = asyncio.create_task(growth.watch(lambda: group.assigned, group.rejoin))
    await asyncio.to_thread(site.grow, 4)
    async with asyncio.timeout(30):
        await group.asked.wait()
    assert growth.partitions == 4
    group.assigned = 4
    site.settings = site.settings.model_copy(update={"partitions": 1})
    await asyncio.to_thread(site.recreate)
    with pytest.raises(SettingsError, match="only 1"):
        async with asyncio.timeout(30):
            await watching


async def test_a_worker_that_was_assigned_less_than_it_knows_of_joins_again(site: Site) -> None:
    growth, group = Growth(site.settings), Group(1)
    await growth.follow()
    watching = asyncio.create_task(growth.watch(lambda: group.assigned, group.rejoin))
    async with asyncio.timeout(30):
        await group.asked.wait()
    watching.cancel()
