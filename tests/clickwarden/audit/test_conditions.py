"""Conditions on fields: recount and detection, which share no code, agree, however the clicks are cut."""

import json
import math
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwarden.audit.conditions import fulfils
from clickwarden.audit.oracle import judge, recount
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.clauses import normal
from clickwarden.detection.conditions import Condition
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule, fields_of
from clickwarden.formats.choice import decoder_of
from clickwarden.settings import Settings
from tests.clickwarden.detection.reference import state
from tests.framed import Record

T = 1_600_000_020
SETTINGS = Settings(_env_file=None, lateness=5.0, field_user_id="user.id|user_id")
SIGNS = "ab-!]^[*?\\1.0e><= ,/é"
VALUES = st.one_of(
    st.text(SIGNS, max_size=6),
    st.sampled_from(["404", "404.0", "4.04e2", "-0", "1e400", "9" * 5000, "00", "1.", "inf", "NaN", "a\nb"]),
)
WRITTEN = st.one_of(
    st.text(SIGNS + "**!!", min_size=1, max_size=8),
    st.lists(st.sampled_from(["a", "1", "a*", "!a", "!b?", ">= 1", "\\*"]), min_size=1, max_size=3),
    st.sampled_from([">= 404", "<404, >-1", "> 1e400", "<=4.04e2", "!404", "[!a]*", "[a-b-]", "*a*b*"]),
)


@given(WRITTEN, st.lists(VALUES | st.none(), min_size=1, max_size=20))
@settings(max_examples=500)
def test_any_condition_is_judged_alike(written: Any, values: list[str | None]) -> None:
    try:
        where = normal({"field": written})
    except ValueError:
        return
    condition = Condition(where["field"])
    values += [written] if isinstance(written, str) else written
    assert [condition[value] for value in values] == [fulfils(where, {"field": value}) for value in values]


RULES = (
    Rule(name="all", window=60, threshold=12, slide=12),
    Rule(name="errors", window=60, threshold=4, slide=12, where={"status": ">= 400", "path": "/a*"}),
    Rule(name="no-view", window=30, threshold=4, where={"status": "!404", "user.plan": ["pro", True, 1]}),
    Rule(name="views", window=60, threshold=4, events=("view",), where={"method": "!*", "user_id": "e*"}),
)


def value(random: Random, time: float) -> Any:
    """A click, some as they never come, or what is none."""
    status: Any = random.choice([404, 404, "404", 404.0, 4.5e2, 200, None, [404], {}, True, "", 10**30])
    user = random.choice(["eve", "eve", "ann", 7])
    plan: Any = random.choice(["pro", True, 1, 1.0, "1", False, None, [], "free"])
    click = {"event": random.choice(["view", "buy"]), "timestamp": time, "status": status}
    click |= {"user_id": user} if random.random() < 0.2 else {"user": {"id": user, "plan": plan}}
    click |= random.choice([{}, {"path": "/ab"}, {"path": "/b"}, {"product_id": "/a"}, {"path": None}])
    click |= random.choice([{}, {"method": "GET"}])
    if random.random() < 0.1:
        return [click, click, {"event": 5}]
    return random.choice([5, {}, "x"]) if random.random() < 0.05 else click


def told(records: list[Record], size: int, fields: frozenset[str]) -> tuple[list[Anomaly], Any]:
    """What detection finds in records that come so many at a time."""
    detection, said, decoder = Detection(0, RULES, SETTINGS), list[Anomaly](), decoder_of(SETTINGS)()
    decoder.want(fields)
    for first in range(0, len(records), size):
        clicks = decoder.decode(records[first : first + size])
        said += detection.count(Batch(clicks, fields)).anomalies
    detection.decide(math.inf)
    return said + detection.close().anomalies, state(detection)


@given(st.randoms(use_true_random=False), st.sampled_from([0.0, 4.0, 30.0]), st.integers(1, 60))
@settings(max_examples=60)
def test_what_is_said_of_clicks_with_fields_is_right_however_they_are_cut(
    random: Random, disorder: float, size: int
) -> None:
    happened = sorted(random.uniform(0, 200) for _ in range(random.randint(1, 200)))
    arriving = sorted((time + random.uniform(0, disorder), time) for time in happened)
    records = [
        Record(json.dumps(value(random, T + time)).encode(), offset, math.ceil(1000 * (T + came)))
        for offset, (came, time) in enumerate(arriving)
    ]
    fields = fields_of(RULES)
    said, known = told(records, size, fields)
    again, same = told(records, 300, fields | {"further"})
    assert sorted(map(msgspec.json.encode, again)) == sorted(map(msgspec.json.encode, said))
    assert same == known
    records_told = [Record(msgspec.json.encode(one), key=one.alert_id.encode()) for one in said]
    verdict = judge(recount({0: records}, SETTINGS, RULES), records_told)
    assert verdict.ok, verdict.examples
    assert verdict.expected == verdict.reported
