"""An allow-list that changes again and again: each anomaly says what the list at its offset does."""

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwarden.audit.allowed import Lists
from clickwarden.audit.oracle import Judgement, judge
from clickwarden.audit.recount import Recount
from clickwarden.detection import adoption, snapshot
from clickwarden.detection.adoption import adoptions_of, lists_of
from clickwarden.detection.allowlist import Allowance, AllowList, Members
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings
from clickwarden.times import isotime
from tests.clickwarden.detection.reference import batch_of
from tests.site import ReadRecord, click

T = 1_600_000_020
SETTINGS = Settings(_env_file=None, lateness=5.0)
RULES = (
    Rule(name="bot", window=20, slide=10, threshold=5, width=1024),
    Rule(name="trial", window=60, threshold=9, width=1024, shadow=True),
)

Clicks = list[tuple[str, str, str | None, float]]
#: An offset at which a change is there, and how much further the partition had got by then; who is taken off
#: the list by it, and who is put on it.
Plan = tuple[int, int, Members, Allowance]

users = st.lists(st.sampled_from(["u0", "u1", "u2", "u3"]), max_size=2)
prefixes = st.sampled_from([[], [], ["u"]])
plans = st.lists(
    st.tuples(
        st.integers(0, 300),
        st.integers(0, 40),
        st.builds(Members, users=users, prefixes=prefixes),
        st.builds(
            Allowance,
            users=users,
            prefixes=prefixes,
            reason=st.sampled_from(["one", "another"]),
            until=st.sampled_from(["", isotime(T + 30), isotime(T + 60)]),
        ),
    ),
    max_size=6,
)


def stream(seed: int, size: int) -> Clicks:
    random = np.random.default_rng(seed)
    times = np.sort(T + random.random(size) * size / 3) + random.random(size) * 3
    return [(f"u{random.integers(4)}", "view", None, round(float(time), 3)) for time in times]


def lists(given: list[Plan]) -> list[ReadRecord]:
    """The changes as they are in the rules topic."""
    records = []
    for number, (_, _, removed, added) in enumerate(given, 1):
        change = {"number": number, "rules": [], "what": "", "who": "", "when": ""}
        value = msgspec.json.encode(change | {"disallow": [removed], "allow": [added]})
        records.append(ReadRecord(0, number, 0, 1, f"change/{number}/0a".encode(), value, ()))
    return records


def counted(
    rows: Clicks, given: list[Plan], cuts: set[int], deaths: set[int]
) -> tuple[list[Anomaly], list[tuple[int, int]]]:
    """What is told of batches that are cut there, as a partition cuts them, over deaths of the worker."""
    entries = AllowList()
    detection = Detection(0, RULES, SETTINGS)
    detection.allowing.entries = entries
    told: list[tuple[int, int]] = lists_of(detection, [])
    anomalies: list[Anomaly] = []
    ahead = list(enumerate(given, 1))
    begin = 0
    while begin < len(rows):
        while ahead and ahead[0][1][0] <= begin:
            number, (_, further, removed, added) = ahead.pop(0)
            entries.take(number, [removed], [added])
            end = max([begin + further, *(offset for offset, _ in detection.allowing.changes)])
            if detection.allowing.plan(entries.number, end):
                told = lists_of(detection, told)
        if begin in deaths:
            packed = snapshot.compress(snapshot.dump(detection))
            detection = snapshot.load(packed, 0, SETTINGS, outcomes(detection))
            detection.allowing.entries = entries
            dumped = adoption.dump(adoptions_of(detection, []), [*told, (len(rows) + 1, 99)])
            told = lists_of(detection, adoption.load_lists(dumped))
        change = detection.adopt(begin)
        stops = [len(rows), *(cut for cut in cuts if cut > begin), *([] if change is None else [change])]
        stops += [plan[0] for _, plan in ahead[:1]] + [death for death in deaths if death > begin]
        end = min(stops)
        received = [row[3] + 0.001 for row in rows[begin:end]]
        anomalies += detection.count(batch_of(rows[begin:end], received)).anomalies
        detection.advance(end)
        begin = end
    return anomalies, told


def outcomes(detection: Detection) -> dict[bytes, bytes]:
    return {
        snapshot.outcome_key(window.name): snapshot.dump_outcome(window.outcome)
        for window in detection.closed
        if window.outcome is not None
    }


def judged(
    rows: Clicks, given: list[Plan], told: list[tuple[int, int]], anomalies: list[Anomaly]
) -> Judgement:
    truth = Recount(SETTINGS, RULES, lists=(Lists(lists(given)), {0: told}))
    truth.add(
        0,
        [
            ReadRecord(0, number, int(1000 * row[3]) + 1, 1, b"", click(row[0], row[3]), ())
            for number, row in enumerate(rows)
        ],
    )
    said = [
        ReadRecord(0, 0, 0, 1, each.alert_id.encode(), msgspec.json.encode(each), ()) for each in anomalies
    ]
    return judge(truth, said)


@settings(max_examples=200)
@given(
    st.integers(0, 2**32),
    st.integers(1, 300),
    plans,
    st.sets(st.integers(0, 300), max_size=20),
    st.sets(st.integers(0, 300), max_size=3),
)
def test_batches_and_deaths_do_not_matter_and_the_recount_agrees(
    seed: int, size: int, plans: list[Plan], cuts: set[int], deaths: set[int]
) -> None:
    rows = stream(seed, size)
    given = sorted(plans, key=lambda plan: plan[0])
    anomalies, told = counted(rows, given, cuts, deaths)
    key = msgspec.json.encode
    singly, _ = counted(rows, given, set(range(size)), set())
    assert sorted(map(key, anomalies)) == sorted(map(key, singly))
    verdict = judged(rows, given, told, anomalies)
    assert verdict.ok, verdict.examples


def test_the_recount_sees_each_wrong_mark() -> None:
    rows = stream(7, 200)
    given: list[Plan] = [
        (50, 10, Members(), Allowance(users=["u1"], reason="one")),
        (120, 5, Members(users=["u1"]), Allowance(prefixes=["u2"], reason="another", until=isotime(T + 60))),
    ]
    anomalies, told = counted(rows, given, set(), set())
    assert {each.allowed for each in anomalies} == {"", "one", "another"}
    assert {each.shadow for each in anomalies} == {True, False}
    assert judged(rows, given, told, anomalies).ok
    for number, each in enumerate(anomalies):
        # At which click somebody comes to a further step, only who counts can know: any list since holds.
        plausible = (
            {"", "one" if each.user_id == "u1" else "another"}
            if each.status == "ongoing" and each.revision
            else set()
        )
        for wrong in {"", "one", "another"} - {each.allowed} - plausible:
            marked = msgspec.structs.replace(each, allowed=wrong)
            others = [*anomalies[:number], marked, *anomalies[number + 1 :]]
            assert judged(rows, given, told, others).conflicting == 1, each
        marked = msgspec.structs.replace(each, shadow=not each.shadow)
        assert (
            judged(rows, given, told, [*anomalies[:number], marked, *anomalies[number + 1 :]]).conflicting
            == 1
        )
