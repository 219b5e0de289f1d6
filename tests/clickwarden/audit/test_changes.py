"""Rules that change again and again: detection and recount agree on every case, whatever the changes are."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwarden.audit.oracle import judge
from clickwarden.audit.recount import Recount
from clickwarden.detection import adoption, snapshot
from clickwarden.detection.adoption import Adoption, adoptions_of
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings
from tests.clickwarden.detection.reference import batch_of
from tests.site import ReadRecord, click

T = 1_600_000_020
SETTINGS = Settings(_env_file=None, lateness=5.0)


#: What counts, and what of it.
MEASURES: list[dict[str, Any]] = [
    {},
    {"events": ("view",)},
    {"count": "distinct product_id"},
    {"count": "distinct product_id", "events": ("view",)},
    {"share": "buy of buy, view", "at_least": 0.5},
    {"share": "view of buy, view", "at_least": 0.75},
]
CONDITIONS: list[Any] = [msgspec.UNSET, msgspec.UNSET, {"product_id": "!p1*"}, {"product_id": ["p?", "p1?"]}]


@st.composite
def rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    """Some of three names, each as it may be at one time or another."""
    names = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3))
    return tuple(
        Rule(
            name=name,
            window=(window := draw(st.sampled_from([10, 60, 90]))),
            slide=draw(st.sampled_from([0, window, window // 2, window // 5])),
            threshold=draw(st.integers(2, 8)),
            where=draw(st.sampled_from(CONDITIONS)),
            shadow=draw(st.booleans()),
            width=1024,
            **draw(st.sampled_from(MEASURES)),
        )
        for name in names
    )


Clicks = list[tuple[str, str, str | None, float]]


def stream(seed: int, size: int) -> Clicks:
    random = np.random.default_rng(seed)
    times = np.sort(T + random.random(size) * size / 2) + random.random(size) * 3
    return [
        (
            f"u{random.integers(4)}",
            str(random.choice(["view", "buy"])),
            f"p{random.integers(20)}" if random.random() < 0.9 else None,
            round(float(time), 3),
        )
        for time in times
    ]


def record(offset: int, time: float, key: bytes, value: bytes) -> ReadRecord:
    return ReadRecord(0, offset, int(1000 * time) + 1, 1, key, value, ())


def counted(
    rows: Clicks, changes: Sequence[tuple[int, int, tuple[Rule, ...]]], deaths: set[int]
) -> tuple[list[Anomaly], list[Adoption]]:
    """What is told under rules that are planned at one offset to count from another on.

    At some offsets the worker dies, and another goes on with what is durable; what the dead one
    had told of a change that is not, is told of no more.
    """
    detection = Detection(0, changes[0][2], SETTINGS)
    told = adoptions_of(detection, [])
    anomalies: list[Anomaly] = []
    ahead = list(changes[1:])
    for offset, (user, event, product, time) in enumerate(rows):
        while ahead and ahead[0][0] <= offset:
            _, end, wanted = ahead.pop(0)
            if detection.plan(wanted, max(end, offset)):
                told = adoptions_of(detection, adoption.load(adoption.dump(told)))
        if offset in deaths:
            detection = snapshot.load(
                snapshot.compress(snapshot.dump(detection)), 0, SETTINGS, outcomes(detection)
            )
            void = Adoption(len(rows) + 1, ())
            told = adoptions_of(detection, [*told, void])
        detection.adopt(offset)
        received = round(time, 3) + 0.001
        anomalies += detection.count(
            batch_of([(user, event, product, time)], [received], ["product_id"])
        ).anomalies
        detection.advance(offset + 1)
    return anomalies, told


def outcomes(detection: Detection) -> dict[bytes, bytes]:
    return {
        snapshot.outcome_key(window.name): snapshot.dump_outcome(window.outcome)
        for window in detection.closed
        if window.outcome is not None
    }


@settings(max_examples=100)
@given(
    st.integers(0, 2**32),
    st.integers(1, 400),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60), rules()), min_size=1, max_size=12),
    st.sets(st.integers(0, 400), max_size=5),
)
def test_recount_and_detection_agree(
    seed: int, size: int, plans: list[tuple[int, int, tuple[Rule, ...]]], deaths: set[int]
) -> None:
    rows = stream(seed, size)
    changes, last = [], 0
    for at, ahead, wanted in sorted(plans, key=lambda plan: plan[0]):
        last = max(last, at + ahead)
        changes.append((at, last, wanted))
    anomalies, told = counted(rows, changes, deaths)
    truth = Recount(SETTINGS, (), adoptions={0: told})
    written = (click(user, time, event, product_id=product) for user, event, product, time in rows)
    truth.add(
        0, [record(n, row[3], b"", value) for n, (row, value) in enumerate(zip(rows, written, strict=True))]
    )
    said = [record(0, 0.0, each.alert_id.encode(), msgspec.json.encode(each)) for each in anomalies]
    verdict = judge(truth, said)
    assert verdict.ok, verdict.examples
    assert verdict.accounted


def test_an_incident_goes_on_where_windows_are_only_written_another_way() -> None:
    aligned = Rule(name="a", window=60, threshold=2, width=1024)
    slid = msgspec.structs.replace(aligned, slide=60, threshold=3)
    rows: Clicks = [("eve", "view", None, T + 60 * minute + n) for minute in range(4) for n in range(5)]
    rows += [("ann", "view", None, T + 400.0)]
    anomalies, told = counted(rows, [(0, 0, (aligned,)), (8, 8, (slid,))], set())
    assert len({each.incident_id for each in anomalies}) == 1
    truth = Recount(SETTINGS, (), adoptions={0: told})
    written = (click(user, time, event) for user, event, _, time in rows)
    truth.add(
        0, [record(n, row[3], b"", value) for n, (row, value) in enumerate(zip(rows, written, strict=True))]
    )
    verdict = judge(
        truth, [record(0, 0.0, each.alert_id.encode(), msgspec.json.encode(each)) for each in anomalies]
    )
    assert verdict.ok, verdict.examples
