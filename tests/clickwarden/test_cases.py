"""Records that people have: each is counted, or it is said loudly that it cannot be, and why.

The records are in ``tests/cases/``, a folder for each kind. What needs Kafka
and the wall clock is in ``tests/integration/test_cases.py``.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from clickwarden.alerts.sight import Sight
from clickwarden.detection import rules
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.detection import Detection, Findings
from clickwarden.detection.intake import Counts, Intake
from clickwarden.formats.choice import decoder_of
from clickwarden.settings import Settings

CASES = Path(__file__).parents[1] / "cases"
RULES = rules.load(Path(__file__).parents[2] / "rules.toml")
NOON = 1_773_152_400.0  # the first click of most cases, start of a minute
LATER = NOON + 86_400


@dataclass(frozen=True)
class Record:
    value: bytes
    offset: int
    timestamp: int
    timestamp_type: int = 1
    key: bytes | None = None


class Outcome:
    """What comes of records in one partition, counted to their end and the silence behind it."""

    def __init__(self, records: Iterable[Record], **given: object) -> None:
        settings = Settings(_env_file=None, **given)  # type: ignore[arg-type]
        self.detection = Detection(0, RULES, settings)
        self.closed: dict[str, Anomaly] = {}
        self._intake = Intake(RULES)
        self._names = settings.field_names
        batch = Batch(decoder_of(settings)().decode(list(records)))
        findings = self.detection.count(batch)
        self._intake.take(batch, findings)
        self._learn(findings)
        self.detection.decide(math.inf)
        self._learn(self.detection.close())

    def _learn(self, findings: Findings) -> None:
        for anomaly in findings.anomalies:
            if anomaly.status != "ongoing":
                self.closed[anomaly.alert_id] = anomaly

    def found(self, rule: str = "bot") -> dict[str, list[int]]:
        """Clicks of each user over the threshold, by window."""
        found: dict[str, list[int]] = {}
        for anomaly in sorted(self.closed.values(), key=lambda anomaly: anomaly.window_start):
            if anomaly.rule == rule:
                found.setdefault(anomaly.user_id, []).append(anomaly.count)
        return found

    @property
    def rejected(self) -> dict[str, int]:
        return self.detection.rejected

    @property
    def sight(self) -> Sight:
        detection = self.detection
        total = Counts(detection.accepted, detection.late, detection.uncounted, detection.rejected)
        return Sight.of(self._intake, total, self._names)

    @property
    def said(self) -> str:
        """What is said where it is blind; empty where it is not."""
        blindness = self.sight.blindness(Settings.model_fields["blind_share"].default)
        return "" if blindness is None else blindness.text


def received(
    values: Iterable[bytes], at: Callable[[int], float] = lambda _: LATER, kind: int = 1
) -> list[Record]:
    """The values as records that Kafka received ``at`` these times, or whose producer says so (kind 0)."""
    return [Record(value, offset, int(at(offset) * 1000), kind) for offset, value in enumerate(values)]


def lines(path: str) -> list[bytes]:
    return (CASES / path).read_bytes().splitlines()


# -- what can be read: counted ------------------------------------------------------------------------


def test_28_a_fast_clock_on_createtime_is_rejected_and_hides_nobody() -> None:
    outcome = Outcome(
        received(lines("28-fast-clock-on-createtime/records-in-order.ndjson"), lambda _: NOON, 0)
    )
    assert outcome.rejected == {"future": 1}
    assert outcome.found() == {"bot-7": [60]}


def test_28_nor_where_the_phone_stamps_its_record_by_its_own_clock() -> None:
    def stamp(offset: int) -> float:
        return NOON + (3600 if offset == 0 else 0)

    outcome = Outcome(received(lines("28-fast-clock-on-createtime/records-in-order.ndjson"), stamp, 0))
    assert outcome.rejected == {}
    assert outcome.found() == {"bot-7": [60]}
    assert outcome.said == ""


def test_48_shipped_in_batches_is_three_whole_minutes() -> None:
    first, second = (lines(f"48-shipped-in-batches/{name}") for name in
                     ("batch-1.ndjson", "batch-2-sent-90s-later.ndjson"))  # fmt: skip
    outcome = Outcome(received(first + second, lambda offset: NOON + (90 if offset < len(first) else 180)))
    assert outcome.found() == {"bot-7": [60, 60, 60]}
    assert outcome.detection.late == 0


def test_49_a_clock_55_s_fast_hides_nobody() -> None:
    values = lines("49-client-clock-55s-fast/records-in-order.ndjson")
    claims = [float(value.rpartition(b" ")[2].rstrip(b"}")) for value in values]
    phone = [b"phone" in value for value in values]
    outcome = Outcome(received(values, lambda offset: claims[offset] - 55 * phone[offset]))
    assert outcome.found() == {"bot-7": [174]}
    assert (outcome.rejected, outcome.detection.late, outcome.said) == ({}, 0, "")


# -- what cannot be read: said ------------------------------------------------------------------------


def test_20_numeric_users_are_said_loudly() -> None:
    outcome = Outcome(received(lines("20-numeric-user/records.ndjson")))
    assert outcome.said.startswith("None of the 63 records could be counted: wrong_field")
    assert 'user_id must be text and is a number: send it in quotes, "48213".' in outcome.said
    assert '{"user_id": 48213, "event": "view", "timestamp": 17731524' in outcome.said


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("digits-seconds", "timestamp is a number in quotes: send it without them"),
        ("digits-millis", "timestamp is a number in quotes"),
        ("float-string", "timestamp is a number in quotes"),
        ("micros-string", "timestamp is a number in quotes"),
        ("micros", "timestamp seems to be in microseconds: send milliseconds"),
        ("nanos", "timestamp seems to be in nanoseconds: send milliseconds"),
        ("seconds-divided-again", "timestamp would be in 1970"),
        ("negative", "a moment from 1971 on"),
        ("space-UTC", "ISO-8601 like"),
        ("rfc2822", "ISO-8601 like"),
        ("clf", "ISO-8601 like"),
        ("dotnet", "ISO-8601 like"),
        ("mongo", "timestamp must be a number or text and is an object"),
    ],
)
def test_21_a_time_that_cannot_be_read_is_rejected_with_a_word_on_why(user: str, said: str) -> None:
    (value,) = [value for value in lines("21-timestamps/records.ndjson") if f'"{user}"'.encode() in value]
    outcome = Outcome(received([value] * 3))
    assert sum(outcome.rejected.values()) == 3
    assert said in outcome.said


def test_21_no_time_lands_in_1970() -> None:
    outcome = Outcome(received(lines("21-timestamps/records.ndjson")))
    assert outcome.detection.accepted == 4
    assert {window.start for window in outcome.detection.closed} == {NOON, NOON // 600 * 600}
    assert outcome.said.startswith("13 of the 17 records (76 %) could not be counted")


def test_22_nested_users_are_said_loudly_and_another_field_can_be_named() -> None:
    records = received(lines("22-nested/records.ndjson"))
    assert "There is no user_id: did you mean CLICKWARDEN_FIELD_USER_ID=anonymousId?" in Outcome(records).said
    outcome = Outcome(records, field_user_id="anonymousId")
    assert (outcome.said, outcome.detection.accepted) == ("", 60)


def test_23_an_array_of_clicks_is_said_loudly() -> None:
    said = Outcome(received(lines("23-json-array/records.ndjson"))).said
    assert said.startswith("None of the 4 records could be counted, mostly not_object")
    assert "It is a JSON array of 20 elements: send one record for each click." in said


def test_24_a_schema_registrys_framing_is_named() -> None:
    said = Outcome(received([(CASES / "24-confluent-framing" / "one-record.bin").read_bytes()] * 5)).said
    assert "It is JSON behind the five bytes of a schema registry (schema 42)" in said
    assert r"For example: \x00\x00\x00\x00*{" in said


@pytest.mark.parametrize(
    ("name", "place"), [("cloudevents", "data.user_id"), ("debezium", "payload.after.user_id")]
)
def test_25_envelopes_are_said_loudly(name: str, place: str) -> None:
    said = Outcome(received(lines(f"25-envelopes/{name}.ndjson"))).said
    assert said.startswith("None of the 60 records could be counted: missing_field")
    assert f"user_id stands at {place}, and is read at the top of a record" in said


def test_32_tab_separated_events_are_said_loudly() -> None:
    said = Outcome(received(lines("32-snowplow-tsv/records.tsv"))).said
    assert said.startswith("None of the 60 records could be counted: not_json")
    assert "It is a line of 27 fields with tabs between" in said


def test_34_rules_whose_events_never_occur_are_warned_of() -> None:
    outcome = Outcome(received(lines("34-event-names/records.ndjson")))
    assert outcome.found() == {"u-7": [225]}
    unnamed = [msgspec.structs.replace(rule, events=rule.events[:1]) for rule in RULES]
    warnings = outcome.sight.warnings(unnamed)
    assert list(warnings) == ["rule credential-stuffing", "rule slow-scraper"]
    assert "did you mean Login or login_failure or user.login.failed?" in warnings["rule credential-stuffing"]
    assert "did you mean page_view or Page Viewed?" in warnings["rule slow-scraper"]


def test_34_what_others_call_a_view_is_one() -> None:
    warnings = Outcome(received(lines("34-event-names/records.ndjson"))).sight.warnings(RULES)
    assert list(warnings) == ["rule credential-stuffing"]
    values = [line for line in lines("34-event-names/records.ndjson") if b"age" in line]
    assert len(values) == 90
    assert Outcome(received(values * 3)).found("slow-scraper") == {"u-7": [270]}
