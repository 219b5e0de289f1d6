"""The oracle judges everything else, so each of its verdicts is shown to be able to fail."""

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clickwarden.audit.excuses import Missed, excuses
from clickwarden.audit.oracle import FAULTS, Judgement, judge, recount
from clickwarden.audit.recount import Recount
from clickwarden.audit.tally import Case
from clickwarden.detection.anomaly import Anomaly, alert_id
from clickwarden.detection.batch import Batch
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.formats.clicks import Decoder
from clickwarden.settings import Settings
from clickwarden.times import isotime

T = 1_600_000_020  # start of a window of 60 s
NOW = 1_700_000_000_000
SETTINGS = Settings(
    lateness=5.0,
    max_skew=60.0,
    field_user_id="user_id",
    field_event="event",
    field_product_id="product_id",
    field_timestamp="timestamp",
)
BOT = Rule(name="bot", window=60, threshold=3)
LOGIN = Rule(name="login", window=600, threshold=1, events=("login",))


@dataclass(frozen=True)
class Record:
    value: bytes | None
    offset: int = 0
    timestamp: int = NOW
    timestamp_type: int = 1
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def click(user: str, time: float, event: str = "view") -> bytes:
    return json.dumps({"user_id": user, "event": event, "timestamp": time}).encode()


def run(*values: bytes | None, begin: int = 0) -> list[Record]:
    """Records of clicks that Kafka received when they happened; of anything else, now."""
    return [Record(value, offset, _received(value)) for offset, value in enumerate(values, begin)]


def _received(value: bytes | None) -> int:
    try:
        time = json.loads(value or b"")["timestamp"]
        return min(NOW, math.ceil(time * 1000)) if time >= 0 else NOW
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return NOW


def over(truth: Recount) -> dict[tuple[str, str, int], int]:
    """In time and over the threshold, by rule, user and seconds from T to the window's start."""
    return {
        (case.rule, case.user_id, case.window - T): count.in_time.count
        for case, count in truth.over().items()
        if count.in_time.over
    }


def counts(truth: Recount) -> dict[Case, tuple[int, int, int]]:
    """Clicks in time, clicks late, and those of them that must have been told of."""
    return {case: (count.in_time.count, count.late, count.settled) for case, count in truth.over().items()}


# -- the recount ------------------------------------------------------------------------------------


def test_only_more_than_the_threshold_in_one_window_counts() -> None:
    values = [click("at", T + i) for i in range(3)] + [click("over", T + i) for i in range(4)]
    values += [click("across", T + 57 + i) for i in range(6)]
    assert over(recount({0: run(*values)}, SETTINGS, [BOT])) == {("bot", "over", 0): 4}


def test_a_rule_counts_its_own_events_in_its_own_window() -> None:
    values = [click("u", T, "login"), click("u", T + 61), click("u", T + 62, "login")]
    assert over(recount({0: run(*values)}, SETTINGS, [BOT, LOGIN])) == {("login", "u", -420): 2}


def test_a_user_of_two_partitions_is_counted_in_each() -> None:
    runs = {0: run(*[click("u", T)] * 3), 1: run(*[click("u", T)] * 4)}
    assert counts(recount(runs, SETTINGS, [BOT])) == {Case(1, "bot", "u", T): (4, 0, 0)}


def test_a_click_is_late_from_the_moment_its_window_is_closed() -> None:
    in_time = run(*[click("u", T)] * 3, click("other", T + 64.9), click("u", T + 59))
    truth = recount({0: in_time}, SETTINGS, [BOT])
    assert over(truth) == {("bot", "u", 0): 4}
    assert (truth.accepted, truth.late) == (5, 0)

    late = run(*[click("u", T)] * 3, click("other", T + 65), click("u", T + 59))
    truth = recount({0: late}, SETTINGS, [BOT])
    assert over(truth) == {}
    assert (truth.accepted, truth.late) == (4, 1)


def test_a_click_late_for_one_rule_counts_for_another() -> None:
    truth = recount(
        {0: run(click("u", T, "login"), click("u", T + 65), click("u", T, "login"))}, SETTINGS, [BOT, LOGIN]
    )
    assert over(truth) == {("login", "u", -420): 2}
    assert (truth.accepted, truth.late, truth.excused) == (2, 1, 0)


