from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickwarden.detection import counting, sketch, suspects
from clickwarden.detection.anomaly import Anomaly, alert_id
from clickwarden.detection.batch import Batch
from clickwarden.detection.clicks import Clicks
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings
from clickwarden.times import isotime
from tests.clickwarden.detection.reference import (
    Click,
    Crossed,
    Reference,
    batch_of,
    state,
    truth,
)

LATENESS = 5.0
RULES = (
    Rule(name="bot", window=60, threshold=20, width=1024),
    Rule(name="logins", window=60, threshold=4, promote=4, events=("login",), width=1024),
    Rule(name="slow", window=600, threshold=300, events=("view", "cart"), width=1024),
    Rule(name="sliding", window=60, threshold=20, slide=10, width=1024),
    Rule(name="gliding", window=6, threshold=9, promote=2, slide=2, events=("view",), width=1024),
)


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Have streams of some hundred clicks take every path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "FEW", 8)
        patch.setattr(suspects, "GATHERED_MAX", 60)
        yield


def configured(**values: Any) -> Settings:
    return Settings(_env_file=None, lateness=LATENESS, **values)


@st.composite
def streams(draw: st.DrawFn) -> list[Click]:
    """Some hundred clicks of shoppers and a few attackers, in disorder, over some minutes."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.integers(1, 1500))
    pace = draw(st.sampled_from([0.001, 0.05, 1.0]))
    disorder = draw(st.sampled_from([0.0, 4.0, 30.0]))
    shoppers = draw(st.sampled_from([3, 200, 2000]))
    times = 1_760_000_000 + np.arange(size) * pace + random.uniform(-disorder, disorder, size)
    users = np.where(
        random.random(size) < 0.3, random.integers(0, 4, size), random.integers(0, shoppers, size)
    )
    events = random.choice(["view", "cart", "login"], size, p=[0.7, 0.2, 0.1])
    products = random.integers(0, 50, size)
    return [
        (f"u{user}", str(event), None if product == 0 else f"p{product}", float(time))
        for user, event, product, time in zip(users, events, products, times, strict=True)
    ]


def cut(rows: Sequence[Click], cuts: Sequence[int]) -> list[Sequence[Click]]:
    edges = [0, *sorted({at % (len(rows) + 1) for at in cuts}), len(rows)]
    return [rows[first:end] for first, end in pairwise(edges) if end > first]


def run(
    batches: Sequence[Sequence[Click]], rules: Sequence[Rule] = RULES, **values: Any
) -> tuple[Detection, list[Anomaly]]:
    detection, anomalies = Detection(0, rules, configured(**values)), []
    for batch in batches:
        anomalies += detection.count(batch_of(batch)).anomalies
    return detection, anomalies


def unordered(anomalies: list[Anomaly]) -> list[bytes]:
    return sorted(msgspec.json.encode(anomaly) for anomaly in anomalies)


@pytest.fixture(params=[sketch.LOAD, 1 / 8], ids=["one width", "doubling widths"], autouse=True)
def load(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with sketches that double their width after 128 clicks."""
    monkeypatch.setattr(sketch, "LOAD", request.param)


