"""What the feed makes of the records of the anomalies topic."""

import json
from itertools import accumulate, permutations

import pytest

from clickwarden.alerts.feed import RECORD_BYTES, SLICE, Feed
from clickwarden.alerts.incidents import KINDS
from tests.anomalies import MINUTES, record
from web.query import Filter

EVERYTHING = Filter()


async def known(feed: Feed, wanted: Filter = EVERYTHING) -> list[tuple[str, str]]:
    anomalies = [entry.anomaly async for entries in feed.select(wanted) for entry in entries]
    return [(anomaly.alert_id, anomaly.status) for anomaly in anomalies]


async def test_closed_replaces_ongoing_and_not_the_other_way() -> None:
    feed = Feed()
    news = feed.take(record("a"))
    assert news is not None
    assert news.first
    assert (await known(feed), feed.ongoing("attack"), feed.fired("bot")) == ([("a", "ongoing")], 1, 1)
    news = feed.take(record("a", "closed"))
    assert news is not None
    assert not news.first
    assert feed.take(record("a")) is None
    assert feed.take(record("a", "closed")) is None
    assert (await known(feed), feed.ongoing("attack"), feed.fired("bot")) == ([("a", "closed")], 0, 1)


def word(status: str, revision: int) -> bytes:
    """A statement on one anomaly; statuses and revisions differ in their count."""
    return record("a", status, revision=revision, count_high=51 + len(status) + revision)


SAID = [("ongoing", 0), ("closed", 0), ("corrected", 1), ("corrected", 2)]


@pytest.mark.parametrize("order", [*permutations(SAID)], ids=str)
def test_the_last_word_holds_in_whatever_order_it_is_heard(order: tuple[tuple[str, int], ...]) -> None:
    feed = Feed()
    told = [said for said in order for _ in range(2) if feed.take(word(*said)) is not None]
    places = [SAID.index(said) for said in order]
    assert told == [SAID[place] for place in sorted(set(accumulate(places, max)))]
    (entry,) = feed.of("u")
    assert (entry.status, entry.anomaly.revision, entry.high) == ("corrected", 2, 62)
    assert (feed.ongoing("attack"), len(feed.live), feed.fired("bot")) == (0, 0, 1)


def test_a_correction_of_somebody_nobody_had_heard_of_is_a_new_anomaly() -> None:
    feed = Feed()
    news = feed.take(record("a", "corrected", revision=1))
    assert news is not None
    assert news.first
    news = feed.take(record("a", "corrected", revision=2))
    assert news is not None
    assert not news.first
    assert feed.take(record("a", "corrected", revision=2)) is None


async def test_the_newest_window_comes_first_and_an_anomaly_keeps_its_place() -> None:
    feed = Feed()
    feed.take(record("old", "closed", "2026-01-01T00:01:00Z"))
    feed.take(record("new", "closed", "2026-01-01T00:03:00Z"))
    feed.take(record("now", "ongoing", "2026-01-01T00:02:00Z"))
    assert [alert for alert, _ in await known(feed)] == ["new", "now", "old"]
    feed.take(record("now", "closed", "2026-01-01T00:02:00Z"))
    assert [alert for alert, _ in await known(feed)] == ["new", "now", "old"]


async def test_it_keeps_so_many_and_the_newest_of_them() -> None:
    feed = Feed(keep=10)
    for minute in range(40):
        feed.take(record(f"{minute:02}", "closed", f"2026-01-01T00:{minute:02}:00Z", user_id=f"{minute}"))
    assert [alert for alert, _ in await known(feed)] == [f"{minute}" for minute in range(39, 29, -1)]
    assert (len(feed), feed.fired("bot"), feed.of("0"), len(feed.of("39"))) == (10, 10, [], 1)


