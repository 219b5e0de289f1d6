"""``verify`` and ``alerts`` on topics filled by hand."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from clickwarden.detection.anomaly import Anomaly, alert_id
from clickwarden.kafka.topics import declare
from clickwarden.sandbox.broker import Broker
from clickwarden.settings import Settings
from clickwarden.times import isotime

T = 1_600_000_020  # start of a window of 60 s

RULES = """
[[rule]]
name = "bot"
window = 60
threshold = 50
"""


@pytest.fixture
async def settings(kafka: str, tmp_path: Path) -> Settings:
    """Fresh topics of two partitions, and one rule."""
    (tmp_path / "rules.toml").write_text(RULES)
    name = uuid4().hex
    settings = Settings(
        broker=f"kafka://{kafka}",
        clicks_topic=f"clicks-{name}",
        anomalies_topic=f"anomalies-{name}",
        partitions=2,
        rules=tmp_path / "rules.toml",
    )
    await declare(settings)
    return settings


@pytest.fixture
async def producer(settings: Settings) -> Any:
    async with AIOKafkaProducer(**settings.client_options()) as producer:
        yield producer


def command(settings: Settings, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "faust", "-A", "app", *arguments]


def environment(settings: Settings) -> dict[str, str]:
    names = ("broker", "clicks_topic", "anomalies_topic", "partitions", "rules")
    given = {f"CLICKWARDEN_{name.upper()}": str(getattr(settings, name)) for name in names}
    others = {name: value for name, value in os.environ.items() if not name.startswith("CLICKWARDEN_")}
    return others | given | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}


def faust(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(settings, *arguments), env=environment(settings), capture_output=True, text=True, timeout=60
    )


def verify(settings: Settings, code: int) -> dict[str, Any]:
    """The numbers of ``verify --json``, which must end with the code."""
    done = faust(settings, "verify", "--json")
    assert done.returncode == code, done.stderr
    numbers: dict[str, Any] = json.loads(done.stdout)
    return numbers


async def click(
    producer: AIOKafkaProducer, topic: str, partition: int, user: str, time: float, count: int = 1
) -> None:
    value = json.dumps({"user_id": user, "event": "view", "timestamp": time}).encode()
    for _ in range(count):
        await producer.send(topic, value, partition=partition)
    await producer.flush()


async def report(
    producer: AIOKafkaProducer,
    topic: str,
    user: str,
    count: int,
    status: str = "closed",
    partition: int = 0,
    **fields: Any,
) -> None:
    given: dict[str, Any] = {
        "alert_id": alert_id("bot", user, T),
        "rule": "bot",
        "status": status,
        "user_id": user,
        "window_start": isotime(T),
        "window_end": isotime(T + 60),
        "count": count,
        "count_low": count,
        "count_high": count,
        "threshold": 50,
        "first_seen": isotime(T),
        "last_seen": isotime(T + 1),
        "events": {"view": count},
        "distinct_products": 0,
        "category": "bot",
        "owasp": "OAT-003",
        "reasons": ["60 views"],
        "partition": partition,
    }
    anomaly = Anomaly(**given | fields)
    await producer.send_and_wait(topic, msgspec.json.encode(anomaly), key=anomaly.alert_id.encode())


@pytest.fixture
async def attacked(settings: Settings, producer: AIOKafkaProducer) -> Settings:
    """eve over the threshold and closed in partition 0, mallory still open in 1, and what is no click."""
    clicks = settings.clicks_topic
    await click(producer, clicks, 0, "ann", T, 50)
    await click(producer, clicks, 0, "eve", T, 60)
    await producer.send_and_wait(clicks, b"{", partition=0)
    await producer.send_and_wait(clicks, None, key=b"tombstone", partition=0)
    await click(producer, clicks, 0, "ann", T + 65)
    await click(producer, clicks, 0, "ann", T)  # late by the watermark
    await click(producer, clicks, 1, "mallory", T, 52)
    await click(producer, clicks, 1, "mallory", T + 1)  # late by the wall clock: offset 52
    headers = {"topic": clicks, "partition": "1", "offset": "52", "reason": "late", "rules": "bot"}
    await producer.send_and_wait(
        settings.late_topic, b"", headers=[(name, value.encode()) for name, value in headers.items()]
    )
    await report(producer, settings.anomalies_topic, "eve", 51, "ongoing")
    await report(producer, settings.anomalies_topic, "eve", 60)
    await report(producer, settings.anomalies_topic, "mallory", 51, "ongoing", partition=1)
    return settings


async def test_verify_accounts_for_every_click_and_finds_no_fault(attacked: Settings) -> None:
    numbers = verify(attacked, 0)
    assert numbers["ok"]
    assert numbers["accounted"]
    assert {
        name: numbers[name] for name in ("produced", "accepted", "rejected", "late", "excused", "ignored")
    } == {
        "produced": 167,
        "accepted": 163,
        "rejected": 1,
        "late": 2,
        "excused": 1,
        "ignored": 1,
    }
    assert (numbers["expected"], numbers["reported"], numbers["closed"], numbers["exact"]) == (2, 2, 1, 1)


async def test_verify_finds_each_fault(attacked: Settings, producer: AIOKafkaProducer) -> None:
    topic = attacked.anomalies_topic
    await click(producer, attacked.clicks_topic, 0, "bob", T + 120, 51)
    await report(producer, topic, "ann", 51)
    await report(producer, topic, "eve", 60, reasons=["61 views"])
    await report(producer, topic, "mallory", 60, partition=1)
    numbers = verify(attacked, 1)
    assert {name: numbers[name] for name in ("missing", "invented", "conflicting", "interval_misses")} == {
        "missing": 1,
        "invented": 1,
        "conflicting": 1,
        "interval_misses": 1,
    }
    done = faust(attacked, "verify")
    assert done.returncode == 1
    for text in ("'bob'", "'ann'", "'eve'", "'mallory'", "expected 52 clicks, found 60 to 60 (closed)"):
        assert text in done.stdout
    assert "OK" not in done.stdout


async def test_verify_says_what_retention_took(attacked: Settings) -> None:
    admin = AIOKafkaAdminClient(**attacked.client_options())
    await admin.start()
    await admin.delete_records({TopicPartition(attacked.clicks_topic, 0): RecordsToDelete(before_offset=60)})
    await admin.close()
    done = faust(attacked, "verify")
    assert done.returncode == 0, done.stdout
    assert "partition 0 begins at offset 60" in done.stdout
    assert "anomalies reported of such windows: 1" in done.stdout
    assert "OK" in done.stdout


async def test_verify_reads_what_transactions_committed_and_no_more(settings: Settings) -> None:
    options = settings.client_options() | {"transactional_id": uuid4().hex}
    async with AIOKafkaProducer(**options) as producer:
        await producer.begin_transaction()
        await click(producer, settings.clicks_topic, 0, "ann", T, 51)
        await producer.abort_transaction()
        async with producer.transaction():
            await click(producer, settings.clicks_topic, 0, "eve", T, 51)
    numbers = verify(settings, 1)
    assert (numbers["accepted"], numbers["missing"], numbers["accounted"]) == (51, 1, False)


async def test_verify_says_why_it_could_not(settings: Settings) -> None:
    absent = faust(settings.model_copy(update={"clicks_topic": "absent"}), "verify")
    assert (absent.returncode, absent.stdout) == (2, "")
    assert "has no topic 'absent'" in absent.stderr
    away = faust(settings.model_copy(update={"broker": "kafka://127.0.0.1:1"}), "verify", "--json")
    assert (away.returncode, away.stdout) == (2, "")
    assert "CLICKWARDEN_BROKER=kafka://127.0.0.1:1: Kafka does not answer" in away.stderr


async def test_alerts_shows_each_anomaly_once_and_obeys_no_user_id(
    settings: Settings, producer: AIOKafkaProducer
) -> None:
    assert faust(settings, "alerts").stdout.strip() == "no anomalies yet"
    topic = settings.anomalies_topic
    await report(producer, topic, "eve", 51, "ongoing")
    await report(producer, topic, "[red]\x1b[2J\u202e", 61, count_low=55)
    await report(producer, topic, "eve", 60)
    await report(producer, topic, "eve", 51, "ongoing")
    done = faust(settings, "alerts")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if "bot" in line]
    assert ["closed" in row for row in rows] == [True, True]
    assert r"[red]\x1b[2J\u202e" in rows[0]
    assert "61 (55–61)" in rows[0]
    assert "eve" in rows[1]


@contextmanager
def follow(settings: Settings) -> Iterator[Callable[[str], str]]:
    """``alerts --follow``; called with a text, waits for the line that holds it."""
    process = subprocess.Popen(
        command(settings, "alerts", "--follow"),
        env=environment(settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = threading.Timer(60, process.kill)
    deadline.start()
    assert process.stdout is not None
    lines = process.stdout
    try:
        yield lambda text: next((line for line in lines if text in line), "")
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
        lines.close()
        deadline.cancel()
    assert code == 130


async def test_alerts_follows_until_it_is_interrupted(settings: Settings, producer: AIOKafkaProducer) -> None:
    with follow(settings) as line:
        assert line("no anomalies yet")
        await report(producer, settings.anomalies_topic, "eve", 51, "ongoing")
        assert "eve" in line("ongoing")
        await report(producer, settings.anomalies_topic, "eve", 60)
        assert "60" in line("closed")


async def test_alerts_outlives_kafka(tmp_path: Path) -> None:
    with Broker(tmp_path, port=0) as broker:
        settings = Settings(broker=f"kafka://{broker.bootstrap}", partitions=1)
        await declare(settings)
        with follow(settings) as line:
            assert line("no anomalies yet")
            broker.stop()
            assert line("Kafka does not answer")
            broker.start()
            assert line("Kafka is back")
            async with AIOKafkaProducer(**settings.client_options()) as producer:
                await report(producer, settings.anomalies_topic, "eve", 60)
            assert "eve" in line("closed")
