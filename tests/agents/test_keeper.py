"""The keeper of the incidents topic, on a real Kafka, with a clock that is set by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from agents.keeper import Keeper
from clickwarden.alerts.stories import QUIET_SECONDS, Stories
from clickwarden.kafka.reader import reader, to_end
from clickwarden.settings import Settings
from clickwarden.times import epoch, isotime
from tests.anomalies import MINUTES, record

T = epoch(MINUTES[1])
SECONDS = 30.0


@pytest.fixture
async def settings(declared: Callable[[int], Awaitable[Settings]]) -> Settings:
    return await declared(3)


@asynccontextmanager
async def producing(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**settings.client_options())
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def keeping(settings: Settings, now: Callable[[], float]) -> AsyncIterator[Keeper]:
    """A keeper that writes what is due."""
    keeper = Keeper(settings, now, lambda incident: None, Stories())

    async def write() -> None:
        async with producing(settings) as producer:
            while True:
                await keeper.write(producer)
                await asyncio.sleep(0.02)

    running = [asyncio.create_task(keeper.following.follow(settings)), asyncio.create_task(write())]
    try:
        yield keeper
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def written(settings: Settings) -> list[dict[str, Any]]:
    """All records of the incidents topic, in the order of each incident's."""
    async with reader(settings, settings.incidents_topic) as consumer:
        return [json.loads(each.value) async for _, records in to_end(consumer) for each in records]


async def until(settings: Settings, is_met: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The records, as soon as they are as they should be."""
    async with asyncio.timeout(SECONDS):
        while not is_met(found := await written(settings)):  # noqa: ASYNC110 - of Kafka
            await asyncio.sleep(0.05)
        return found


async def say(
    producer: AIOKafkaProducer, settings: Settings, alert_id: str, status: str, **more: Any
) -> None:
    value = record(alert_id, status, **{"incident_id": "a"} | more)
    await producer.send_and_wait(settings.anomalies_topic, value, alert_id.encode())


async def test_an_incident_is_told_from_its_beginning_to_its_end(settings: Settings) -> None:
    clock = T
    async with producing(settings) as producer, keeping(settings, lambda: clock):
        await say(producer, settings, "a", "ongoing")
        (begun,) = await until(settings, lambda found: len(found) == 1)
        assert (begun["incident_id"], begun["status"], begun["severity"]) == ("a", "ongoing", "low")
        await say(producer, settings, "a", "closed", count_high=120)
        await say(producer, settings, "b", "ongoing", window_start=MINUTES[1], window_end=MINUTES[2])
        await say(producer, settings, "b", "closed", window_start=MINUTES[1], window_end=MINUTES[2])
        found = await until(settings, lambda found: found[-1]["windows"] == 2 and found[-1]["until"])
        assert (found[-1]["count"], found[-1]["severity"], found[-1]["ended"]) == (171, "medium", None)
        clock = epoch(MINUTES[3]) + QUIET_SECONDS
        found = await until(settings, lambda found: found[-1]["ended"])
        assert found[-1] == found[-2] | {"ended": isotime(clock)}


async def test_an_incident_is_written_at_most_once_a_second(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    async with producing(settings) as producer, keeping(settings, lambda: T) as keeper:
        await keeper.following.loaded.wait()
        began = loop.time()
        for number in range(50):
            await say(producer, settings, "a", "corrected", revision=number, count_high=51 + number)
        await say(producer, settings, "other", "closed", incident_id="other")
        found = await until(settings, lambda found: any(each["peak"] == 100 for each in found))
        assert len([each for each in found if each["incident_id"] == "a"]) <= loop.time() - began + 2


async def test_another_keeper_writes_only_what_is_not_said(settings: Settings) -> None:
    async with producing(settings) as producer:
        async with keeping(settings, lambda: T):
            await say(producer, settings, "a", "closed")
            await say(producer, settings, "b", "closed", incident_id="b", user_id="v")
            before = await until(settings, lambda found: len(found) == 2)
        await say(producer, settings, "c", "closed", incident_id="c", user_id="w")
        async with keeping(settings, lambda: T):
            found = await until(settings, lambda found: len(found) > 2)
        assert sorted(each["incident_id"] for each in found) == ["a", "b", "c"]
        assert all(each in found for each in before)


async def test_what_one_writes_that_was_taken_for_dead_is_set_right(settings: Settings) -> None:
    async with producing(settings) as producer, keeping(settings, lambda: T):
        await say(producer, settings, "a", "ongoing")
        (old,) = await until(settings, lambda found: len(found) == 1)
        await say(producer, settings, "a", "closed", count_high=120)
        found = await until(settings, lambda found: found[-1]["status"] == "closed")
        for value in (json.dumps(old).encode(), b"no incident"):
            await producer.send_and_wait(settings.incidents_topic, value, b"a")
            async with reader(settings, settings.incidents_topic) as consumer:
                async with asyncio.timeout(SECONDS):
                    last = value
                    while last == value or json.loads(last) != found[-1]:
                        async for _, records in to_end(consumer):
                            last = records[-1].value


async def test_a_record_that_is_read_again_is_no_news(settings: Settings) -> None:
    async with producing(settings) as producer, keeping(settings, lambda: T) as keeper:
        await say(producer, settings, "a", "ongoing")
        await until(settings, lambda found: len(found) == 1)
        await say(producer, settings, "a", "closed", count_high=120)
        await until(settings, lambda found: len(found) == 2 and found[-1]["status"] == "closed")
        await say(producer, settings, "b", "closed", incident_id="b", user_id="v")
        before = await until(settings, lambda found: len(found) == 3)
        async with reader(settings, settings.incidents_topic) as consumer:
            read = [each async for _, records in to_end(consumer) for each in records if each.key == b"a"]
        for each in *read, read[0]:
            keeper.read(each)
        await say(producer, settings, "c", "closed", incident_id="c", user_id="w")
        found = await until(settings, lambda found: any(each["incident_id"] == "c" for each in found))
        assert len(found) == len(before) + 1


async def test_of_somebody_elses_records_nothing_is_said(settings: Settings) -> None:
    async with producing(settings) as producer, keeping(settings, lambda: T):
        await producer.send_and_wait(settings.incidents_topic, b"{}", b"whoever")
        await producer.send_and_wait(settings.anomalies_topic, b"no anomaly", b"a")
        await producer.send_and_wait(settings.anomalies_topic, record("a", window_end="never"), b"a")
        await say(producer, settings, "b", "closed", incident_id="b")
        found = await until(settings, lambda found: len(found) == 2)
        assert {each.get("incident_id") for each in found} == {None, "b"}