async def test_what_is_selected_may_change_meanwhile() -> None:
    feed = Feed()
    for number in range(2 * SLICE + 1):
        feed.take(record(f"{number:06}"))
    seen: list[str] = []
    async for entries in feed.select():
        seen += [entry.alert_id for entry in entries]
        feed.take(record("newest", window_end="2026-01-01T00:02:00Z"))
        feed.take(record("oldest", window_end="2026-01-01T00:00:00Z"))
    assert seen == [*(f"{number:06}" for number in reversed(range(2 * SLICE + 1))), "oldest"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), "abcd"),
        (Filter(rule="bot"), "ab"),
        (Filter(user="u"), "bc"),
        (Filter(user="U"), ""),
        (Filter(category="scraper"), "cd"),
        (Filter(status="ongoing"), "b"),
        (Filter(status="closed", user="u"), "c"),
        (Filter(status="corrected"), "d"),
        (Filter(since="2026-01-01T00:01:00Z"), "bcd"),
        (Filter(since="2026-01-01T00:00:59Z"), "abcd"),
        (Filter(until="2026-01-01T00:01:00Z"), "a"),
        (Filter(until="2026-01-01T00:01:01Z"), "ab"),
        (Filter(since="2026-01-01T00:01:00Z", until="2026-01-01T00:02:00Z"), "b"),
    ],
    ids=str,
)
async def test_filters(wanted: Filter, found: str) -> None:
    feed = Feed()
    feed.take(record("a", "closed", MINUTES[1], window_start=MINUTES[0], user_id="t"))
    feed.take(record("b", "ongoing", MINUTES[2], window_start=MINUTES[1]))
    more = {"rule": "slow", "category": "scraper", "window_start": MINUTES[2]}
    feed.take(record("c", "closed", MINUTES[3], **more))
    feed.take(record("d", "corrected", MINUTES[3], user_id="t", revision=1, **more))
    assert sorted(alert for alert, _ in await known(feed, wanted)) == list(found)


def test_an_ongoing_anomaly_makes_progress() -> None:
    feed = Feed()
    feed.take(record("a"))
    feed.progress("u", "bot", "2026-01-01T00:00:00Z", 476, 500)
    feed.progress("u", "bot", "2026-01-01T00:01:00Z", 976, 1000)
    feed.progress("u", "slow", "2026-01-01T00:00:00Z", 976, 1000)
    feed.progress("someone", "bot", "2026-01-01T00:00:00Z", 976, 1000)
    (entry,) = feed.of("u")
    assert (entry.low, entry.high, entry.excess) == (476, 500, 10)
    feed.take(record("a", "closed", count_low=536, count_high=560))
    feed.progress("u", "bot", "2026-01-01T00:00:00Z", 976, 1000)
    (entry,) = feed.of("u")
    assert (entry.low, entry.high) == (536, 560)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"not JSON",
        b"[]",
        b"{}",
        b"\xff",
        b'{"alert_id": ' * 20_000,
        record("a", "opened"),
        record("a", count="many"),
        record("a", user_id=None),
        record("a").replace(b'"why"', b'"\xff"'),
        record("a").replace(b'"why"', rb'"\ud800"'),
        record("a", more="x" * RECORD_BYTES),
    ],
    ids=repr,
)
async def test_what_is_no_anomaly_is_passed_over(value: bytes | None) -> None:
    feed = Feed()
    assert feed.take(value) is None
    feed.take(record("b"))
    assert await known(feed) == [("b", "ongoing")]


def test_fields_of_a_newer_version_are_kept() -> None:
    feed = Feed()
    feed.take(record("a", version=2, story={"so": "far"}))
    (kept,) = feed.of("u")
    assert json.loads(bytes(kept.record))["story"] == {"so": "far"}