def test_nothing_but_a_click_moves_the_watermark() -> None:
    future = click("u", NOW / 1000 + 60.5)
    truth = recount({0: run(*[click("u", T)] * 3, future, None, b"{", click("u", T))}, SETTINGS, [BOT])
    assert over(truth) == {("bot", "u", 0): 4}
    assert (truth.accepted, truth.rejected, truth.late, truth.ignored, truth.produced) == (4, 2, 0, 1, 7)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1_600_000_000, 1_600_000_200)),
        max_size=60,
    ),
    st.integers(0, 30),
)
def test_counts_are_those_of_the_definition(clicks: list[tuple[str, int]], lateness: int) -> None:
    rule = Rule(name="bot", window=20, threshold=1)
    counts = Counter(
        (user, time // 20 * 20)
        for position, (user, time) in enumerate(clicks)
        if time // 20 * 20 + 20 > max([t for _, t in clicks[:position]], default=-math.inf) - lateness
    )
    settings = SETTINGS.model_copy(update={"lateness": float(lateness)})
    truth = recount({0: run(*[click(user, time) for user, time in clicks])}, settings, [rule])
    found = {(case.user_id, case.window): count.in_time.count for case, count in truth.over().items()}
    assert {key: count for key, count in found.items() if count > 1} == {
        key: count for key, count in counts.items() if count > 1
    }
    assert truth.accepted == counts.total()


@pytest.mark.parametrize(
    "timestamp",
    [T, float(T), T * 1000, T * 1000.0 + 0.5, isotime(T), "2020-09-13T12:27:00", "2020-09-13 14:27:00+02:00"],
)
def test_a_timestamp_can_be_written_in_many_ways(timestamp: float | str) -> None:
    value = json.dumps({"user_id": "u", "event": "", "timestamp": timestamp}).encode()
    assert over(recount({0: run(*[value] * 4)}, SETTINGS, [BOT])) == {("bot", "u", 0): 4}


REJECTED = [
    *(b"", b"{", b"[1]", b"null", b'"x"', b"\xef\xbb\xbf{}", b"\xff", b"[" * 100_000),
    *(b'{"event":"e","timestamp":1}', b'{"user_id":"u","timestamp":1}', b'{"user_id":"u","event":"e"}'),
]
FIELDS: list[tuple[str, Any]] = [
    *(("user_id", each) for each in ("", None, 5.5, True, ["u"], "u" * 257, "\ud800")),
    *(("event", each) for each in (None, 5, "e" * 65)),
    *(("product_id", each) for each in (1.5, True)),
    *(("product_id", []), ("product_id", {})),
    *(("timestamp", each) for each in (None, True, "1000000", "now", "", -1, 31_535_999.9)),
    *(("timestamp", each) for each in (math.nan, math.inf)),
    *(("timestamp", each) for each in (NOW / 1000 + 60.5, NOW + 60_500, 10**30, "0001-01-01", "2999-01-01")),
    *(("unknown", each) for each in (math.nan, "\udfff")),
]


@pytest.mark.parametrize("value", REJECTED, ids=lambda value: repr(value[:20]))
def test_what_is_no_click_is_rejected(value: bytes) -> None:
    assert recount({0: run(value)}, SETTINGS, [BOT]).rejected == 1


@pytest.mark.parametrize(("field", "wrong"), FIELDS, ids=lambda value: repr(value)[:20])
def test_a_wrong_field_is_rejected(field: str, wrong: Any) -> None:
    good = {"user_id": "u", "event": "e", "timestamp": T, "product_id": None, "unknown": "\U0001f600"}
    truth = recount(
        {0: run(json.dumps(good).encode(), json.dumps(good | {field: wrong}).encode())}, SETTINGS, [BOT]
    )
    assert (truth.accepted, truth.rejected) == (1, 1)


def test_a_click_may_be_ahead_of_kafka_by_the_skew() -> None:
    truth = recount({0: run(click("u", NOW / 1000 + 60), click("u", NOW / 1000 + 60.001))}, SETTINGS, [BOT])
    assert (truth.accepted, truth.rejected) == (1, 1)


@pytest.mark.parametrize("literal", [b"1e400", b"1" * 5000, b"01", b".5", b"+1"])
def test_a_number_beyond_a_double_or_json_is_no_time(literal: bytes) -> None:
    value = b'{"user_id":"u","event":"e","timestamp":%s}' % literal
    assert recount({0: run(value)}, SETTINGS, [BOT]).rejected == 1


json_values = st.one_of(
    st.sampled_from(
        [
            "null",
            "true",
            "0",
            "-0.0",
            "1e3",
            "1e400",
            "-1",
            '""',
            '"\\ud83d\\ude00"',
            '"\\ud800"',
            "NaN",
            "[{}]",
        ]
    ),
    st.text('a"\\\n\0é\u202e\U0001f600', max_size=70).map(json.dumps),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(0, NOW / 1000 + 100).map(repr),
    st.datetimes().map(lambda moment: json.dumps(moment.isoformat())),
    st.integers(250, 260).map(lambda length: json.dumps("ü" * length)),
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "user_id": st.one_of(st.just('"u"'), json_values),
            "event": st.one_of(st.just('"e"'), json_values),
            "timestamp": st.one_of(st.just(str(T)), json_values),
            "product_id": json_values,
            "unknown": json_values,
        },
    )
)
@example({"user_id": '"u"', "event": '"e"', "timestamp": str(T)})
def test_the_detection_reads_the_same_clicks(fields: dict[str, str]) -> None:
    value = ("{" + ",".join(f'"{name}":{literal}' for name, literal in fields.items()) + "}").encode()
    clicks = Decoder(SETTINGS.field_names, SETTINGS.max_skew).decode(run(value))
    truth = recount({0: run(value)}, SETTINGS, [Rule(name="any", window=1, threshold=1)])
    twice = recount({0: run(value, value)}, SETTINGS, [Rule(name="any", window=1, threshold=1)])
    assert (truth.accepted, truth.rejected) == (len(clicks.users), len(clicks.rejected))
    assert [(case.user_id, case.window) for case in twice.over()] == [
        (user, int(time)) for user, time in zip(clicks.users, clicks.times, strict=True)
    ]


