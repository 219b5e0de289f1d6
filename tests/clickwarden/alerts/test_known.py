"""The incidents that the topic tells of, and what is known of one beside that."""

from random import Random
from typing import Any

import msgspec
import pytest

from clickwarden.alerts.feed import SLICE
from clickwarden.alerts.incidents import Incident, joined
from clickwarden.alerts.known import KnownIncidents, place
from clickwarden.alerts.stories import Stories
from clickwarden.detection.anomaly import Anomaly
from tests.anomalies import MINUTES, record


def incident(incident_id: str, minute: int = 0, **more: Any) -> Incident:
    """What stories say of one anomaly."""
    stories = Stories()
    fields = {
        "first_seen": MINUTES[minute],
        "window_start": MINUTES[minute],
        "window_end": MINUTES[minute + 1],
    }
    value = record(incident_id, "closed", **{**fields, "incident_id": incident_id, **more})
    stories.hear(msgspec.json.decode(value, type=Anomaly))
    found = stories.get(incident_id, 0)
    assert found is not None
    return found


async def listed(known: KnownIncidents) -> list[str]:
    return [each.incident_id async for found in known.select(lambda incident: True) for each in found]


async def test_those_that_began_last_come_first_and_are_kept() -> None:
    known = KnownIncidents(keep=10)
    minutes = list(range(40))
    Random(1).shuffle(minutes)
    for minute in minutes:
        known.take(msgspec.json.encode(incident(f"{minute:02}", minute, user_id=f"{minute % 2}")))
    assert await listed(known) == [f"{minute}" for minute in range(39, 29, -1)]
    assert (len(known), known.get("05")) == (10, None)
    assert sorted(each.incident_id for each in known.of("1")) == ["31", "33", "35", "37", "39"]


async def test_the_last_word_holds() -> None:
    known = KnownIncidents()
    known.take(msgspec.json.encode(incident("a", 2)))
    known.take(msgspec.json.encode(incident("b", 3)))
    known.take(msgspec.json.encode(incident("a", 4, count_high=99)))
    assert await listed(known) == ["a", "b"]
    assert (known.get("a") or incident("none")).count == 99


async def test_pages_of_many() -> None:
    known = KnownIncidents()
    for number in range(SLICE + 9):
        known.take(msgspec.json.encode(incident(f"{number:04}")))
    found = [found async for found in known.select(lambda each: each.incident_id != "0258")]
    assert [len(each) for each in found] == [SLICE - 1, 9]
    behind = [each async for each in known.select(lambda incident: True, place(incident("0002")))]
    assert [each.incident_id for each in behind[0]] == ["0001", "0000"]


@pytest.mark.parametrize("value", [None, b"", b"[]", b"{}", b"\xff", b"[" * 50_000], ids=repr)
async def test_what_is_no_incident_is_passed_over(value: bytes | None) -> None:
    known = KnownIncidents()
    known.take(value)
    assert await listed(known) == []


def test_who_has_heard_the_newest_and_was_told_the_rest_knows_all() -> None:
    told = msgspec.structs.replace(
        incident("a", 2, count_high=600), windows=1, rules=["slow"], severity="critical", peak=2000
    )
    heard = incident("a", 3, count_high=70, count=70)
    both = joined(told, heard)
    assert (both.count, both.since, both.window_end) == (70, MINUTES[2], MINUTES[4])
    assert (both.peak, both.severity, both.rules) == (2000, "critical", ["slow"])
    longer = msgspec.structs.replace(told, windows=2)
    assert joined(longer, heard).count == told.count
