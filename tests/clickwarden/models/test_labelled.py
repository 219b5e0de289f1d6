"""Labels of alarms, before or after them: precision and recall are those of what is remembered."""

from functools import partial
from pathlib import Path
from random import Random

import pytest

from clickwarden.detection.anomaly import ScoredRecord
from clickwarden.models.labelled import KnownLabels, Label, Precision, label_of
from tests.pipelines import define


def scored(id: str | None, version: str = "a") -> ScoredRecord:
    return ScoredRecord(
        pipeline="payments", topic="t", offset=0, record_id=id, score=0.9, p_value=0.01, threshold=0.5,
        causes=(), detector="iforest", version=version, severity="low",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (b"7", b'{"label": "fraud"}', Label("7", True)),
        (b"7", b'{"fraud": false}', Label("7", False)),
        (b"7", b'{"label": ""}', Label("7", False)),
        (b"7", b"1", Label("7", True)),
        (b"7", b"normal", Label("7", False)),
        (b"7", b"neptune", Label("7", True)),
        (b"7", b"null", Label("7", False)),
        (b"7", None, Label("7", None)),
        (None, b'{"id": 7, "label": 1}', Label("7", True)),
        (None, b'{"label": 1}', None),
        (None, b"1", None),
        (None, None, None),
        (b"7", b'{"other": 1}', None),
        (b"7", b"[1]", None),
        (b"7", b'{"label": {}}', Label("7", False)),
        (b"7", b" " * 70_000, None),
        (b"\xff", b"\xff", Label("\ufffd", True)),
    ],
)
def test_labels_are_read(
    tmp_path: Path, key: bytes | None, value: bytes | None, expected: Label | None
) -> None:
    assert label_of(define(tmp_path / "payments", "payments"), key, value) == expected


def test_precision_and_recall_are_of_what_was_said_last_in_whatever_order() -> None:
    alarms = [("1", "a", False), ("1", "b", True), ("2", "a", False), ("3", "b", True), ("4", "a", False)]
    labels = [("1", True), ("2", False), ("3", True), ("5", True), ("6", False)]
    for seed in range(20):
        known = KnownLabels()
        known.label(Label("1", False))
        known.label(Label("9", True))
        said = [
            *(partial(known.alarm, scored(id, of), shadow=shadow) for id, of, shadow in alarms * 2),
            *(partial(known.label, Label(id, abnormal)) for id, abnormal in labels),
        ]
        Random(seed).shuffle(said)
        for say in said:
            say()
        known.label(Label("9", None))
        found = known.labelled
        assert (found.abnormal, found.usual, found.found, found.recall) == (3, 2, 1, 0.3333)
        assert found.models == [Precision("a", 3, 1, 1, 0.5), Precision("b", 2, 2, 0, 1.0)]


def test_without_labels_or_ids_nothing_is_said() -> None:
    known = KnownLabels()
    known.alarm(scored(None), shadow=False)
    known.alarm(scored("1"), shadow=False)
    found = known.labelled
    assert (found.abnormal, found.recall) == (0, None)
    assert found.models == [Precision("a", 1)]


def test_what_is_remembered_has_an_end() -> None:
    known = KnownLabels(keep=10)
    for number in range(100):
        known.alarm(scored(f"a{number}"), shadow=False)
        known.label(Label(f"u{number}", False))
        known.label(Label(f"a{number}", True))
    found = known.labelled
    assert (found.abnormal, found.usual, found.found, found.recall) == (10, 10, 10, 1.0)
    assert found.models == [Precision("a", 10, 10, 0, 1.0)]
    for number in range(100):
        known.label(Label(f"u{number}", True))
    found = known.labelled
    assert (found.abnormal, found.found, found.recall) == (10, 0, 0.0)
    assert found.models == [Precision("a", 10, 0, 0, None)]
