"""What a worker does while Kafka is away: it waits, says so, and goes on by itself."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickwarden.sandbox.broker import Broker
from tests.site import Site, click, clicks, window_before

T = window_before(time.time())
AWAY_SECONDS = 30.0
MIB = 1 << 20


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "kafka", port=0) as broker:
        yield broker


def test_kafka_goes_away_and_comes_back(broker: Broker, tmp_path: Path) -> None:
    topic = Site(broker.bootstrap, tmp_path, partitions=2, block_severity="low")
    worker = topic.start()
    topic.until(lambda: worker.ask("/api/v1/blocklist")[0] == 200, worker)
    attack = clicks("eve", 60, T, T + 50)
    topic.send(*attack[:40])
    topic.await_counted(worker)
    topic.send(*attack[40:50])  # counted, maybe, but not yet durable
    memory = worker.memory

    broker.kill()
    away = time.monotonic()
    topic.until(lambda: worker.state == "away", worker)
    code, said = worker.ask("/ready")
    assert (code, said["state"]) == (503, "away")
    assert "Kafka does not answer" in said["detail"]
    # An empty list would let everybody in.
    topic.until(lambda: worker.ask("/api/v1/blocklist")[0] == 503, worker)
    topic.until(lambda: time.monotonic() > away + AWAY_SECONDS, worker)
    assert worker.memory < memory + 20 * MIB

    broker.start()
    topic.until(lambda: worker.ready, worker)
    topic.send(*attack[50:], click("ann", T + 65))
    topic.await_counted(worker)
    assert [each["count"] for each in topic.anomalies("closed")] == [60]
    assert topic.verdict().ok

    topic.until(lambda: len(worker.ask("/api/v1/blocklist")[1].get("blocks", [])) == 1, worker)

    words = [line for line in worker.log.splitlines() if "Kafka does not answer at" in line]
    assert len(words) == 1
    assert f"Kafka does not answer at {broker.bootstrap} (" in words[0]
    assert worker.log.count("Kafka answers again after") == 1
    during = worker.log.partition(words[0])[2].splitlines()
    assert len(during) < 60, during
    assert "Traceback" not in worker.log
    topic.close()
