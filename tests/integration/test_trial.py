"""The time machine finds what the worker found, says what a draft would have changed, and touches nothing."""

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any

from rich.progress import Progress

from clickwarden.audit.told import Told
from clickwarden.audit.trial import Sides
from clickwarden.detection import rulesfile
from clickwarden.detection.anomaly import Anomaly
from commands.tried import Tried
from tests.site import RULES, Site, click, clicks, window_before

T = window_before(time.time())
SLIDING = RULES + "slide = 10\n"
LOGINS = '\n[[rule]]\nname = "logins"\nwindow = 20\nthreshold = 5\nevents = ["login"]\n'
CIRCUMSTANCES = ("emitted_at", "worker", "caught_up")

Sites = Callable[..., Site]
#: An anomaly by what names it, and its content.
Said = dict[tuple[str, str, int], dict[str, Any]]


class Heard(Told):
    """Keeps all it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: Said = {}

    def take(self, anomalies: Iterable[Anomaly], since: float) -> None:
        found = list(anomalies)
        for anomaly in found:
            fields = {name: getattr(anomaly, name) for name in anomaly.__struct_fields__}
            self.said[_name(fields)] = _content(fields)
        super().take(found, since)


def _name(anomaly: dict[str, Any]) -> tuple[str, str, int]:
    return anomaly["alert_id"], anomaly["status"], anomaly["revision"]


def _content(anomaly: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in anomaly.items() if name not in CIRCUMSTANCES}


def tried(topic: Site, rules: str) -> Sides:
    """What the rules that were in force tell, and what these would have."""
    draft = [draft.rule for draft in rulesfile.parse(rules.encode(), "draft")]
    found = Tried(topic.settings, draft, None, Progress(disable=True))
    found.sides = Sides(Heard(), Heard())
    asyncio.run(found.topic(None))
    return found.sides


def worker_said(topic: Site) -> Said:
    return {_name(anomaly): _content(anomaly) for anomaly in topic.anomalies()}


def closing(minute: int) -> list[bytes]:
    """Clicks after which all windows that began before this minute's end are closed."""
    return [click("ann", T + 60 * minute + 130)] * 5


def same(topic: Site, told: Told) -> Said:
    assert isinstance(told, Heard)
    said = worker_said(topic)
    assert told.said == said
    return said


def test_it_finds_exactly_what_the_worker_found_over_changes_slides_late_clicks_and_silence(
    site: Sites,
) -> None:
    topic = site(rules=SLIDING + LOGINS, partitions=2, idle_timeout=1, lateness=0)
    worker = topic.start()
    for number in (0, 1):
        topic.send(*clicks(f"eve-{number}", 90, T + 20, T + 59), partition=number)
        topic.send(*clicks(f"joe-{number}", 20, T + 57, T + 60, "login"), partition=number)
    # Nothing comes, and wall clock closes windows that clicks still come for.
    topic.until(lambda: "joe-1" in {each["user_id"] for each in topic.anomalies("closed")}, worker)
    for number in (0, 1):
        topic.send(*clicks(f"joe-{number}", 4, T + 57, T + 60, "login"), partition=number)
        topic.send(*clicks(f"late-{number}", 40, T + 1, T + 20), partition=number)
    topic.await_counted(worker)
    topic.put(SLIDING.replace("50", "30") + LOGINS)
    for number in (0, 1):
        topic.send(*clicks(f"eve-{number}", 45, T + 61, T + 110), *closing(1), partition=number)
        topic.send(*clicks(f"late-{number}", 40, T + 2, T + 20), *closing(2), partition=number)
    topic.await_counted(worker)
    topic.put(RULES.replace("50", "45"))
    for number in (0, 1):
        topic.send(*clicks(f"eve-{number}", 46, T + 300, T + 320), *closing(10), partition=number)
        topic.send(*closing(20), partition=number)
    topic.await_counted(worker)
    said = same(topic, tried(topic, RULES).before)
    assert {status for _, status, _ in said} == {"ongoing", "closed", "corrected"}
    assert {each["threshold"] for each in said.values()} == {50, 30, 45, 5}
    assert topic.verdict().excused
    assert topic.verdict().ok


def test_the_rules_in_force_as_a_draft_tell_what_they_told(site: Sites) -> None:
    topic = site(rules=SLIDING + LOGINS)
    worker = topic.start()
    topic.send(*clicks("joe", 9, T, T + 9, "login"), *clicks("eve", 90, T + 9, T + 70))
    topic.send(*closing(1), *closing(3))
    topic.await_counted(worker)
    for draft in (SLIDING + LOGINS, SLIDING.replace("width", "") + LOGINS.replace("20", "10")):
        sides = tried(topic, draft)
        same(topic, sides.before)
    assert same(topic, tried(topic, SLIDING + LOGINS).draft)
