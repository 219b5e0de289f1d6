"""The suspects that are known, and how close they come."""

import json
from typing import Any

import pytest

from tests.anomalies import MINUTES
from web.suspects import KnownSuspects


def row(
    user_id: str, high: int = 40, minute: int = 0, partition: int = 0, **more: Any
) -> tuple[bytes, bytes]:
    """Key and value of a record of the activity table's changelog, with one window."""
    window: dict[str, Any] = {
        "rule": "bot", "window_start": MINUTES[minute], "window_end": MINUTES[minute + 1], "open": True,
        "count_low": high - 24, "count_high": high, "threshold": 50, "first_seen": MINUTES[minute],
        "last_seen": MINUTES[minute], "events": {"view": high - 24}, "distinct_products": 3,
    }  # fmt: skip
    value = {"user_id": user_id, "partition": partition, "windows": [window | more]}
    return user_id.encode(), json.dumps(value).encode()


def closest(suspects: KnownSuspects, **watermarks: str) -> list[tuple[str, int, float]]:
    by_partition = {int(name[1:]): watermark for name, watermark in watermarks.items()}
    return [(each.user_id, each.count_high, each.share) for each in suspects.closest("bot", 2, by_partition)]


def ignore(*_: object) -> None:
    pass


def test_who_comes_closest() -> None:
    suspects = KnownSuspects(ignore)
    for user_id, high in {"a": 30, "b": 45, "c": 60}.items():
        suspects.take(*row(user_id, high))
    assert closest(suspects) == [("c", 60, 1.2), ("b", 45, 0.9)]
    suspects.take(*row("c", 61, open=False))
    assert closest(suspects) == [("b", 45, 0.9), ("a", 30, 0.6)]
    suspects.take(b"b", None)
    assert closest(suspects) == [("a", 30, 0.6)]
    assert suspects.closest("slow", 2, {}) == []


def test_a_window_behind_the_watermark_is_not_open_whatever_the_row_says() -> None:
    suspects = KnownSuspects(ignore)
    suspects.take(*row("a", 30, partition=0))
    suspects.take(*row("b", 45, partition=1))
    assert closest(suspects, p0=MINUTES[0], p1=MINUTES[1]) == [("a", 30, 0.6)]


def test_progress_is_told_of_open_windows() -> None:
    told: list[tuple[object, ...]] = []
    suspects = KnownSuspects(
        lambda user, rule, window: told.append(
            (user, rule, window.window_start, window.count_low, window.count_high)
        )
    )
    suspects.take(*row("a", 60))
    suspects.take(*row("b", 60, open=False))
    assert told == [("a", "bot", MINUTES[0], 36, 60)]


def test_it_keeps_so_many_and_those_written_last() -> None:
    suspects = KnownSuspects(ignore, keep=2)
    for user_id in "a", "b", "a", "c":
        suspects.take(*row(user_id))
    assert [user_id for user_id in "abc" if suspects.row(user_id)] == ["a", "c"]
    assert [user_id for user_id, *_ in closest(suspects)] == ["a", "c"]


@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000])
def test_what_is_no_row_is_passed_over(value: bytes) -> None:
    suspects = KnownSuspects(ignore)
    suspects.take(b"\xff", value)
    suspects.take(*row("a"))
    assert closest(suspects) == [("a", 40, 0.8)]