# -- what the wall clock and retention took away ----------------------------------------------------


def late_record(offset: int, topic: str = "clicks", **headers: bytes) -> Record:
    given = {"topic": topic.encode(), "partition": b"0", "offset": b"%d" % offset, "rules": b"bot,login"}
    return Record(b"", headers=tuple((given | headers).items()))


def test_a_click_the_wall_clock_made_late_is_excused_and_said_so() -> None:
    runs = {0: run(*[click("u", T)] * 4, click("u", T + 1))}
    excused = excuses([late_record(4), late_record(4)], "clicks")
    truth = recount(runs, SETTINGS, [BOT], excused)
    assert excused == {(0, 4, 0): Missed(frozenset({("bot", None), ("login", None)}), frozenset())}
    assert (over(truth), truth.accepted, truth.late, truth.excused) == ({("bot", "u", 0): 4}, 4, 1, 1)


def test_a_click_late_by_the_watermark_needs_no_excuse() -> None:
    truth = recount(
        {0: run(click("u", T), click("u", T + 65), click("u", T))},
        SETTINGS,
        [BOT],
        {(0, 2, 0): Missed(frozenset({("bot", T)}), frozenset())},
    )
    assert (truth.late, truth.excused) == (1, 0)


@pytest.mark.parametrize(
    "record",
    [
        late_record(0, topic="others"),
        late_record(0, partition=b"x"),
        late_record(0, rules=b"\xff"),
        Record(b""),
    ],
)
def test_a_record_that_names_no_click_of_the_topic_excuses_none(record: Record) -> None:
    assert excuses([record], "clicks") == {}


