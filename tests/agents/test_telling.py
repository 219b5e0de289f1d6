"""The log: a line for a reason at once, and then one a minute."""

import logging

import pytest

from agents.telling import REASON_SECONDS, WARNING_SECONDS, Telling
from clickwarden.alerts.sight import Complaint, Sight
from clickwarden.detection.clicks import Rejected
from clickwarden.detection.intake import Counts, Intake

OURS = {name: name for name in ("user_id", "event", "timestamp", "product_id")}
HALF = 0.5


class Hearing:
    """What is logged when records are rejected, a clock moved by hand."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self._telling = Telling("clicks.rejected")
        self._intake = Intake([])
        self._counts = Counts(accepted=0)
        self.now = 1000.0

    def hear(
        self, seconds: float, *reasons: str, accepted: int = 0, warnings: dict[str, str] | None = None
    ) -> list[str]:
        """The lines so many seconds later, when records were rejected for these reasons."""
        self.now += seconds
        self._intake.reject(Rejected(0, None, b"{}", reason, "the fault") for reason in reasons)
        self._counts += Counts(accepted, rejected={reason: reasons.count(reason) for reason in reasons})
        self._telling.take(self._intake)
        sight = Sight.of(self._intake, self._counts, OURS)
        self._caplog.clear()
        with self._caplog.at_level(logging.INFO):
            self._telling.tell(sight, sight.blindness(HALF), warnings or {}, self.now)
        return self._caplog.messages


@pytest.fixture
def hearing(caplog: pytest.LogCaptureFixture) -> Hearing:
    return Hearing(caplog)


def test_a_reason_is_told_at_once_and_then_once_a_minute_with_how_many(hearing: Hearing) -> None:
    assert hearing.hear(0, accepted=10_000) == []
    assert hearing.hear(1, "not_json", "not_json") == [
        "2 records could not be counted: not_json (the fault); clicks.rejected has them. "
        "A record must be JSON in UTF-8, a click or an array of them, nested at most 200 deep. "
        "For example: {}"
    ]
    assert hearing.hear(1, "not_json") == []
    (other,) = hearing.hear(1, "future", "not_json")
    assert other.startswith("1 record could not be counted: future")
    (again,) = hearing.hear(REASON_SECONDS - 2, "not_json")
    assert again.startswith("3 records could not be counted: not_json")
    assert hearing.hear(10 * REASON_SECONDS) == []


def test_blindness_is_told_in_one_line_with_its_reason_and_its_end(hearing: Hearing) -> None:
    (line,) = hearing.hear(0, *["not_json"] * 200)
    assert line.startswith("Blind: None of the 200 records could be counted: not_json")
    assert hearing.hear(1, "not_json") == []
    assert hearing.hear(1, accepted=1000) == []
    assert hearing.hear(1, *["not_json"] * 2000) == []  # it comes and goes: a line a minute all the same
    (line,) = hearing.hear(REASON_SECONDS)
    assert line.startswith("Blind: 2,201 of the 3,201 records (68 %)")
    assert hearing.hear(REASON_SECONDS, accepted=10_000) == ["No longer blind: records can be counted again"]
    assert hearing.hear(REASON_SECONDS) == []


def test_beside_the_commonest_reason_the_others_are_told_too(hearing: Hearing) -> None:
    blind, other = hearing.hear(0, *["not_json"] * 9, "future")
    assert blind.startswith("Blind: None of the 10 records could be counted, mostly not_json")
    assert other.startswith("1 record could not be counted: future")


def test_a_warning_is_told_when_it_has_held_for_a_minute_and_once_an_hour(hearing: Hearing) -> None:
    warning = {"rule logins": "nobody logs in"}
    assert hearing.hear(0, warnings=warning) == []
    assert hearing.hear(REASON_SECONDS - 1) == []
    assert hearing.hear(1, warnings=warning) == []
    assert hearing.hear(REASON_SECONDS, warnings=warning) == ["nobody logs in"]
    assert hearing.hear(REASON_SECONDS, warnings={"rule logins": "still nobody"}) == []
    assert hearing.hear(WARNING_SECONDS, warnings=warning) == ["nobody logs in"]


def test_a_reason_without_a_complaint_is_told_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    telling, intake = Telling("clicks.rejected"), Intake([])
    intake.reject([Rejected(0, None, b"", "not_json", "")])
    telling.take(intake)
    telling.tell(Sight(complaints={"other": Complaint("other")}), None, {}, 0.0)
    assert caplog.messages == ["1 record could not be counted: not_json; clicks.rejected has them. "]
