"""The event time experiment: its log, its counting by arrival, and a replay of it past a worker."""

import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from rich.console import Console

from experiments import event_time
from experiments.event_time import NOON, Finding, Outcome, Way, identical, made_up, same, show


class Record(NamedTuple):
    timestamp: int
    value: bytes


def clicks(*times: float, arrived: int = NOON) -> list[Record]:
    return [
        Record(arrived * 1000, json.dumps({"user_id": "ann", "timestamp": time}).encode()) for time in times
    ]


def test_made_up_log_is_in_order_and_has_users_on_the_edge_of_a_minute() -> None:
    log = [json.loads(line) for line in made_up()]
    times = [click["timestamp"] for click in log]
    assert times == sorted(times)
    assert max(times) - min(times) < event_time.MADE_SECONDS

    def count(user: str, minute: int) -> int:
        return sum(click["user_id"] == user and click["timestamp"] // 60 * 60 == minute for click in log)

    assert [count("bot-across", NOON), count("bot-across", NOON + 60)] == [80, 80]
    assert [count("reader-across", NOON), count("reader-across", NOON + 60)] == [48, 48]
    assert [count("shopper", NOON), count("bot", NOON)] == [48, 108]


def test_by_arrival_counts_by_kafkas_clock_not_by_the_clicks() -> None:
    split = clicks(*[NOON] * 51, arrived=NOON) + clicks(*[NOON] * 50, arrived=NOON + 60)
    assert event_time.by_arrival(split) == [Finding("ann", "12:00", 51)]


def test_out_of_order_counts_clicks_behind_the_newest() -> None:
    assert event_time.out_of_order(clicks(1, 3, 2, 2.5, 4)) == 2
    assert event_time.out_of_order(clicks(1, 1, 2)) == 0


@pytest.fixture
def result() -> Outcome:
    found = {"a1": {"alert_id": "a1", "first_seen": "2026-01-01T12:00:30Z"}}
    bot = [Finding("bot", "12:00", 108)]
    return Outcome(Way("log", "1 ×", ()), bot, found, [], 0, {"ok": True, "late": 0})


def test_other_counts_are_not_the_same(result: Outcome) -> None:
    assert same([result, result])
    assert not same([result, replace(result, by_event_time=[Finding("bot", "12:00", 107)])])
    assert not same([result, replace(result, final={})])


def test_fields_may_differ_only_where_the_order_was_changed(result: Outcome) -> None:
    later = {"a1": {"alert_id": "a1", "first_seen": "2026-01-01T12:00:31Z"}}
    shuffled = Way("log", "shuffled", event_time.SHUFFLED)
    assert identical([result, replace(result, way=shuffled, final=later)])
    assert not identical([result, replace(result, final=later)])


def test_table_shows_both_ways_to_count(result: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    show([result], Console(width=120))
    printed = capsys.readouterr().out
    assert "bot 12:00 108" in printed
    assert "nobody" in printed


async def test_a_replay_past_a_worker_reports_what_the_log_holds(kafka: str, tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    lines = [line for line in made_up() if '"bot"' in line]
    # A click of the next minute, in the same partition, closes the window.
    last = {"user_id": "bot", "event": "view", "timestamp": NOON + 70}
    log.write_text("\n".join([*lines, json.dumps(last)]))
    way = Way("made-up", "1,000 ×", ("--speed", "1000", *event_time.SHUFFLED))
    found = await event_time.outcome(kafka, tmp_path / uuid4().hex, way, log)
    assert found.by_event_time == [Finding("bot", "12:00", 108)]
    assert found.verdict["ok"]
    assert found.out_of_order > 0
