"""Late is not lost, and nobody's clock hides anybody: what docs/guarantees.md promises of time."""

import math
import os
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwarden.detection import closed
from clickwarden.detection.anomaly import Anomaly, alert_id
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.detection.windows import WindowName
from clickwarden.settings import Settings
from tests.clickwarden.detection.reference import Click, batch_of, starts_with

#: How many streams an adversary spoils; ``make adversary`` has it spoil 10,000.
STREAMS = int(os.environ.get("STREAMS", "150"))
T = 1_760_000_040  # start of a window of 60 s
NOW = T + 86_400.0 * 365
LATENESS, SKEW = 5.0, 60.0
BOT = Rule(name="bot", window=60, threshold=8, width=1024)
RULES = (
    BOT,
    Rule(name="slow", window=300, threshold=30, width=1024),
    Rule(name="sliding", window=60, threshold=8, slide=20, width=1024),
)
PARAMETERS = Settings(_env_file=None, lateness=LATENESS, max_skew=SKEW, max_suspects=50)


class Stream(NamedTuple):
    """Clicks, when Kafka received each, and which are of honest clocks."""

    rows: list[Click]
    received: list[float]
    honest: list[bool]


@st.composite
def spoilt(draw: st.DrawFn, kinds: Sequence[str] = ("live", "replay", "file")) -> Stream:
    """Users with right clocks, among whom up to a fifth of the clicks is an adversary's, who picks the times.

    Right clocks reach Kafka within the lateness, or are replayed in the order of their time, or nearly.
    """
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(list(kinds)))
    size = draw(st.integers(40, 600))
    span = draw(st.sampled_from([30.0, 200.0, 2000.0]))
    happened = np.sort(T + random.random(size) * span)
    delay = random.random(size) * draw(st.sampled_from([0.0, 0.9 * LATENESS]))
    order = np.argsort(happened + delay, kind="stable")
    times, arrivals = happened[order], (happened + delay)[order]
    users = random.integers(0, draw(st.sampled_from([3, 30])), size)
    rows: list[Click] = [
        (f"u{user}", "view", None, float(time)) for user, time in zip(users, times, strict=True)
    ]

    spoils = draw(st.integers(0, size // 4))
    spread = draw(st.sampled_from(["anywhere", "at once", "first"]))
    where = {
        "anywhere": np.sort(random.integers(0, size + 1, spoils)),
        "at once": np.full(spoils, random.integers(0, size + 1)),
        "first": np.zeros(spoils, int),
    }[spread]
    aims = draw(st.sampled_from(["ahead", "anything", "each a window", "behind"]))
    clicks: list[tuple[Click, float, bool]] = []
    for position in range(size + 1):
        came = float(arrivals[min(position, size - 1)])
        latest = came + SKEW if kind == "live" else NOW + SKEW
        for number in np.flatnonzero(where == position):
            aim = {
                "ahead": latest,
                "anything": random.uniform(T - 1000, latest),
                "each a window": T + 60.0 * random.integers(-500, 500),
                "behind": T - random.uniform(0, 1000),
            }[aims]
            clicks.append(((f"evil{number % 5}", "view", None, float(min(aim, latest))), came, False))
        if position < size:
            clicks.append((rows[position], came, True))
    received = {"live": [came for _, came, _ in clicks], "replay": [NOW] * len(clicks)}
    return Stream(
        [row for row, _, _ in clicks],
        received.get(kind, [math.nan] * len(clicks)),
        [honest for _, _, honest in clicks],
    )


def told(stream: Stream, pieces: int = 1) -> tuple[dict[int, list[WindowName]], list[Anomaly]]:
    """Which clicks could not be counted where, and what is said up to the silence behind the stream."""
    detection = Detection(0, RULES, PARAMETERS)
    uncounted: dict[int, list[WindowName]] = {}
    anomalies: list[Anomaly] = []
    edges = [len(stream.rows) * piece // pieces for piece in range(pieces + 1)]
    for first, end in pairwise(edges):
        found = detection.count(batch_of(stream.rows[first:end], stream.received[first:end]))
        uncounted |= {first + click: windows for click, windows in found.uncounted.items()}
        anomalies += found.anomalies
    detection.decide(math.inf)
    return uncounted, anomalies + detection.close().anomalies


def final(anomalies: list[Anomaly]) -> dict[str, Anomaly]:
    """The last word on each, by id."""
    rank = {"ongoing": 0, "closed": 1, "corrected": 2}
    last: dict[str, Anomaly] = {}
    for anomaly in sorted(anomalies, key=lambda anomaly: (rank[anomaly.status], anomaly.revision)):
        last[anomaly.alert_id] = anomaly
    return last


def counts(rows: list[Click]) -> Counter[tuple[Rule, int, str]]:
    """Exact, whatever came late."""
    counted: Counter[tuple[Rule, int, str]] = Counter()
    for user, _, _, time in rows:
        counted.update((rule, start, user) for rule in RULES for start in starts_with(time, rule))
    return counted


@given(spoilt(), st.integers(1, 9))
@settings(max_examples=STREAMS)
def test_no_adversary_hides_anybody(stream: Stream, pieces: int) -> None:
    uncounted, anomalies = told(stream, pieces)
    # A window is kept for 15 minutes: an adversary's own click may claim to be of an older one.
    assert not [click for click in uncounted if stream.honest[click]]
    lost: Counter[tuple[str, int, str]] = Counter()
    for click, names in uncounted.items():
        lost.update((*name, stream.rows[click][0]) for name in names)
    last = final(anomalies)
    for (rule, start, user), clicks in counts(stream.rows).items():
        count = clicks - lost[rule.name, start, user]
        said = last.pop(alert_id(rule.name, user, start), None)
        assert (said is not None) == (count > rule.threshold), (rule.name, start - T, user, count)
        if said is not None:
            assert said.count_low <= count <= said.count_high
    assert not last


@given(spoilt(kinds=["live"]))
@settings(max_examples=STREAMS)
def test_live_no_honest_click_is_late_whatever_others_claim(stream: Stream) -> None:
    found = Detection(0, RULES, PARAMETERS).count(batch_of(stream.rows, stream.received))
    assert not [position for position in found.late if stream.honest[position]]


@given(spoilt(), st.integers(2, 40))
@settings(max_examples=STREAMS)
def test_what_is_said_of_late_clicks_does_not_depend_on_batches(stream: Stream, pieces: int) -> None:
    def words(anomalies: list[Anomaly]) -> list[bytes]:
        return sorted(map(msgspec.json.encode, anomalies))

    (_, whole), (_, same) = told(stream), told(stream, pieces)
    assert words(same) == words(whole)


# -- one at a time ------------------------------------------------------------------------------------


def at(second: float, user: str = "ann") -> Click:
    return (user, "view", None, T + second)


def count(detection: Detection, *rows: Click, received: float | None = None) -> list[tuple[str, str, int]]:
    """Status, user and count of what rule bot says of these clicks."""
    found = detection.count(batch_of(rows, None if received is None else [T + received] * len(rows)))
    return said(found.anomalies)


def said(anomalies: list[Anomaly]) -> list[tuple[str, str, int]]:
    return [(each.status, each.user_id, each.count) for each in anomalies if each.rule == "bot"]


@pytest.fixture
def detection() -> Detection:
    """Six clicks of ann in a minute that is over, too few to be reported."""
    detection = Detection(0, [BOT], PARAMETERS)
    assert count(detection, *[at(1)] * 6, at(70, "bob")) == []
    return detection


def test_late_clicks_on_top_of_those_in_time_make_an_anomaly(detection: Detection) -> None:
    assert count(detection, *[at(2)] * 3, received=71) == []
    assert count(detection, at(75.9, "bob")) == []
    (anomaly,) = detection.count(batch_of([at(76, "bob")])).anomalies
    assert (anomaly.status, anomaly.count_low, anomaly.count_high, anomaly.revision) == ("corrected", 6, 9, 1)
    assert anomaly.alert_id == alert_id("bot", "ann", T)


def test_as_many_as_the_threshold_with_the_late_ones_make_none(detection: Detection) -> None:
    assert count(detection, *[at(2)] * 2, received=71) == []
    assert count(detection, at(400, "bob")) == []


def test_what_was_reported_is_corrected_and_corrected_again(detection: Detection) -> None:
    rows = [at(70 + step, "eve") for step in range(10)]
    assert count(detection, *rows, at(126, "bob")) == [("ongoing", "eve", 9), ("closed", "eve", 10)]
    assert count(detection, at(71, "eve"), received=127) == []
    assert count(detection, at(132, "bob")) == [("corrected", "eve", 11)]
    assert count(detection, *[at(72, "eve")] * 4, received=133) == []
    (second,) = detection.count(batch_of([at(140, "bob")])).anomalies
    assert (second.status, second.count, second.revision) == ("corrected", 15, 2)


def test_late_clicks_that_go_on_and_on_do_not_put_off_being_told_of(detection: Detection) -> None:
    # At 73 the ninth of all takes her over the threshold; at 133 she is told of with all that came before.
    told = {second: count(detection, at(1), received=second) for second in range(71, 140)}
    assert {second: found for second, found in told.items() if found} == {133: [("corrected", "ann", 68)]}


def test_silence_tells_of_late_clicks_when_it_is_decided(detection: Detection) -> None:
    count(detection, *[at(2)] * 3, received=71)
    assert not detection.decide(4.9)
    assert detection.decide(5)
    assert said(detection.close().anomalies) == [("corrected", "ann", 9)]
    assert detection.close().anomalies == []


def test_a_window_nobody_has_seen_before_is_opened_for_late_clicks(detection: Detection) -> None:
    assert count(detection, *[at(-3000, "eve")] * 9, received=71) == []
    assert count(detection, at(90, "bob")) == [("corrected", "eve", 9)]


def test_a_click_later_than_the_limit_cannot_be_counted_and_is_said_so(detection: Detection) -> None:
    rows = [at(2)] * 3
    found = detection.count(batch_of(rows, [T + 70 + PARAMETERS.late_limit + 1] * 3))
    assert found.late == {click: [("bot", T)] for click in range(3)}
    assert found.uncounted == found.late
    assert (detection.late, detection.uncounted) == (3, 3)
    assert count(detection, at(2000, "bob")) == []


def test_a_flood_of_made_up_windows_takes_no_more_than_its_memory(
    detection: Detection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed, "MEMORY_BYTES", 100 * closed.WINDOW_BYTES)
    for minute in range(1, 1000):
        detection.count(batch_of([at(-60 * minute, "eve")], [T + 71]))
        assert len(detection.closed) <= 100
    found = detection.count(batch_of([at(2)] * 3, [T + 71] * 3))
    assert found.uncounted == {click: [("bot", T)] for click in range(3)}


def test_what_was_forgotten_with_something_to_tell_is_told(
    detection: Detection, monkeypatch: pytest.MonkeyPatch
) -> None:
    count(detection, *[at(2)] * 3, received=71)
    monkeypatch.setattr(closed, "MEMORY_BYTES", 3 * closed.WINDOW_BYTES)
    assert count(detection, *[at(-60 * minute, "eve") for minute in range(1, 9)], received=71) == [
        ("corrected", "ann", 9)
    ]


def test_a_single_click_ahead_of_the_others_does_not_close_their_window() -> None:
    detection = Detection(0, RULES, PARAMETERS)
    never = math.nan
    rows = [
        *[at(second) for second in range(6)],
        at(7200, "wrong clock"),
        *[at(second) for second in range(6, 9)],
    ]
    found = detection.count(batch_of(rows, [never] * len(rows)))
    assert (found.late, said(found.anomalies)) == ({}, [("ongoing", "ann", 9)])
    assert not detection.leaps


def test_a_single_click_a_little_ahead_is_believed_when_none_disagrees() -> None:
    detection = Detection(0, RULES, PARAMETERS)
    rows = [*[at(second) for second in range(9)], at(66, "bob")]
    assert said(detection.count(batch_of(rows, [math.nan] * 10)).anomalies) == [("ongoing", "ann", 9)]
    assert detection.leaps
    assert detection.decide(0)
    assert said(detection.close().anomalies) == [("closed", "ann", 9)]


def test_a_window_that_overlaps_a_forgotten_one_is_not_forgotten() -> None:
    detection = Detection(0, RULES[2:], PARAMETERS)
    detection.count(batch_of([at(10), at(1000, "bob")], [T + 10, T + 1000]))
    found = detection.count(batch_of([at(59), at(70)], [T + 2000] * 2))
    assert found.late == {
        0: [("sliding", T + start) for start in (0, 20, 40)],
        1: [("sliding", T + start) for start in (20, 40, 60)],
    }
    assert found.uncounted == {0: [("sliding", T)]}