def test_windows_that_may_have_lost_clicks_are_not_judged() -> None:
    attack = [click("u", T + second) for second in (0, 59, 60, 119, 120, 179) for _ in range(4)]
    truth = Recount(SETTINGS, [BOT], begins={0: 7})
    truth.add(0, run(*attack, begin=7))
    # Lost clicks were earlier than T + 60 + lateness: the first two windows may be short of some.
    assert over(truth) == {("bot", "u", 120): 8}
    verdict = judge(truth, [report(Case(0, "bot", "u", T + 60), 9), report(Case(0, "bot", "u", T + 120), 8)])
    assert verdict.ok
    assert (verdict.unjudged, verdict.begins, verdict.produced) == (1, {0: 7}, 24)


def test_a_partition_that_lost_everything_is_not_judged() -> None:
    verdict = judge(Recount(SETTINGS, [BOT], begins={0: 9}), [report(Case(0, "bot", "u", T), 9)])
    assert verdict.ok
    assert verdict.unjudged == 1


def test_a_compacted_partition_that_lacks_clicks_is_not_judged() -> None:
    attack = run(*[click("u", T)] * 4, click("v", T + 1))
    said = [report(Case(0, "bot", "u", T), 4), report(Case(1, "bot", "u", T), 7, partition=1)]
    truth = Recount(SETTINGS, [BOT], compacted=True)
    truth.add(0, attack[3:])  # it begins at offset 0, and the first record it still holds is the fourth
    truth.add(1, attack)
    verdict = judge(truth, said)
    assert (verdict.gone, verdict.unjudged, verdict.conclusive) == ({0: 3}, 1, False)
    # What is whole is judged, and so is what anomalies say of each other.
    assert (verdict.missing, verdict.invented, verdict.interval_misses, verdict.conflicting) == (0, 0, 1, 1)
    lacking = recount({0: attack[3:]}, SETTINGS, [BOT])
    assert (judge(lacking, said[:1]).gone, judge(lacking, said[:1]).invented) == ({}, 1)


# -- windows that overlap ---------------------------------------------------------------------------

SLIDING = Rule(name="bot", window=60, threshold=3, slide=20)


def test_a_click_counts_in_every_window_that_holds_it() -> None:
    values = [click("across", T + second) for second in (41, 59, 61, 79)]
    truth = recount({0: run(*values, click("ann", T + 300))}, SETTINGS, [SLIDING])
    assert over(truth) == {("bot", "across", 20): 4, ("bot", "across", 40): 4}


def test_a_click_is_late_in_some_of_its_windows_and_in_time_in_others() -> None:
    in_time = [*[click("eve", T + 30)] * 3, click("ann", T + 45)]
    truth = recount(
        {0: [*run(*in_time), Record(click("eve", T + 30), 4, 1000 * (T + 45))]}, SETTINGS, [SLIDING]
    )
    found = {case.window - T: count for case, count in counts(truth).items()}
    assert found == {-20: (3, 1, 0), 0: (4, 0, 0), 20: (4, 0, 0)}
    assert (truth.accepted, truth.late) == (4, 1)


def test_the_wall_clock_excuses_the_windows_that_it_has_closed() -> None:
    windows = b"bot/%d,bot/%d" % (T - 20, T)
    excused = excuses(
        [late_record(3, rules=b"bot", windows=windows, uncounted_windows=b"bot/%d" % T)], "clicks"
    )
    truth = recount({0: run(*[click("eve", T + 30)] * 4)}, SETTINGS, [SLIDING], excused)
    assert (truth.late, truth.excused, truth.uncounted) == (1, 1, 1)
    assert {case.window - T: count for case, count in counts(truth).items()} == {
        -20: (3, 1, 0),
        20: (4, 0, 0),
    }


@given(st.randoms(use_true_random=False), st.sampled_from([0.0, 4.0, 30.0]))
@settings(max_examples=60)
def test_what_detection_says_of_overlapping_windows_is_right(random: Random, disorder: float) -> None:
    happened = sorted(random.uniform(0, 400) for _ in range(random.randint(1, 300)))
    arriving = sorted((time + random.uniform(0, disorder), time) for time in happened)
    records = [
        Record(click(f"u{random.choice([0, 0, 1, 2, 3])}", T + time), offset, math.ceil(1000 * (T + came)))
        for offset, (came, time) in enumerate(arriving)
    ]
    rules = (sliding_by(12), sliding_by(0))
    detection, said = Detection(0, rules, SETTINGS), []
    decode = Decoder(SETTINGS.field_names, SETTINGS.max_skew).decode
    for first in range(0, len(records), 40):
        said += detection.count(Batch(decode(records[first : first + 40]))).anomalies
    detection.decide(math.inf)
    said += detection.close().anomalies
    told = [Record(msgspec.json.encode(anomaly), key=anomaly.alert_id.encode()) for anomaly in said]
    verdict = judge(recount({0: records}, SETTINGS, rules), told)
    assert verdict.ok, verdict.examples


