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
from clickwarden.errors import BrokerError, TopicMissing
from clickwarden.kafka.reader import reader
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


async def aside(
    producer: AIOKafkaProducer, settings: Settings, partition: int, offset: int, **more: str
) -> None:
    """Put a copy of a click into the topic of late ones."""
    about = {"topic": settings.clicks_topic, "partition": str(partition), "offset": str(offset)}
    about |= {"reason": "late", "rules": "bot"} | more
    headers = [(name, value.encode()) for name, value in about.items()]
    await producer.send_and_wait(settings.late_topic, b"", headers=headers)


@pytest.fixture
async def attacked(settings: Settings, producer: AIOKafkaProducer) -> Settings:
    """eve over the threshold and closed in partition 0, mallory still open in 1, and what is no click.

    Some clicks of eve came late, and of joe's, who was never over, some too late to be counted.
    """
    clicks = settings.clicks_topic
    await click(producer, clicks, 0, "ann", T, 50)
    await click(producer, clicks, 0, "eve", T, 60)
    await producer.send_and_wait(clicks, b"{", partition=0)
    await producer.send_and_wait(clicks, None, key=b"tombstone", partition=0)
    await click(producer, clicks, 0, "ann", T + 65, 5)  # so many agree that the minute is over
    await click(producer, clicks, 0, "eve", T, 2)  # late by the watermark
    await click(producer, clicks, 0, "joe", T, 60)  # too late to be counted: offsets 119 to 178
    await click(producer, clicks, 1, "mallory", T, 52)
    await click(producer, clicks, 1, "mallory", T + 1)  # late by the wall clock: offset 52
    for offset in range(119, 179):
        await aside(producer, settings, 0, offset, uncounted="bot")
    await aside(producer, settings, 1, 52)
    await report(producer, settings.anomalies_topic, "eve", 51, "ongoing")
    await report(producer, settings.anomalies_topic, "eve", 60)
    await report(producer, settings.anomalies_topic, "eve", 62, "corrected", revision=1)
    await report(producer, settings.anomalies_topic, "mallory", 51, "ongoing", partition=1)
    return settings


async def test_verify_accounts_for_every_click_and_finds_no_fault(attacked: Settings) -> None:
    numbers = verify(attacked, 0)
    assert numbers["ok"]
    assert numbers["accounted"]
    assert {
        name: numbers[name]
        for name in ("produced", "accepted", "rejected", "late", "excused", "uncounted", "ignored")
    } == {
        "produced": 232,
        "accepted": 167,
        "rejected": 1,
        "late": 63,
        "excused": 1,
        "uncounted": 60,
        "ignored": 1,
    }
    assert {name: numbers[name] for name in ("expected", "reported", "closed", "corrected", "exact")} == {
        "expected": 2,
        "reported": 2,
        "closed": 1,
        "corrected": 1,
        "exact": 1,
    }
    shown = faust(attacked, "verify").stdout
    assert "167 accepted + 1 rejected + 63 late + 1 ignored = 232 produced" in shown
    assert "1 of the late ones by decision of the wall clock" in shown
    assert f"60 of the late ones too late to be counted: {attacked.late_topic} says which" in shown
    assert "2 expected, 2 reported, 1 closed, 1 corrected (1 with the exact count)" in shown


async def test_verify_holds_a_correction_against_the_clicks_that_came_late(
    attacked: Settings, producer: AIOKafkaProducer
) -> None:
    await report(producer, attacked.anomalies_topic, "eve", 70, "corrected", count_low=63, revision=2)
    await report(producer, attacked.anomalies_topic, "joe", 60, "corrected", revision=1)
    numbers = verify(attacked, 1)
    assert (numbers["interval_misses"], numbers["invented"], numbers["conflicting"]) == (1, 1, 0)
    assert "expected 62 clicks, found at least 63 (corrected)" in numbers["examples"]["interval_misses"][0]
    assert "'joe'" in numbers["examples"]["invented"][0]


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


async def test_a_topic_that_nobody_wrote_to_is_told_from_a_kafka_that_does_not_answer(
    settings: Settings,
) -> None:
    with pytest.raises(TopicMissing, match="has no topic 'absent'"):
        async with reader(settings, "absent"):
            pass
    away = settings.model_copy(update={"broker": "kafka://127.0.0.1:1"})
    with pytest.raises(BrokerError, match="does not answer") as silent:
        async with reader(away, "absent"):
            pass
    assert not isinstance(silent.value, TopicMissing)


async def test_alerts_shows_the_last_word_on_each(settings: Settings, producer: AIOKafkaProducer) -> None:
    topic = settings.anomalies_topic
    await report(producer, topic, "eve", 60)
    await report(producer, topic, "late", 51, "corrected", revision=1)
    await report(producer, topic, "eve", 62, "corrected", revision=1)
    await report(producer, topic, "eve", 63, "corrected", revision=2)
    await report(producer, topic, "eve", 62, "corrected", revision=1)
    await report(producer, topic, "eve", 60)
    rows = [line.split() for line in faust(settings, "alerts").stdout.splitlines() if "bot" in line]
    assert [(row[0], row[4], row[5]) for row in rows] == [
        ("corrected", "late", "51"),
        ("corrected", "eve", "63"),
    ]


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
    eve, nasty = sorted(rows, key=lambda row: "eve" not in row)  # of two partitions, in either order
    assert "eve" in eve
    assert r"[red]\x1b[2J\u202e" in nasty
    assert "61 (55–61)" in nasty


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
        await report(producer, settings.anomalies_topic, "eve", 60)
        await report(producer, settings.anomalies_topic, "eve", 62, "corrected", revision=1)
        assert "62" in line("bot  eve")


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