@pytest.fixture(params=[suspects.PROFILES_MAX, 3], ids=["full profiles", "few profiles"], autouse=True)
def profiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with full profiles for the first three suspects of a window only."""
    monkeypatch.setattr(suspects, "PROFILES_MAX", request.param)


#: The fixtures hold for all examples of a test.
examples = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(streams(), st.lists(st.integers(0, 10_000), max_size=6), st.sampled_from([2, 10_000]))
@examples
def test_batches_do_not_matter(rows: list[Click], cuts: list[int], max_suspects: int) -> None:
    whole, anomalies = run([rows], max_suspects=max_suspects)
    pieces, same = run(cut(rows, cuts), max_suspects=max_suspects)
    assert unordered(same) == unordered(anomalies)
    assert state(pieces) == state(whole)


@given(streams(), st.sampled_from([2, 10_000]))
@examples
def test_agrees_with_click_by_click_counting(rows: list[Click], max_suspects: int) -> None:
    detection, anomalies = run(cut(rows, range(0, len(rows), 97)), max_suspects=max_suspects)
    reference = Reference(RULES, max_suspects, LATENESS)
    crossed, closed = [], []
    for row in rows:
        crossing, closing = reference.add(row)
        crossed += crossing
        closed += closing
    assert told(anomalies, "ongoing") == sorted(map(as_told, crossed))
    assert told(anomalies, "closed") == sorted(map(as_told, closed))
    for ruled in detection.rule_windows:
        for start, pane in ruled.panes.items():
            expected = reference.panes[ruled.rule.name, start]
            cells = {cell: int(value) for cell, value in enumerate(pane.sketch.cells) if value}
            assert cells == {cell: value for cell, value in expected.cells.items() if value}
            assert pane.suspects.all().keys() == expected.suspects.keys()
            for user, suspect in pane.suspects.all().items():
                known = expected.suspects[user]
                assert (suspect.promoted, suspect.exact) == (known["promoted"], known["exact"])
                assert (suspect.first, suspect.last) == (min(known["times"]), max(known["times"]))
                assert suspect.events == known["events"]
                assert sum(suspect.event_mix.values()) == suspect.exact
                assert suspect.distinct_products == len(known["products"])


def told(anomalies: Sequence[Anomaly], status: str) -> list[tuple[Any, ...]]:
    """What is said of users, to be compared."""
    return sorted(
        (
            *(a.rule, a.window_start, a.user_id, a.count_low, a.count_high),
            *(a.first_seen, a.last_seen, a.distinct_products, a.revision),
        )
        for a in anomalies
        if a.status == status
    )


def as_told(one: Crossed) -> tuple[Any, ...]:
    return (one.rule, isotime(one.start), *one[2:5], isotime(one.first), isotime(one.last), *one[7:])


@given(streams(), st.sampled_from([1, 2, 10_000]))
@examples
def test_every_user_over_a_threshold_is_reported_and_every_interval_holds(
    rows: list[Click], cap: int
) -> None:
    detection, anomalies = run(cut(rows, range(0, len(rows), 311)), max_suspects=cap)
    exact = truth(rows, RULES, LATENESS)
    closed = {a.alert_id: a for a in anomalies if a.status == "closed"}
    reported = {a.alert_id for a in anomalies}
    for (rule_name, start, user), count in exact.items():
        rule = next(rule for rule in RULES if rule.name == rule_name)
        name = alert_id(rule_name, user, start)
        if count > rule.threshold:
            assert name in reported
            assert (name in closed) == (start + rule.window <= detection.watermark)
        if name in closed:
            assert closed[name].count_low <= count <= closed[name].count_high


def test_of_a_million_batch_of_260_000_users_exactly_those_over_the_threshold_are_reported() -> None:
    random = np.random.default_rng(1)
    users = [str(user) for user in random.zipf(1.115, 1_000_000) % 1_000_000]
    times = 1_760_000_400 + np.arange(len(users)) * 3000 / len(users)
    rule = Rule(name="bot", window=3600, threshold=50)
    detection = Detection(0, [rule], configured())
    reported = set()
    for clicks in Clicks(users, ["view"] * len(users), [None] * len(users), times).cut(2000):
        reported |= {anomaly.user_id for anomaly in detection.count(Batch(clicks)).anomalies}
    counts = Counter(users)
    assert len(counts) > 250_000
    assert reported == {user for user, clicks in counts.items() if clicks > 50}


def at(second: float, user: str = "ann", event: str = "view", product: str | None = "p") -> Click:
    return (user, event, product, 1_431_936_300 + second)


BOT = (Rule(name="bot", window=60, threshold=50),)


def test_a_suspect_with_too_many_products_to_count_is_counted_on() -> None:
    detection, _ = run([[at(1, product=f"p{number}") for number in range(400)]], BOT)
    detection.count(batch_of([at(2, product=f"q{number}") for number in range(100)]))
    (window,) = detection.rule_windows[0].panes.values()
    detection.count(batch_of([at(3, product=f"r{number}") for number in range(100)]))
    suspect = window.suspects.all()["ann"]
    assert (suspect.count_high, suspect.distinct_products, suspect.last) == (600, 256, at(3)[3])
    detection.count(batch_of([at(4, product="s")] * 100))
    assert window.suspects.all()["ann"].count_high == 700


def test_suspects_behind_those_with_a_full_profile_have_less_evidence_and_the_same_counts() -> None:
    users = [f"bot-{number}" for number in range(suspects.PROFILES_MAX + 10)]
    rows = [
        at(step, user, "view" if step % 2 else "login", f"product-{step}")
        for step in range(55)
        for user in users
    ]
    closed = {a.user_id: a for a in run([rows, [at(200)]], BOT)[1] if a.status == "closed"}
    first, last = closed[users[0]], closed[users[-1]]
    assert first.count_low <= 55 <= first.count_high
    assert last.count_low <= 55 <= last.count_high
    assert (set(first.events), set(last.events)) == ({"view", "login"}, {"login", "(other)"})
    assert (first.distinct_products, last.distinct_products) == (first.count_low, 0)


def test_the_51st_click_is_an_ongoing_anomaly_and_the_window_closes_with_the_final_count() -> None:
    _, anomalies = run([[at(second / 2) for second in range(108)], [at(66, "bob")]], BOT)
    ongoing, closed = anomalies
    assert (ongoing.status, ongoing.count, closed.status, closed.count) == ("ongoing", 51, "closed", 108)
    assert ongoing.alert_id == closed.alert_id
    assert (closed.window_start, closed.window_end) == ("2015-05-18T08:05:00Z", "2015-05-18T08:06:00Z")
    assert (closed.count_low, closed.count_high) == (84, 108)
    assert (closed.first_seen, closed.last_seen) == ("2015-05-18T08:05:12Z", "2015-05-18T08:05:53.500Z")
    assert (closed.events, closed.distinct_products, closed.owasp) == ({"view": 84}, 1, "OAT-003")
    assert closed.reasons[0] == "108 clicks in a window of 60 s, threshold 50"


def test_the_reason_names_the_events_that_came_and_none_that_others_would_have_sent() -> None:
    rule = Rule(name="reader", window=60, threshold=5, events=("view", "page_view", "screen", "page"))
    for came, said in ((["page_view"], "page_view"), (["screen", "view"], "view, screen")):
        rows = [at(second, event=came[second % len(came)]) for second in range(20)]
        closed = next(a for a in run([rows, [at(200)]], [rule])[1] if a.status == "closed")
        assert closed.reasons[0] == f"20 clicks ({said}) in a window of 60 s, threshold 5"


def test_50_clicks_are_none() -> None:
    assert run([[at(1)] * 50, [at(200)]], BOT)[1] == []


def test_a_window_waits_for_clicks_within_the_lateness_and_no_longer() -> None:
    detection = Detection(0, BOT, configured())
    assert detection.count(batch_of([at(59)] * 50 + [at(64.9, "bob")])).anomalies == []
    in_time = detection.count(batch_of([at(59)]))
    assert [anomaly.status for anomaly in in_time.anomalies] == ["ongoing"]
    behind = detection.count(batch_of([at(65, "bob"), at(59, "eve")]))
    assert [anomaly.status for anomaly in behind.anomalies] == ["closed"]
    assert behind.late == {1: [("bot", 1_431_936_300)]}
    assert (detection.accepted, detection.late) == (53, 1)


def test_a_click_late_for_one_rule_still_counts_for_another() -> None:
    rules = (*BOT, Rule(name="slow", window=600, threshold=50))
    detection = Detection(0, rules, configured())
    findings = detection.count(batch_of([at(100, "bob")] + [at(1)] * 51))
    assert findings.late == {position: [("bot", 1_431_936_300)] for position in range(1, 52)}
    assert [anomaly.rule for anomaly in findings.anomalies] == ["slow"]


def test_wall_clock_closes_a_silent_window_and_loses_no_click_of_a_later_one() -> None:
    detection = Detection(0, BOT, configured())
    detection.count(batch_of([at(10)] * 60))
    assert not detection.decide(54)
    assert detection.decide(56)
    (closed,) = detection.close().anomalies
    assert (closed.status, closed.count) == ("closed", 60)
    woken = detection.count(batch_of([at(59, "late"), at(61, "bob")]))
    assert woken.late == {0: [("bot", 1_431_936_300)]}
    assert detection.accepted == 61


#: As shipped: whole minutes, one of which begins every 10 s.
SLIDING = (Rule(name="bot", window=60, threshold=50, slide=10),)


def starts(anomalies: list[Anomaly], status: str = "closed") -> list[int]:
    """Second at which the windows begin that anomalies of this status are of."""
    at_zero = isotime(1_431_936_300)
    times = [datetime.fromisoformat(a.window_start) for a in anomalies if a.status == status]
    return [int((time - datetime.fromisoformat(at_zero)).total_seconds()) for time in times]


def test_100_clicks_across_the_edge_of_a_minute_are_reported_at_the_51st() -> None:
    rows = [at(59.0 + number / 50) for number in range(100)]
    assert run([rows, [at(200, "bob")]], BOT)[1] == []
    found: dict[float, list[Anomaly]] = {}
    detection = Detection(0, SLIDING, configured())
    for row in rows:
        found[row[3]] = detection.count(batch_of([row])).anomalies
    told = [time for time, anomalies in found.items() if anomalies]
    assert told == [at(60.0)[3]]
    ongoing = found[told[0]]
    assert starts(ongoing, "ongoing") == [10, 20, 30, 40, 50]
    assert {(a.count_high, a.incident_id) for a in ongoing} == {(51, alert_id("bot", "ann", 1_431_936_310))}
    closed = detection.count(batch_of([at(200, "bob")])).anomalies
    assert [(a.count_low, a.count_high) for a in closed] == [(76, 100)] * 5
    assert closed[0].reasons[0] == "100 clicks in a window of 60 s sliding by 10 s, threshold 50"


def test_50_clicks_in_any_minute_are_none_however_they_lie() -> None:
    rows = [at(second) for second in range(600) for _ in range(2) if second % 60 < 25]
    assert run([rows, [at(900)]], SLIDING)[1] == []


def test_windows_of_one_user_that_overlap_or_adjoin_are_one_incident() -> None:
    rows = [at(second, user) for second in range(300) for user in ("ann", "bob")]
    rows += [at(500 + second) for second in range(60)]
    _, anomalies = run([*cut(rows, range(0, 600, 7)), [at(900)]], SLIDING)
    incidents = [(a.user_id, a.incident_id) for a in anomalies if a.status == "closed"]
    assert starts([a for a in anomalies if a.user_id == "bob"]) == list(range(0, 250, 10))
    first, again = (alert_id("bot", "ann", 1_431_936_300 + second) for second in (0, 500))
    assert Counter(incidents) == {
        ("ann", first): 25,
        ("bob", alert_id("bot", "bob", 1_431_936_300)): 25,
        ("ann", again): 1,
    }
    told = {(a.alert_id, a.incident_id) for a in anomalies}
    assert len(told) == len({a.alert_id for a in anomalies})


def test_windows_side_by_side_are_one_incident_until_one_of_them_is_none() -> None:
    rows = [at(second / 2) for second in range(360)] + [at(240 + second / 2) for second in range(120)]
    _, anomalies = run([rows, [at(900)]], BOT)
    found = [(a.window_start[14:16], a.incident_id) for a in anomalies if a.status == "closed"]
    first, again = (alert_id("bot", "ann", 1_431_936_300 + second) for second in (0, 240))
    assert found == [("05", first), ("06", first), ("07", first), ("09", again)]


def test_a_window_that_is_over_the_threshold_after_its_neighbour_joins_what_was_told() -> None:
    detection = Detection(0, BOT, Settings(_env_file=None, lateness=60))
    second = detection.count(batch_of([at(61)] * 51)).anomalies
    first = detection.count(batch_of([at(59)] * 51)).anomalies
    assert {a.incident_id for a in second + first} == {alert_id("bot", "ann", 1_431_936_360)}


def test_a_flood_that_fills_the_memory_of_closed_windows_breaks_no_incident(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clickwarden.detection.closed.MEMORY_BYTES", 1)
    rows = [at(second / 2) for second in range(360)]
    _, anomalies = run([*cut(rows, range(0, 360, 50)), [at(900)]], BOT)
    assert {a.incident_id for a in anomalies} == {alert_id("bot", "ann", 1_431_936_300)}


def test_a_click_is_late_where_one_of_its_windows_is_closed_and_counts_in_the_others() -> None:
    detection = Detection(0, SLIDING, configured())
    detection.count(batch_of([at(59)] * 50 + [at(75.5, "bob")]))
    found = detection.count(batch_of([at(59)]))
    assert found.late == {0: [("bot", 1_431_936_300 + start) for start in (0, 10)]}
    assert found.uncounted == {}
    assert starts(found.anomalies, "ongoing") == [20, 30, 40, 50]
    corrected = detection.count(batch_of([at(140, "bob")])).anomalies
    assert starts(corrected, "corrected") == [0, 10]
    assert {a.count for a in corrected} == {51}
    assert len({a.incident_id for a in corrected + found.anomalies}) == 1
    assert (detection.accepted, detection.late) == (52, 1)


def test_a_rule_that_begins_to_slide_drops_no_count_and_leaves_no_gap() -> None:
    detection = Detection(0, BOT, configured())
    detection.count(batch_of([at(25)] * 51))
    change(detection, SLIDING)
    closed = detection.count(batch_of([at(35)] * 40 + [at(64)] * 40 + [at(200, "bob")])).anomalies
    closed = [a for a in closed if a.status == "closed"]
    assert [(start, a.count) for start, a in zip(starts(closed), closed, strict=True)] == [(0, 91), (30, 80)]
    change(detection, BOT)
    closed = detection.count(batch_of([at(215)] * 51 + [at(244)] * 51 + [at(400, "bob")])).anomalies
    assert starts(closed) == list(range(160, 250, 10))


def change(detection: Detection, rules: Sequence[Rule]) -> None:
    assert detection.plan(rules, offset=1000)
    assert not detection.plan(rules, offset=2000)
    assert detection.adopt(999) == 1000
    assert detection.adopt(1000) is None


def test_a_changed_rule_takes_effect_at_the_next_window_and_drops_no_count() -> None:
    detection = Detection(0, BOT, configured())
    detection.count(batch_of([at(10)] * 40))
    change(detection, [Rule(name="bot", window=60, threshold=20)])
    old = detection.count(batch_of([at(11)] * 5 + [at(12, "bob")] * 30))
    assert old.anomalies == []
    new = detection.count(batch_of([at(11)] * 6 + [at(61, "bob")] * 30))
    assert [(a.user_id, a.threshold, a.count) for a in new.anomalies] == [("ann", 50, 51), ("bob", 20, 21)]
    rest = detection.count(batch_of([at(200, "eve")])).anomalies
    assert [(a.user_id, a.threshold, a.count) for a in rest] == [("ann", 50, 51), ("bob", 20, 30)]
    detection.count(batch_of([at(400, "eve")]))
    assert [ruled.rule.threshold for ruled in detection.rule_windows] == [50, 20]  # late clicks may come
    detection.count(batch_of([at(1200, "eve")]))
    assert [ruled.rule.threshold for ruled in detection.rule_windows] == [20]


def test_a_changed_rule_with_no_window_open_counts_until_the_change() -> None:
    logins = Rule(name="logins", window=60, threshold=4, events=("login",))
    detection = Detection(0, [logins], configured())
    detection.count(batch_of([at(10)]))
    change(detection, [Rule(name="logins", window=60, threshold=10, events=("login",))])
    detection.count(batch_of([at(11, "bob")]))
    found = detection.count(batch_of([at(12, event="login")] * 5)).anomalies
    assert [(a.user_id, a.threshold) for a in found] == [("ann", 4)]


def test_an_added_rule_starts_with_a_whole_window_and_a_removed_one_ends_with_one() -> None:
    detection = Detection(0, BOT, configured())
    detection.count(batch_of([at(10)] * 60))
    added = Rule(name="slow", window=60, threshold=5)
    change(detection, [added])
    assert [a.rule for a in detection.count(batch_of([at(12)] * 60)).anomalies] == []
    found = detection.count(batch_of([at(62)] * 60)).anomalies
    assert [(a.rule, a.status, a.times) for a in found] == [("slow", "ongoing", times) for times in (1, 2, 5)]
    closed = detection.count(batch_of([at(126, "eve")])).anomalies
    assert [(a.rule, a.count) for a in closed] == [("bot", 120), ("slow", 60)]


@pytest.mark.parametrize("distinct", [255, 256, 257, 5000])
def test_evidence_is_bounded(distinct: int) -> None:
    rows = [at(1, event=f"e{number}", product=f"p{number}") for number in range(distinct + 24)]
    _, anomalies = run([rows], BOT)
    window = run([rows], BOT)[0].rule_windows[0].panes[1_431_936_300]
    suspect = window.suspects.all()["ann"]
    assert suspect.distinct_products == min(256, distinct)
    assert suspect.products is not None
    assert len(suspect.products) <= 256
    assert len(suspect.events) == 16
    assert sum(suspect.event_mix.values()) == suspect.exact == distinct
    assert suspect.event_mix["(other)"] == distinct - 16
    assert anomalies[0].count == 51