def risen(*more: bytes) -> tuple[Recount, list[Anomaly]]:
    """eve with 65 clicks in one window, 21 times the threshold, and what detection says of it."""
    records = run(*[click("eve", T + number / 2) for number in range(65)], *more)
    detection = Detection(0, [BOT], SETTINGS)
    decode = Decoder(SETTINGS.field_names, SETTINGS.max_skew).decode
    said = detection.count(Batch(decode(records))).anomalies
    return recount({0: records}, SETTINGS, [BOT]), said


def as_records(said: list[Anomaly], **changed: Any) -> list[Record]:
    """As they are written; those of the second step with other fields."""
    return [
        Record(
            msgspec.json.encode(msgspec.structs.replace(each, **changed) if each.revision == 2 else each),
            key=each.alert_id.encode(),
        )
        for each in said
    ]


@pytest.mark.parametrize("more", [(), (click("ann", T + 300),)], ids=["open", "closed"])
def test_each_step_is_told_while_the_window_is_open(more: tuple[bytes, ...]) -> None:
    truth, said = risen(*more)
    steps = [(each.revision, each.times, each.count_low) for each in said if each.status == "ongoing"]
    assert [step[:2] for step in steps] == [(0, 1), (1, 2), (2, 5), (3, 20)]
    assert [step[2] for step in steps[1:]] == [6, 15, 60]
    assert judge(truth, as_records(said)).ok
    for revision in (1, 2, 3):
        lacking = [each for each in said if each.status != "ongoing" or each.revision != revision]
        assert faults(judge(truth, as_records(lacking))) == {"missing": 1}
    # A release before there were steps told of none.
    old = [msgspec.structs.replace(each, times=0) for each in said if each.revision == 0]
    assert judge(truth, as_records(old)).ok


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"times": 2}, {"conflicting": 1}),
        ({"times": 20}, {"conflicting": 1}),
        ({"times": 0}, {"conflicting": 1}),
        ({"revision": 1}, {"conflicting": 1, "missing": 1}),
        ({"count_low": 14}, {"conflicting": 1}),
        ({"count_low": 60, "times": 20}, {"conflicting": 1}),
        ({"count_low": 66, "count": 66, "count_high": 66}, {"conflicting": 1, "interval_misses": 1}),
        ({"incident_id": "another"}, {"conflicting": 1}),
        ({"allowed": "it is ours"}, {"conflicting": 1}),
    ],
)
def test_a_wrong_step_is_found_wrong(changed: dict[str, Any], expected: dict[str, int]) -> None:
    truth, said = risen()
    assert faults(judge(truth, as_records(said, **changed))) == expected


def sliding_by(slide: int) -> Rule:
    return Rule(name=f"by-{slide}", window=60, threshold=8, slide=slide)


RUN = [Case(0, "bot", "eve", T + start) for start in (-40, -20, 0, 20)]
FIRST, SECOND = (alert_id("bot", "eve", case.window) for case in RUN[:2])


@pytest.mark.parametrize(
    ("incidents", "expected"),
    [
        ([FIRST] * 4, {}),
        ([""] * 4, {}),  # of an older release
        ([SECOND] * 4, {"conflicting": 4}),
        ([FIRST, FIRST, FIRST, alert_id("bot", "eve", T + 20)], {"conflicting": 1}),
    ],
)
def test_an_incident_is_named_after_its_first_window(incidents: list[str], expected: dict[str, int]) -> None:
    values = [*[click("eve", T)] * 4, *[click("eve", T + 25)] * 4, click("ann", T + 300)]
    truth = recount({0: run(*values)}, SETTINGS, [SLIDING])
    said = [
        report(case, truth.over()[case].total.count, incident_id=incident)
        for case, incident in zip(RUN, incidents, strict=True)
    ]
    assert faults(judge(truth, said)) == expected


