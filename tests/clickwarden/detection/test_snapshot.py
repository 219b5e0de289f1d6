"""A snapshot is the detection: what goes on from it is told apart by nothing.

``python -m tests.clickwarden.detection.test_snapshot`` writes the golden snapshot of a new version.
"""

import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from clickwarden import zstd
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.clicks import Rejected
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.detection.snapshot import VERSION, compress, dump, dump_outcome, load, outcome_key
from clickwarden.detection.told import Told
from clickwarden.detection.windows import WindowName
from clickwarden.errors import SnapshotError
from clickwarden.settings import Settings
from tests.clickwarden.detection.reference import Click, batch_of, core, state

T = 1_600_000_020  # start of a window of 60 s
SETTINGS = Settings(_env_file=None, lateness=5, seed=7, max_suspects=3)
RULES = (
    Rule(name="bot", window=60, threshold=6, width=1024),
    Rule(name="logins", window=20, threshold=2, events=("login",), width=1024),
)

#: By version, one of each kind of what a snapshot may hold; never written again.
GOLDEN = Path(__file__).with_name("snapshots")

clicks = st.builds(
    lambda user, event, product, second: (f"u{user}", event, product, T + second),
    st.integers(0, 6),
    st.sampled_from(["view", "login"]),
    st.one_of(st.none(), st.integers(0, 40).map(str)),
    st.integers(-30, 200).map(lambda tenths: tenths / 2),
)
streams = st.lists(clicks, max_size=120)


def reload(detection: Detection) -> Detection:
    return load(compress(dump(detection)), detection.partition, SETTINGS, outcomes(detection))


def outcomes(detection: Detection) -> dict[bytes, bytes]:
    return {outcome_key(w.name): dump_outcome(w.outcome) for w in detection.closed if w.outcome is not None}


def go_on(detection: Detection, rows: list[Click]) -> tuple[dict[int, list[WindowName]], list[Anomaly]]:
    findings = detection.count(batch_of(rows))
    return findings.late, findings.anomalies


@given(streams, streams, st.integers(0, 200))
@examples(max_examples=60)
def test_what_goes_on_from_a_snapshot_goes_on_as_if_there_were_none(
    before: list[Click], after: list[Click], silence: int
) -> None:
    sliding = Rule(name="sliding", window=60, threshold=6, slide=20, width=1024)
    detection = Detection(3, (*RULES, sliding), SETTINGS)
    detection.count(batch_of(before))
    detection.advance(len(before))
    detection.decide(silence)
    again = reload(detection)
    assert (again.partition, again.next_offset, again.newest) == (3, len(before), detection.newest)
    assert again.close().anomalies == detection.close().anomalies
    assert go_on(again, after) == go_on(detection, after)
    assert state(again) == state(detection)


def test_what_became_of_every_record_is_kept() -> None:
    detection = Detection(0, RULES, SETTINGS)
    run = batch_of([("ann", "view", None, T + 90), ("ann", "view", None, T)])
    run.rejected, run.ignored = (
        [Rejected(0, None, b"", "not_json", ""), Rejected(1, None, b"", "future", "")],
        3,
    )
    detection.count(run)
    again = reload(detection)
    assert (again.accepted, again.late, again.ignored) == (1, 1, 3)
    assert again.rejected == {"not_json": 1, "future": 1}


def test_a_partition_that_saw_nothing() -> None:
    again = reload(Detection(0, RULES, SETTINGS))
    assert (again.next_offset, again.watermark, [detector.rule for detector in again.rule_windows]) == (
        None,
        float("-inf"),
        list(RULES),
    )


def test_a_change_of_the_rules_is_kept_with_the_offset_it_waits_for() -> None:
    detection = Detection(0, RULES, SETTINGS)
    strict = Rule(name="bot", window=60, threshold=4, width=1024)
    assert detection.plan([strict], 17)
    again = reload(detection)
    assert not again.plan([strict], 99)
    assert again.adopt(16) == 17
    assert [detector.rule for detector in again.rule_windows] == list(RULES)
    assert again.adopt(17) is None
    assert [each.rule for each in reload(again).rule_windows] == [*RULES, strict]


def test_the_allow_list_is_kept_with_the_one_that_is_planned() -> None:
    detection = Detection(0, RULES, SETTINGS)
    assert detection.allowing.plan(4, 17)
    assert detection.adopt(17) is None
    assert detection.allowing.plan(7, 30)
    again = reload(detection)
    assert not again.allowing.plan(7, 99)
    assert (again.allowing.number, again.adopt(29)) == (4, 30)
    assert (again.adopt(30), again.allowing.number) == (None, 7)


