"""Who counts which partition, from what the workers say of themselves."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from agents.status import GONE_SECONDS, PartitionStatus, State, Status
from web.workers import FORGET_SECONDS, Workers


def word(worker: str, time: float, *numbers: int, state: State = "ready", **more: Any) -> Any:
    """A record of the status topic."""
    partitions = [
        PartitionStatus(
            partition=number, watermark="2026-01-01T00:00:00Z", delay=5.0, next_offset=7, end_offset=9, lag=2,
            accepted=4, late=1, rejected={"not_json": 2}, ignored=0, lost=0, capped=0, open_windows=1,
            suspects=1,
        )
        for number in numbers
    ]  # fmt: skip
    status = Status(worker, "0.1.0", state, "", 1.0, "2026-01-01T00:00:00Z", 100.0, partitions)
    value = msgspec.json.encode(msgspec.structs.asdict(status) | more)
    return SimpleNamespace(value=value, timestamp=int(time * 1000))


def seen(workers: Workers) -> dict[str, tuple[str, list[int]]]:
    return {each.worker: (each.state, [one.partition for one in each.partitions]) for each in workers.all()}


def test_a_silent_worker_is_gone_and_keeps_its_partitions_until_another_counts_them() -> None:
    workers = Workers()
    workers.take(word("a", 100, 0, 1))
    workers.take(word("b", 100, 2, 3))
    workers.take(word("b", 100 + GONE_SECONDS, 2, 3))
    assert seen(workers) == {"a": ("ready", [0, 1]), "b": ("ready", [2, 3])}
    workers.take(word("b", 101 + GONE_SECONDS, 2, 3, state="rebalancing"))
    assert seen(workers) == {"a": ("gone", [0, 1]), "b": ("rebalancing", [2, 3])}
    gone, _ = workers.all()
    assert (gone.clicks_per_second, gone.seen) == (0.0, "1970-01-01T00:01:40Z")
    workers.take(word("b", 102 + GONE_SECONDS, 0, 2, 3))
    assert seen(workers) == {"a": ("gone", [1]), "b": ("ready", [0, 2, 3])}
    workers.take(word("b", 101 + FORGET_SECONDS, 0, 1, 2, 3))
    assert seen(workers) == {"b": ("ready", [0, 1, 2, 3])}


def test_a_worker_that_comes_back_is_there() -> None:
    workers = Workers()
    workers.take(word("a", 100, 0))
    workers.take(word("b", 200, 0))
    workers.take(word("a", 201, 0))
    assert seen(workers) == {"a": ("ready", [0]), "b": ("ready", [])}


@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b"\xff", b'{"worker": 3}', b"[" * 100_000])
def test_what_is_no_status_is_passed_over(value: bytes | None) -> None:
    workers = Workers()
    record: Any = SimpleNamespace(value=value, timestamp=100_000)
    assert workers.take(record) is None
    assert workers.all() == []


def test_a_worker_of_an_older_version_is_seen_while_they_are_replaced() -> None:
    newer = word("a", 100, 0)
    content = msgspec.json.decode(newer.value)
    (partition,) = content["partitions"]
    del partition["uncounted"], partition["crowded_windows"]
    workers = Workers()
    assert workers.take(SimpleNamespace(value=msgspec.json.encode(content), timestamp=newer.timestamp))
    (worker,) = workers.all()
    assert [(each.late, each.uncounted) for each in worker.partitions] == [(1, 0)]


def test_fields_of_a_newer_version_do_no_harm() -> None:
    workers = Workers()
    assert workers.take(word("a", 100, 0, mood="sunny")) is not None
    assert seen(workers) == {"a": ("ready", [0])}
