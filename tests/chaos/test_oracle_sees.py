"""The suite's test of itself: the oracle sees red where the protocol is broken, and only there."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import sabotage
from tests.site import Site, click, clicks, window_before

NEVER = 600.0
T = window_before(time.time())

ATTACK = [value for number in range(10) for value in clicks(f"bot-{number}", 60, T, T + 50)]
CLOSING = click("ann", T + 65)


@pytest.fixture
def topic(kafka: str, tmp_path: Path) -> Iterator[Site]:
    site = Site(kafka, tmp_path)
    yield site
    site.close()


def _break(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> None:
    for variable, value in sabotage.hook(folder, name).items():
        monkeypatch.setenv(variable, value)


def test_a_snapshot_that_goes_out_before_its_anomalies(
    topic: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        _break(broken, tmp_path, "snapshot_before_anomalies")
        worker = topic.start(checkpoint_interval=3)
        topic.send(*ATTACK, CLOSING)
        code, _ = worker.failed()
    assert code < 0
    topic.await_counted(topic.start())
    verdict = topic.verdict()
    assert verdict.missing == 10
    assert not verdict.ok


def test_a_worker_that_reads_on_from_what_was_committed(
    topic: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        _break(broken, tmp_path, "seek_to_committed_offset")
        worker = topic.start(checkpoint_interval=NEVER)
        topic.send(*ATTACK[:300])
        topic.await_counted(worker)
        worker.kill()
        worker = topic.start()
        topic.send(*ATTACK[300:], CLOSING)
        topic.await_counted(worker)
    verdict = topic.verdict()
    assert verdict.missing
    assert not verdict.ok


@pytest.mark.parametrize("interval", [3.0, NEVER])
def test_it_sees_nothing_where_the_protocol_is_kept(topic: Site, interval: float) -> None:
    worker = topic.start(checkpoint_interval=interval)
    topic.send(*ATTACK[:300])
    topic.until(lambda: sum(each["accepted"] for each in worker.partitions().values()) == 300, worker)
    worker.kill()
    worker = topic.start()
    topic.send(*ATTACK[300:], CLOSING)
    topic.await_counted(worker)
    verdict = topic.verdict()
    assert verdict.expected == 10
    assert verdict.ok
