"""What is known afterwards: labels hold, then what people said of incidents, from first alarm to last."""

import msgspec
import numpy as np
import pytest

from clickwarden.detection.anomaly import Anomaly
from clickwarden.models.dataset import Dataset
from clickwarden.models.hindsight import Hindsight
from clickwarden.models.labelled import Label
from clickwarden.models.training import split
from tests.anomalies import record

T = 1_767_225_600_000  # 2026-01-01


def alarm(incident: str, second: float, card: str = "c") -> Anomaly:
    when = f"2026-01-01T00:00:{second:06.3f}Z"
    return msgspec.json.decode(record("a", user_id=card, incident_id=incident, first_seen=when), type=Anomaly)


def abnormal(known: Hindsight, *records: tuple[str | None, str | None, int]) -> list[bool]:
    ids, keys, moments = zip(*records, strict=True)
    found: list[bool] = known.of(ids, keys, np.array(moments) + T).tolist()
    return found


def test_what_is_said_of_an_incident_is_of_its_records_and_a_label_goes_first() -> None:
    known = Hindsight()
    for incident, second in (("x", 5.25), ("x", 1.5), ("x", 3), ("y", 30)):
        known.alarm(alarm(incident, second))
    known.say("x", "bot")
    known.say("y", "human")
    known.say("z", "bot")  # of whichever rule
    known.label(Label("usual", False))
    known.label(Label("abnormal", True))
    assert (known.labels, known.incidents) == (2, 2)
    assert abnormal(
        known,
        ("1", "c", 1_499), ("2", "c", 1_500), ("3", "c", 5_250), ("4", "c", 5_251),
        ("5", "other", 2_000), (None, None, 2_000), ("usual", "c", 2_000), ("abnormal", "c", 30_000),
        ("6", "c", 30_000),
    ) == [False, True, True, False, False, False, False, True, False]  # fmt: skip
    known.say("x", None)
    known.label(Label("abnormal", None))
    assert (known.labels, known.incidents) == (1, 1)
    assert abnormal(known, ("2", "c", 1_500), ("abnormal", "c", 30_000)) == [False, False]


def test_of_two_incidents_of_a_key_either_may_have_been_a_bot() -> None:
    known = Hindsight()
    for incident, second in (("x", 1), ("x", 9), ("y", 5)):
        known.alarm(alarm(incident, second))
    known.say("y", "human")
    known.say("x", "bot")
    assert abnormal(known, ("1", "c", 5_000)) == [True]


@pytest.mark.parametrize("times", [None, np.arange(100)])
def test_nothing_is_learnt_from_records_of_known_incidents(times: np.ndarray | None) -> None:
    apart = np.arange(100) % 10 == 0
    rows = np.arange(100, dtype=np.float32)[:, None]
    parts = split(Dataset(rows, times, apart, 100, {}, "", apart))
    assert [len(part.values) for part in parts] == [54, 20, 20]
    assert not (parts.learnt.values % 10 == 0).any()
    assert parts.judged.abnormal is not None
    assert parts.judged.abnormal.sum() == 2