def test_one_window_has_one_incident(truth: Recount) -> None:
    said = [report(CLOSED, 4, "ongoing", incident_id="a"), report(CLOSED, 4, incident_id="b")]
    assert judge(truth, [*said, *good()[2:]]).conflicting == 1


# -- the verdict ------------------------------------------------------------------------------------

CLOSED, OPEN = Case(0, "bot", "eve", T), Case(0, "bot", "mallory", T + 120)


@pytest.fixture
def truth() -> Recount:
    """eve with 4 clicks in a window that is closed, mallory with 5 in one that is open."""
    values = [click("eve", T)] * 4 + [click("ann", T)] * 3 + [click("mallory", T + 130)] * 5
    return recount({0: run(*values)}, SETTINGS, [BOT])


def report(case: Case, count: int, status: str = "closed", **fields: Any) -> Record:
    given: dict[str, Any] = {
        "alert_id": alert_id(case.rule, case.user_id, case.window),
        "rule": case.rule,
        "status": status,
        "user_id": case.user_id,
        "window_start": isotime(case.window),
        "window_end": isotime(case.window + 60),
        "count": count,
        "count_low": count,
        "count_high": count,
        "threshold": 3,
        "first_seen": isotime(case.window),
        "last_seen": isotime(case.window),
        "events": {"view": count},
        "distinct_products": 0,
        "category": "bot",
        "owasp": "OAT-003",
        "reasons": [],
        "partition": case.partition,
    }
    anomaly = Anomaly(**given | fields)
    return Record(msgspec.json.encode(anomaly), key=anomaly.alert_id.encode())


def good() -> list[Record]:
    return [report(CLOSED, 4, "ongoing"), report(CLOSED, 4), report(OPEN, 4, "ongoing", count_high=9)]


def faults(verdict: Judgement) -> dict[str, int]:
    assert set(verdict.examples) == {fault for fault in FAULTS if getattr(verdict, fault)}
    return {fault: getattr(verdict, fault) for fault in FAULTS if getattr(verdict, fault)}


def test_what_is_right_is_found_right(truth: Recount) -> None:
    again = report(CLOSED, 4, emitted_at="later", worker="another")
    verdict = judge(truth, [*good(), again])
    assert verdict.ok
    assert verdict.accounted
    assert (verdict.expected, verdict.reported, verdict.closed, verdict.exact, verdict.repeats) == (
        2,
        2,
        1,
        1,
        1,
    )


def test_an_interval_that_holds_the_truth_is_right_but_not_exact(truth: Recount) -> None:
    verdict = judge(truth, [*good()[2:], report(CLOSED, 6, count_low=4)])
    assert verdict.ok
    assert (verdict.closed, verdict.exact) == (1, 0)


def test_an_open_window_may_be_closed_by_the_wall_clock(truth: Recount) -> None:
    assert judge(truth, [*good(), report(OPEN, 5)]).ok


