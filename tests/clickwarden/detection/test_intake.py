"""What becomes of records: counted exactly, the recent ones apart, in little memory."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwarden.detection.batch import Batch
from clickwarden.detection.clicks import Clicks, Rejected
from clickwarden.detection.detection import Detection, Findings
from clickwarden.detection.intake import (
    BLOCK,
    BLOCKS,
    EVENT_SECONDS,
    EVENTS,
    EXAMPLE_BYTES,
    RECENT_SECONDS,
    WINDOWS,
    Commonest,
    Counts,
    Intake,
)
from clickwarden.detection.rules import Rule
from clickwarden.detection.windows import WindowName
from clickwarden.settings import Settings

T = 1_760_000_040.0
BOT = Rule(name="bot", window=60, threshold=50)
LOGINS = Rule(name="logins", window=60, threshold=15, events=("login", "login_failed"))
WINDOW = WindowName("bot", 1_760_000_040)
NOTHING = Findings({}, {}, 0, [], [])
FATES = ("accepted", "late", "uncounted", "ignored", "not_json", "future")


def noted(fates: list[str], stamps: list[float], *cuts: int) -> Intake:
    """Follows these records, cut into batches there."""
    intake = Intake([BOT])
    for first, end in pairwise(sorted({0, *cuts, len(fates)})):
        numbers = np.array([intake.number(fate) for fate in fates[first:end]])
        intake.note(numbers, np.array(stamps[first:end]), end - first)
    return intake


def counted(fates: list[str]) -> Counts:
    found = Counter(fates)
    rejected = {reason: found[reason] for reason in ("not_json", "future") if found[reason]}
    return Counts(found["accepted"], found["late"] + found["uncounted"], found["uncounted"], rejected)


def run(*kinds: str, stamp: float = T) -> Batch:
    """A batch of one record for each: ``click``, ``tombstone``, or a reason to reject it."""
    clicks = [position for position, kind in enumerate(kinds) if kind == "click"]
    return Batch(
        Clicks(
            users=["ann"] * len(clicks),
            events=["view"] * len(clicks),
            products=[None] * len(clicks),
            times=np.full(len(clicks), T),
            records=np.array(clicks, np.int64),
            rejected=[
                Rejected(position, None, b"{", kind, "", position)
                for position, kind in enumerate(kinds)
                if kind not in ("click", "tombstone")
            ],
            ignored=kinds.count("tombstone"),
            stamps=np.full(len(kinds), stamp),
        )
    )


# -- the recent records -------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=200)
def test_recent_counts_are_a_function_of_the_records_and_not_of_the_batches(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 500))
    fates = data.draw(st.lists(st.sampled_from(FATES), min_size=size, max_size=size))
    pace = data.draw(st.sampled_from([0.0, 0.05, 1.0]))
    stamps = [T + pace * position for position in range(size)]
    cuts = data.draw(st.lists(st.integers(1, size), max_size=20))
    assert noted(fates, stamps, *cuts).recent() == noted(fates, stamps).recent()


@given(st.lists(st.sampled_from(FATES), min_size=1, max_size=300))
def test_what_came_within_seconds_is_recent_to_the_record(fates: list[str]) -> None:
    assert noted(fates, [T] * len(fates)).recent() == counted(fates)


def test_of_a_slow_stream_the_last_block_is_recent_however_old() -> None:
    fates = ["not_json"] * 1000 + ["accepted"] * BLOCK
    recent = noted(fates, [T + 3600.0 * position for position in range(len(fates))]).recent()
    assert BLOCK <= recent.records <= 2 * BLOCK
    assert recent.accepted == BLOCK


def test_what_is_older_than_the_newest_by_more_than_a_few_seconds_is_not_recent() -> None:
    fates = ["not_json"] * 5000 + ["accepted"] * 5000
    stamps = [T] * 5000 + [T + RECENT_SECONDS + 1] * 5000
    recent = noted(fates, stamps).recent()
    assert 5000 <= recent.records < 5000 + BLOCK
    assert recent.share < 0.02


def test_a_wrong_time_stamp_makes_fewer_records_recent_for_a_moment_only() -> None:
    fates = ["accepted"] * 1000 + ["not_json"] * 1000
    wrong = [T] * 1999 + [T + 1e9]
    assert BLOCK <= noted(fates, wrong).recent().records <= 2 * BLOCK
    again = noted([*fates, "not_json"], [*wrong, T]).recent()
    assert again == counted([*fates, "not_json"])


def test_a_flood_fills_no_memory_and_the_newest_of_it_are_counted() -> None:
    intake = Intake([BOT])
    numbers = np.full(2000, intake.number("not_json"))
    for _ in range(200):
        intake.note(None, np.full(2000, T), 2000)
    for _ in range(10):
        intake.note(numbers, np.full(2000, T), 2000)
    recent = intake.recent()
    assert (BLOCKS - 1) * BLOCK < recent.records <= BLOCKS * BLOCK
    assert recent.rejected == {"not_json": 20_000}


def test_records_of_a_batch_are_counted_by_what_became_of_each() -> None:
    intake = Intake([BOT])
    batch = run("click", "not_json", "tombstone", "click", "future", "click", "click")
    intake.take(batch, NOTHING._replace(late={0: [WINDOW], 3: [WINDOW]}, uncounted={3: [WINDOW]}))
    assert intake.recent() == Counts(2, 2, 1, {"not_json": 1, "future": 1})
    assert intake.recent().uncountable == {"not_json": 1, "future": 1, "uncounted": 1}
    assert intake.recent().share == 3 / 6
    assert intake.clicks == 4
    assert intake.untold == {"not_json": 1, "future": 1}


def test_all_good_is_counted_like_each_good() -> None:
    intake = Intake([BOT])
    for size in (1, 63, 64, 65, 200, 1):
        batch = run(*["click"] * size)
        batch.records = None
        intake.take(batch, NOTHING)
    assert intake.recent() == Counts(accepted=394)


def test_nothing_yet() -> None:
    intake = Intake([])
    assert intake.recent() == Counts()
    assert intake.recent().share == 0
    assert (intake.events, intake.commonest) == ([], Commonest("", 0, 0))


# -- examples -----------------------------------------------------------------------------------------


def reject(intake: Intake, *faults: tuple[bytes, str]) -> None:
    intake.reject(Rejected(0, None, value, "wrong_field", detail) for value, detail in faults)


def test_the_example_has_the_commonest_fault_and_is_the_newest_with_it() -> None:
    intake = Intake([])
    reject(intake, *[(b"%d" % number, "a number") for number in range(60)], *[(b"null", "null")] * 3)
    assert intake.examples["wrong_field"][:2] == (b"59", "a number")


def test_the_example_follows_when_another_fault_becomes_the_commonest() -> None:
    intake = Intake([])
    reject(intake, *[(b"1", "a number")] * 100_000, *[(b"null", "null")] * (BLOCK + 2))
    assert intake.examples["wrong_field"][:2] == (b"null", "null")


def test_an_example_keeps_no_more_than_its_beginning() -> None:
    intake = Intake([])
    reject(intake, (b"x" * 1_000_000, ""))
    assert intake.examples["wrong_field"].value == b"x" * EXAMPLE_BYTES


def test_a_click_that_came_too_late_to_be_counted_is_an_example_too() -> None:
    intake = Intake([BOT])
    batch = Batch(Clicks(["eve"], ["view"], [None], np.array([T]), np.array([T + 3600])))
    intake.take(batch, NOTHING._replace(late={0: [WINDOW]}, uncounted={0: [WINDOW]}))
    value, detail, _ = intake.examples["uncounted"]
    assert value == b'{"user_id":"eve","event":"view","timestamp":"2025-10-09T08:54:00Z"}'
    assert detail == "3600 s before Kafka received it"


# -- events -------------------------------------------------------------------------------------------


def test_events_of_the_rules_are_heard_whatever_else_floods_the_names() -> None:
    intake = Intake([BOT, LOGINS])
    intake.hear(1, ["login"])
    for number in range(1000):
        intake.hear(1, [f"made-up-{number}"])
    intake.hear(100_000, [*(f"made-up-again-{number}" for number in range(100_000)), "login_failed"])
    assert sorted(intake.heard) == ["login", "login_failed"]
    assert len(intake.events) <= EVENTS + len(LOGINS.events)


def test_an_event_that_is_sent_no_more_is_heard_no_more() -> None:
    intake = Intake([LOGINS])
    for stamp, event in ((T, "login"), (T + EVENT_SECONDS - 1, "view")):
        intake.note(None, np.array([stamp]), 1)
        intake.hear(1, [event])
    assert intake.heard == ["login"]
    intake.note(None, np.array([T + EVENT_SECONDS + 1]), 1)
    assert (intake.heard, intake.events) == ([], ["view"])


# -- one user -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("windows", "user"),
    [
        ([("site", 95, 100)] * WINDOWS, "site"),
        ([("site", 95, 100)] * (WINDOWS - 1), ""),  # an attack, perhaps
        ([("site", 95, 100)] * (WINDOWS - 1) + [("site", 80, 100)], ""),
        ([("site", 95, 100)] * (WINDOWS - 1) + [("eve", 95, 100)], ""),
        ([("eve", 95, 100)] + [("site", 95, 100)] * WINDOWS, "site"),
    ],
)
def test_a_user_with_nearly_all_clicks_of_many_windows(
    windows: list[tuple[str, int, int]], user: str
) -> None:
    intake = Intake([BOT])
    for window in windows:
        intake.compare(Commonest(*window))
    assert intake.commonest.user_id == user


def test_windows_of_the_rule_that_counts_most_kinds_of_clicks_are_looked_at() -> None:
    detection = Detection(0, [LOGINS, BOT], Settings(_env_file=None))
    intake = Intake([LOGINS, BOT])
    for minute in range(WINDOWS + 1):
        times = T + 60.0 * minute + np.arange(100) / 10
        users = ["-"] * 97 + ["ann", "bob", "joe"]
        batch = Batch(Clicks(users, ["view"] * 100, [None] * 100, times, times))
        for window in detection.count(batch).closed:
            intake.close(window)
    user, clicks, of = intake.commonest
    assert (user, clicks, of) == ("-", 97 * WINDOWS, 100 * WINDOWS)
