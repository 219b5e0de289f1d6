"""Other topics follow the clicks topic when it is given more partitions."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickwarden.errors import SettingsError
from clickwarden.kafka.additions import follow
from clickwarden.kafka.topics import administration, changelogs, declare, layout, partitions
from clickwarden.settings import Settings
from tests.site import Site


@pytest.fixture
def site(kafka: str, tmp_path: Path) -> Iterator[Site]:
    made = Site(kafka, tmp_path, partitions=3)
    yield made
    made.close()


def numbers(settings: Settings, *topics: str) -> list[int]:
    async def asked() -> list[int]:
        async with administration(settings) as admin:
            return list((await partitions(admin, list(topics))).values())

    return asyncio.run(asked())


def test_a_topic_that_exists_rules_and_those_that_go_by_its_number_follow(site: Site) -> None:
    site.create()
    settings = site.settings.model_copy(update={"partitions": 1})
    asyncio.run(declare(settings))
    clicks, rejected, late, anomalies, incidents, *single = (topic.name for topic in layout(settings))
    assert numbers(settings, clicks, rejected, late, anomalies, incidents) == [3, 3, 3, 3, 3]
    assert numbers(settings, *single) == [1, 1, 1, 1]
    site.grow(5)
    for _ in range(2):
        assert asyncio.run(follow(settings)) == 5
        logs = [topic.name for topic in changelogs(settings)]
        assert set(numbers(settings, clicks, rejected, late, *logs)) == {5}
        assert numbers(settings, anomalies, incidents) == [3, 3]


def test_a_state_of_more_partitions_than_the_topic_is_refused(site: Site) -> None:
    asyncio.run(follow(site.settings))
    site.grow(4, f"{site.settings.app_id}-snapshots-changelog")
    with pytest.raises(SettingsError, match=r"4 partitions, topic .* only 3.*another CLICKWARDEN_APP_ID"):
        asyncio.run(follow(site.settings))
