"""What replay, simulate and a shop's own producer put into the clicks topic."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from aiokafka import ConsumerRecord
from aiokafka.admin import NewPartitions
from aiokafka.partitioner import DefaultPartitioner

from clickwarden.detection.clicks import Clicks
from clickwarden.errors import ClickError
from clickwarden.formats.recognition import Reading
from clickwarden.kafka import topics
from clickwarden.kafka.reader import reader, to_end
from clickwarden.sandbox.broker import Broker
from clickwarden.settings import Settings
from clickwarden.sources import files
from clickwarden.sources.producer import ClickProducer

SAMPLE = Path(__file__).parents[2] / "examples" / "access.log"
NOWHERE = "127.0.0.1:9"


def own_topics(bootstrap: str, folder: Path, **more: Any) -> Settings:
    name = uuid4().hex[:8]
    return Settings(
        broker=f"kafka://{bootstrap}",
        clicks_topic=f"c-{name}",
        anomalies_topic=f"a-{name}",
        data_dir=folder / "data",
        **more,
    )


@contextmanager
def command(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    names = {"broker", "clicks_topic", "anomalies_topic", "data_dir"}
    environment = {f"CLICKWARDEN_{name.upper()}": str(getattr(settings, name)) for name in names}
    with subprocess.Popen(
        [sys.executable, "-m", "faust", "-A", "app", *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def everything(settings: Settings) -> list[ConsumerRecord]:
    async with reader(settings, settings.clicks_topic) as consumer:
        return [record async for _, run in to_end(consumer) for record in run]


def numbered(clicks: int, users: int, first: int = 0) -> Clicks:
    """Clicks whose times count up from ``first``."""
    return Clicks(
        users=[f"user-{number % users}" for number in range(clicks)],
        events=["view"] * clicks,
        products=[None] * clicks,
        times=np.arange(first, first + clicks, dtype=float),
    )


def order(records: list[ConsumerRecord]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    for record in records:
        click = json.loads(record.value)
        times.setdefault(click["user_id"], []).append(click["timestamp"])
    return times


async def test_replay_puts_the_log_into_the_topic_as_it_is(kafka: str, tmp_path: Path) -> None:
    settings = own_topics(kafka, tmp_path)
    with command(settings, "replay", "--everything", str(SAMPLE)) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "5,000 clicks acknowledged, 0 wait on disk, 0 lines skipped" in output
    assert "2015-05-17T10:05:00Z to 2015-05-19T03:05:59Z" in output

    records = await everything(settings)
    found = Counter(json.dumps(json.loads(record.value), sort_keys=True) for record in records)
    expected: Counter[str] = Counter()
    for block in files.read(SAMPLE, settings, Reading(everything=True)):
        c = block.clicks
        requests = c.requests or []
        columns = c.users, c.events, c.products, c.times.tolist(), requests
        for user, event, product, moment, (method, status) in zip(*columns, strict=True):
            click = {"user_id": user, "event": event, "timestamp": moment, "product_id": product}
            expected[json.dumps(click | {"method": method, "status": status}, sort_keys=True)] += 1
    assert found == expected
    now = time.time() * 1000
    partitions = list(range(settings.partitions))
    for record in records:
        assert record.partition == DefaultPartitioner()(record.key, partitions, partitions)
        assert record.key.decode() == json.loads(record.value)["user_id"]
        assert now - 60_000 < record.timestamp <= now


async def test_speed_paces_by_event_time(kafka: str, tmp_path: Path) -> None:
    file = tmp_path / "clicks.ndjson"
    file.write_text(
        "".join(
            f'{{"user_id":"u","event":"view","timestamp":{at}}}\n' for at in (1_600_000_000, 1_600_000_100)
        )
    )
    settings = own_topics(kafka, tmp_path)
    began = time.time()
    with command(settings, "replay", str(file), "--speed", "10") as process:
        output, _ = process.communicate(timeout=60)
    first, second = (record.timestamp / 1000 for record in await everything(settings))
    assert first < second, output
    assert second - began >= 10, output


async def test_replay_puts_a_table_and_a_log_that_grows_into_the_topic(kafka: str, tmp_path: Path) -> None:
    settings = own_topics(kafka, tmp_path)
    (tmp_path / "clicks.csv").write_text("uid,what,at,sku\nann,view,2015-05-18 08:05:43,shoes\n")
    named = ("--user", "uid", "--event", "what", "--time", "at", "--product", "sku")
    with command(settings, "replay", str(tmp_path), *named) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    (record,) = await everything(settings)
    assert json.loads(record.value) == {
        "user_id": "ann",
        "event": "view",
        "product_id": "shoes",
        "timestamp": 1431936343.0,
    }

    log = tmp_path / "access.log"
    line = '203.0.113.7 - - [18/May/2015:08:05:43 +0000] "GET /p/{} HTTP/1.1" 200 17 "-" "-"\n'
    paths: list[str] = []
    with command(settings, "replay", "--follow", str(log)) as process:
        log.write_text(line.format(1) + line.format(2)[:30])
        async with asyncio.timeout(60), reader(settings, settings.clicks_topic) as consumer:
            while len(paths) < 3:
                runs = (await consumer.getmany(timeout_ms=1000)).values()
                values = [json.loads(record.value) for run in runs for record in run]
                paths += [click["product_id"] for click in values if click["user_id"] == "203.0.113.7"]
                if len(paths) == 1:
                    with log.open("a") as old:
                        log.rename(tmp_path / "access.log.1")
                        log.write_text(line.format(3))
                        old.write(line.format(2)[30:])
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert sorted(paths) == ["/p/1", "/p/2", "/p/3"]
    assert "3 clicks acknowledged, 0 wait on disk, 0 lines skipped" in output


async def test_simulate_injects_exactly_what_it_says(kafka: str, tmp_path: Path) -> None:
    settings = own_topics(kafka, tmp_path)
    injected: list[ConsumerRecord] = []
    with command(settings, "simulate", "--attack", "300", "--attacker", "eve") as process:
        await topics.declare(settings)
        async with asyncio.timeout(90), reader(settings, settings.clicks_topic) as consumer:
            while len(injected) < 300:
                runs = (await consumer.getmany(timeout_ms=1000)).values()
                injected += [record for run in runs for record in run if record.key == b"eve"]
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    window = re.search(r"Attack: 300 clicks of eve sent, all in the window (\S+) to", output)
    assert window, output
    assert re.search(r"[\d,]+ clicks acknowledged, 0 wait on disk", output)
    times = [json.loads(record.value)["timestamp"] for record in injected]
    minute = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime(times[0]))
    assert window[1] == minute
    assert {moment // 60 for moment in times} == {times[0] // 60}
    for record, moment in zip(injected, times, strict=True):
        assert 0 <= record.timestamp / 1000 - moment < 5


def test_ctrl_c_with_kafka_away_says_what_waits_on_disk(tmp_path: Path) -> None:
    lines = []
    with command(own_topics(NOWHERE, tmp_path), "simulate", "--attack", "0") as process:
        assert process.stdout
        for line in process.stdout:
            lines.append(line)
            if "acknowledged nothing" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    output = "".join(lines)
    assert "Kafka does not answer" in output
    assert re.search(r"^0 clicks acknowledged, [1-9][\d,]* wait on disk", output, re.MULTILINE)
    assert "Traceback" not in output


async def test_a_killed_broker_costs_no_click_and_no_order(tmp_path: Path) -> None:
    with Broker(tmp_path, port=0) as broker:
        settings = own_topics(broker.bootstrap, tmp_path)
        async with ClickProducer(settings) as producer:
            await producer.send_all(numbered(20_000, 100))
            await producer.flush()
            broker.kill()
            await producer.send_all(numbered(20_000, 100, first=20_000))
            assert producer.waiting > 0
            await asyncio.to_thread(broker.start)
            await producer.send_all(numbered(20_000, 100, first=40_000))
            await producer.flush()
            assert (producer.sent, producer.acked) == (60_000, 60_000)
        users = order(await everything(settings))
    assert users == {f"user-{n}": [float(t) for t in range(n, 60_000, 100)] for n in range(100)}


async def test_it_uses_as_many_partitions_as_the_topic_has_also_when_it_is_given_more(
    kafka: str, tmp_path: Path
) -> None:
    settings = own_topics(kafka, tmp_path)
    await topics.declare(settings)
    async with ClickProducer(settings.model_copy(update={"partitions": 1})) as producer:
        await producer.send_all(numbered(1000, 100))
        await producer.flush()
    assert {record.partition for record in await everything(settings)} == set(range(settings.partitions))
    async with ClickProducer(settings) as producer:
        await producer.send_all(numbered(100, 100))
        async with topics.administration(settings) as admin:
            number = settings.partitions + 2
            await admin.create_partitions({settings.clicks_topic: NewPartitions(number)})
        async with asyncio.timeout(30):
            while {record.partition for record in await everything(settings)} != set(range(number)):
                await producer.send_all(numbered(100, 100))
                await producer.flush()


async def test_fields_go_by_the_names_of_the_settings(kafka: str, tmp_path: Path) -> None:
    settings = own_topics(kafka, tmp_path, field_user_id="uid", field_timestamp="ts")
    async with ClickProducer(settings) as producer:
        await producer.send("u", "view", "p", 1431936343)
        await producer.send("u", "login", None, 1431936344.5)
    assert [json.loads(record.value) for record in await everything(settings)] == [
        {"uid": "u", "event": "view", "ts": 1431936343.0, "product_id": "p"},
        {"uid": "u", "event": "login", "ts": 1431936344.5},
    ]


@pytest.mark.parametrize(
    ("click", "reason"),
    [
        (("", "view", None, 1.0), "empty_user_id"),
        (("x" * 257, "view", None, 1.0), "huge_user_id"),
        (("u", "x" * 65, None, 1.0), "huge_event"),
        (("u", "view", "x" * 10_000, 1.0), "wrong_field"),
        (("u", "view", None, float("nan")), "bad_timestamp"),
    ],
)
async def test_what_the_worker_would_reject_is_not_sent(
    click: tuple[str, str, str | None, float], reason: str, tmp_path: Path
) -> None:
    async with ClickProducer(own_topics(NOWHERE, tmp_path)) as producer:
        with pytest.raises(ClickError, match=reason):
            await producer.send(*click)
        assert producer.sent == 0