def test_the_worst_come_first_and_each_user_is_live_once_for_a_rule() -> None:
    feed = Feed()
    for name, user_id, high, minute in (
        ("a", "u", 60, 0),
        ("b", "u", 90, 1),
        ("c", "v", 70, 0),
        ("d", "w", 51, 0),
    ):
        feed.take(
            record(
                name,
                "ongoing",
                MINUTES[minute + 1],
                window_start=MINUTES[minute],
                user_id=user_id,
                count_high=high,
            )
        )
    assert [entry.alert_id for entry in feed.worst(feed.live, 3)] == ["b", "c", "d"]
    assert (feed.ongoing("attack"), len(feed.live), feed.live.rules["bot"], feed.live.rules["slow"]) == (
        4,
        3,
        4,
        0,
    )
    feed.progress("w", "bot", MINUTES[0], 400, 424)
    feed.take(record("b", "closed", MINUTES[2], window_start=MINUTES[1]))
    assert [entry.alert_id for entry in feed.worst(feed.live, 9)] == ["d", "c", "a"]
    assert (feed.ongoing("attack"), len(feed.live)) == (3, 3)
    for name, user_id in ("a", "u"), ("c", "v"), ("d", "w"):
        feed.take(record(name, "closed", user_id=user_id))
    assert (
        feed.worst(feed.live, 9),
        feed.ongoing("attack"),
        len(feed.live),
        feed.live.rules["bot"],
        feed.fired("bot"),
    ) == (
        [],
        0,
        0,
        0,
        4,
    )


def test_windows_of_one_user_that_overlap_push_nobody_out_of_the_worst() -> None:
    feed = Feed()
    for number in range(6):
        feed.take(record(f"eve-{number}", "ongoing", MINUTES[9], user_id="eve", count_high=500 + number))
    feed.take(record("bob", "ongoing", MINUTES[9], user_id="bob", count_high=60))
    assert [entry.alert_id for entry in feed.worst(feed.live, 2)] == ["eve-5", "bob"]
    assert (len(feed.live), feed.ongoing("attack")) == (2, 7)


async def test_who_tells_nobody_is_counted_apart() -> None:
    feed = Feed()
    given: tuple[tuple[str, dict[str, object]], ...] = (
        ("a", {}),
        ("b", {"shadow": True, "incident_id": "x"}),
        ("c", {"allowed": "ours"}),
        ("d", {"shadow": True, "allowed": "ours", "incident_id": "x"}),
        ("e", {"category": "drift"}),
    )
    for name, marks in given:
        feed.take(record(name, "ongoing", MINUTES[1], user_id=name, **marks))
    assert [feed.ongoing(kind) for kind in KINDS] == [feed.kept(kind) for kind in KINDS] == [1, 1, 2, 1]
    assert [entry.alert_id for entry in feed.worst(feed.live, 9)] == ["a"]
    assert {entry.alert_id for entry in feed.worst(feed.aside, 9)} == {"b", "c", "d", "e"}
    assert (len(feed.live), len(feed.aside), feed.aside.rules["bot"], feed.fired("bot")) == (1, 4, 4, 5)
    assert (feed.shadowed("bot", MINUTES[0]), feed.shadowed("bot", MINUTES[2])) == (1, 0)
    assert [feed.told("bot", MINUTES[minute]) for minute in (0, 1, 2)] == [1, 1, 0]
    assert await known(feed, Filter(kind="allowed")) == [("c", "ongoing")]
    feed.take(record("b", "closed", MINUTES[1], user_id="b"))
    assert [feed.ongoing(kind) for kind in KINDS] == [1, 1, 1, 1]
    assert [feed.kept(kind) for kind in KINDS] == [2, 1, 1, 1]


def test_a_feed_says_how_far_back_it_reaches() -> None:
    feed = Feed(keep=2)
    for minute in 1, 2, 3:
        assert feed.reaches(MINUTES[0]) == (minute < 3)
        feed.take(record(f"a{minute}", window_end=MINUTES[minute]))
    # That of minute 1 is forgotten, and another one like it may be, too, of minute 2.
    assert [feed.reaches(MINUTES[minute]) for minute in (1, 2, 3)] == [False, False, True]
    assert feed.get("a1") is None
    assert (entry := feed.get("a3")) is not None
    assert entry.window_end == MINUTES[3]