WRONG: dict[str, tuple[Callable[[list[Record]], list[Record]], dict[str, int]]] = {
    "nothing reported": (lambda right: [], {"missing": 2}),
    "closed window never closed": (lambda right: [right[0], right[2]], {"missing": 1}),
    "open window not told": (lambda right: right[:2], {"missing": 1}),
    "user at the threshold": (lambda right: [*right, report(Case(0, "bot", "ann", T), 4)], {"invented": 1}),
    "unknown user": (lambda right: [*right, report(Case(0, "bot", "bob", T), 4, "ongoing")], {"invented": 1}),
    "unknown rule": (lambda right: [*right, report(Case(0, "old", "eve", T), 4)], {"invented": 1}),
    "another window": (lambda right: [*right, report(CLOSED._replace(window=T + 60), 4)], {"invented": 1}),
    "another partition": (
        lambda right: [right[0], report(CLOSED._replace(partition=1), 4), right[2]],
        {"missing": 1, "invented": 1},
    ),
    "no anomaly": (lambda right: [*right, Record(b"[]", 7), Record(None, 8)], {"invented": 2}),
    "unknown status": (lambda right: [*right, report(CLOSED, 4, "over")], {"invented": 1}),
    "other content": (lambda right: [*right, report(CLOSED, 4, reasons=["x"])], {"conflicting": 1}),
    "other ongoing": (lambda right: [*right, report(OPEN, 5, "ongoing")], {"conflicting": 1}),
    "foreign alert_id": (lambda right: [*right, report(CLOSED, 4, alert_id="0" * 32)], {"conflicting": 1}),
    "foreign alert_id under the right key": (
        lambda right: [*right[:2], replace(report(OPEN, 4, "ongoing", alert_id="0" * 32), key=right[2].key)],
        {"conflicting": 1},
    ),
    "foreign key": (lambda right: [*right[:2], replace(right[2], key=b"0")], {"conflicting": 1}),
    "window of another size": (
        lambda right: [*right[:2], report(OPEN, 4, "ongoing", window_end=isotime(T + 720))],
        {"conflicting": 1},
    ),
    "closed too low": (lambda right: [right[2], report(CLOSED, 3)], {"interval_misses": 1}),
    "closed too high": (lambda right: [right[2], report(CLOSED, 5)], {"interval_misses": 1}),
    "ongoing too high": (lambda right: [*right[:2], report(OPEN, 6, "ongoing")], {"interval_misses": 1}),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found_wrong(truth: Recount, name: str) -> None:
    spoil, expected = WRONG[name]
    verdict = judge(truth, spoil(good()))
    assert faults(verdict) == expected
    assert not verdict.ok


LATER = T + 65 + 60  # when what came late for the first window must have been told of


@pytest.fixture
def late() -> Recount:
    """Late clicks take eve from 4 to 6, and bob from 2 to 5; two of mia's 5 came too late to be counted."""
    in_time = [*[click("eve", T)] * 4, *[click("bob", T)] * 2, click("ann", T + 65)]
    behind = [click("eve", T)] * 2 + [click("bob", T)] * 3 + [click("mia", T)] * 5
    runs = run(*in_time)
    runs += [Record(value, len(runs) + number, 1000 * (T + 65)) for number, value in enumerate(behind)]
    runs += [Record(click("ann", LATER), len(runs), 1000 * LATER)]
    bot = frozenset({("bot", T)})
    missed = {(0, offset, 0): Missed(bot, bot) for offset in (12, 13)}
    return recount({0: runs}, SETTINGS, [BOT], missed)


BOB, MIA = Case(0, "bot", "bob", T), Case(0, "bot", "mia", T)


def corrected(case: Case, count: int, revision: int = 1, **fields: Any) -> Record:
    return report(case, count, "corrected", revision=revision, **fields)


def test_corrections_are_right_by_all_that_could_be_counted(late: Recount) -> None:
    assert (late.accepted, late.late, late.uncounted) == (8, 10, 2)
    assert counts(late) == {CLOSED: (4, 2, 2), BOB: (2, 3, 3)}
    said = [report(CLOSED, 4), corrected(CLOSED, 5), corrected(CLOSED, 6, 2), corrected(BOB, 5)]
    verdict = judge(late, [*said, corrected(CLOSED, 5)])
    assert verdict.ok, verdict.examples
    assert (verdict.expected, verdict.closed, verdict.corrected, verdict.final) == (2, 1, 2, 2)
    assert (verdict.exact, verdict.repeats, verdict.uncounted) == (2, 1, 2)


def test_a_correction_need_not_have_been_told_before_it_is_due() -> None:
    clicks = [*[click("bob", T)] * 2, click("ann", T + 65)]
    behind = [Record(click("bob", T), len(clicks) + number, 1000 * (T + 65)) for number in range(3)]
    truth = recount({0: run(*clicks) + behind}, SETTINGS, [BOT])
    assert counts(truth) == {BOB: (2, 3, 0)}
    assert judge(truth, []).ok
    assert judge(truth, [corrected(BOB, 5)]).ok


UNRIGHTED: dict[str, tuple[list[Record], dict[str, int]]] = {
    "nobody corrected": ([report(CLOSED, 4)], {"missing": 2}),
    "closed left out": ([corrected(CLOSED, 6), corrected(BOB, 5)], {"missing": 1}),
    "late clicks in closed": (
        [report(CLOSED, 6), corrected(CLOSED, 6), corrected(BOB, 5)],
        {"interval_misses": 1},
    ),
    "closed for want of late clicks": (
        [report(CLOSED, 4), corrected(CLOSED, 6), report(BOB, 5), corrected(BOB, 5)],
        {"invented": 1},
    ),
    "too many": ([report(CLOSED, 4), corrected(CLOSED, 7), corrected(BOB, 5)], {"interval_misses": 1}),
    "the last too few": (
        [report(CLOSED, 4), corrected(CLOSED, 5), corrected(BOB, 5)],
        {"interval_misses": 1},
    ),
    "what could not be counted": (
        [
            report(CLOSED, 4),
            corrected(CLOSED, 6),
            corrected(BOB, 5),
            corrected(BOB._replace(user_id="mia"), 5),
        ],
        {"invented": 1},
    ),
    "one revision, two contents": (
        [report(CLOSED, 4), corrected(CLOSED, 5), corrected(CLOSED, 6), corrected(BOB, 5)],
        {"conflicting": 1},
    ),
}


@pytest.mark.parametrize("name", UNRIGHTED)
def test_a_wrong_correction_is_found_wrong(late: Recount, name: str) -> None:
    said, expected = UNRIGHTED[name]
    assert faults(judge(late, said)) == expected


def test_a_user_in_two_partitions_conflicts_with_himself() -> None:
    truth = recount({0: run(*[click("u", T)] * 4), 1: run(*[click("u", T)] * 5)}, SETTINGS, [BOT])
    first, second = (report(Case(number, "bot", "u", T), 4 + number) for number in (0, 1))
    assert faults(judge(truth, [first, second])) == {"conflicting": 1}


def test_examples_say_what_was_expected_and_found_and_escape_the_user() -> None:
    truth = recount({0: run(*[click("\x1b[2J\u202e", T)] * 4)}, SETTINGS, [BOT])
    (text,) = judge(truth, []).examples["missing"]
    assert text == (
        r"bot 2020-09-13T12:27:00Z user '\x1b[2J\u202e' partition 0: "
        "expected an anomaly of 4 clicks, found none"
    )


def test_offsets_without_a_record_leave_the_sum_short() -> None:
    truth = recount({0: [Record(click("u", T), 0), Record(click("u", T), 2)]}, SETTINGS, [BOT])
    verdict = judge(truth, [])
    assert (verdict.produced, verdict.accepted, verdict.accounted) == (3, 2, False)


def test_who_is_over_the_threshold_only_in_all_partitions_together_is_hidden() -> None:
    values = [click("eve", T)] * 2 + [click("ann", T)] + [click(user, T + 60) for user in ("eve", "bob")]
    truth = recount({0: run(*values), 1: run(*values[:3])}, SETTINGS, [BOT])
    verdict = judge(truth, [])
    assert (verdict.ok, verdict.conclusive, verdict.apart, verdict.hidden) == (True, False, 2, 1)
    assert verdict.examples == {
        "hidden": [
            "bot 2020-09-13T12:27:00Z user 'eve': 4 clicks, threshold 3; by partition 2 in 0, 2 in 1",
        ]
    }


def test_who_is_reported_in_one_partition_or_moves_between_windows_is_not_hidden() -> None:
    values = [click("eve", T)] * 4
    truth = recount({0: run(*values), 1: run(click("eve", T), *[click("eve", T + 60)] * 4)}, SETTINGS, [BOT])
    assert (judge(truth, []).apart, judge(truth, []).hidden) == (1, 0)
    moved = recount({0: run(*values), 1: run(*[click("eve", T + 60)] * 3)}, SETTINGS, [BOT])
    assert (judge(moved, []).apart, judge(moved, []).conclusive) == (0, True)


def test_clicks_that_came_late_are_split_too() -> None:
    late = run(click("eve", T), *[click("ann", T + 70)] * 5, click("eve", T + 1))
    assert judge(recount({0: late, 1: late}, SETTINGS, [BOT]), []).hidden == 1