def every_kind() -> Detection:
    """Open windows, suspects before and behind the threshold, late and rejected records, sealed windows,
    a rule on its way out and one to come, an allow-list and one to come."""
    detection = Detection(0, RULES, SETTINGS)
    run = batch_of(
        [(f"u{number % 5}", "login", f"p{number}", T + number / 2) for number in range(30)]
        + [("ann", "view", None, T + 90), ("late", "view", None, T)]
        + [(user, "view", "p", T + 91) for user in ["eve"] * 9 + ["bob"] * 4]
        + [("joe", "login", "p", T + 91)] * 3
    )
    run.rejected, run.ignored = [Rejected(0, None, b"", "not_json", "")], 2
    detection.count(run)
    detection.advance(17)
    detection.plan([Rule(name="bot", window=60, threshold=4, width=1024)], 17)
    detection.allowing.plan(2, 17)
    detection.adopt(17)
    detection.allowing.plan(3, 99)
    detection.plan([Rule(name="scan", window=60, threshold=9, width=1024)], 99)
    detection.decide(15)
    return detection


def rows(version: int) -> dict[bytes, bytes]:
    closed = GOLDEN / f"{version}.closed.bin"
    return msgspec.msgpack.decode(closed.read_bytes(), type=dict[bytes, bytes]) if closed.exists() else {}


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_every_version_there_ever_was_is_read(version: int) -> None:
    detection = load((GOLDEN / f"{version}.bin").read_bytes(), 0, SETTINGS, rows(version))
    known = core if version == 1 else state
    same = every_kind() if version >= 4 else without_incidents(every_kind())
    if version < 5:
        for ruled in same.rule_windows:
            ruled.closed = -math.inf
    assert known(detection) == known(same)
    after: list[Click] = [
        ("eve", "view", "q", T + 92),
        ("joe", "login", None, T + 93),
        ("ann", "view", None, T + 300),
    ]
    assert go_on(detection, after) == go_on(same, after)


def without_incidents(detection: Detection) -> Detection:
    """As it was before anomalies named their incidents."""
    for ruled in detection.rule_windows:
        ruled.told = Told(
            {
                window.start: dict.fromkeys(ruled.told.incidents[window.start], window.start)
                for window in ruled.open()
                if window.start in ruled.told.incidents
            }
        )
    for window in detection.closed:
        for suspect in window.outcome.suspects.values() if window.outcome else ():
            suspect.incident = None
    return detection


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_what_another_seed_counted_is_refused(version: int) -> None:
    other = SETTINGS.model_copy(update={"seed": 8})
    with pytest.raises(SnapshotError, match=r"partition 0 was counted with another CLICKWARDEN_SEED: set"):
        load((GOLDEN / f"{version}.bin").read_bytes(), 0, other, rows(version))


def test_the_seed_is_not_in_it() -> None:
    secret = 0xC0FFEE_C0FFEE_C0FF
    detection = Detection(0, RULES, SETTINGS.model_copy(update={"seed": secret}))
    for second in 0, 300:
        go_on(detection, [("ann", "view", "p", T + second)] * 9)
    stored = [dump(detection), *outcomes(detection).values()]
    assert len(stored) == 2
    forms = (secret.to_bytes(8), secret.to_bytes(8, "little"), str(secret).encode())
    assert not [form for form in forms for value in stored if form in value]


@pytest.fixture(scope="module")
def snapshot() -> bytes:
    detection = Detection(0, RULES, SETTINGS)
    go_on(detection, [("ann", "view", "p", T)] * 9)
    return compress(dump(detection))


def test_a_newer_version_is_refused_with_the_cure(snapshot: bytes) -> None:
    newer = snapshot[:2] + bytes([VERSION + 1]) + snapshot[3:]
    with pytest.raises(SnapshotError, match=r"partition 5 has version 6, .* run the release that wrote it"):
        load(newer, 5, SETTINGS, {})


def test_one_that_is_cut_short_is_refused(snapshot: bytes) -> None:
    for size in range(len(snapshot)):
        with pytest.raises(SnapshotError, match="partition 0 is broken"):
            load(snapshot[:size], 0, SETTINGS, {})


@given(st.binary(max_size=60))
def test_whatever_is_no_snapshot_is_refused(content: bytes) -> None:
    for value in (
        content,
        b"CW\x01" + content,
        b"CW\x01" + zstd.compress(content),
        b"CW\x01" + zstd.compress(msgspec.msgpack.encode([content, None, 0.0])),
    ):
        with pytest.raises(SnapshotError):
            load(value, 0, SETTINGS, {})


def test_cells_of_another_size_are_refused(snapshot: bytes) -> None:
    fields = msgspec.msgpack.decode(zstd.decompress(snapshot[3:]))
    windows = fields[7][0][4]
    windows[0][4] = windows[0][4][:-1]
    value = snapshot[:3] + zstd.compress(msgspec.msgpack.encode(fields))
    with pytest.raises(SnapshotError, match="broken"):
        load(value, 0, SETTINGS, {})


def test_an_empty_run_changes_nothing() -> None:
    detection = Detection(0, RULES, SETTINGS)
    detection.count(batch_of([]))
    assert dump(detection) == dump(Detection(0, RULES, SETTINGS))


if __name__ == "__main__":
    (GOLDEN / f"{VERSION}.bin").write_bytes(compress(dump(every_kind())))
    (GOLDEN / f"{VERSION}.closed.bin").write_bytes(msgspec.msgpack.encode(outcomes(every_kind())))
