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
from clickwarden.detection import rulesfile
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.detection import Detection, Findings
from clickwarden.detection.intake import Counts, Intake
from clickwarden.formats.choice import decoder_of
from clickwarden.settings import Settings

CASES = Path(__file__).parents[1] / "cases"
RULES = rulesfile.load(Path(__file__).parents[2] / "rules.toml")
NOON = 1_773_152_400.0  # the first click of most cases, start of a minute
LATER = NOON + 86_400


@dataclass(frozen=True)
class Record:
    value: bytes
    offset: int
    timestamp: int
    timestamp_type: int = 1
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Outcome:
    """What comes of records in one partition, counted to their end and the silence behind it."""

    def __init__(self, records: Iterable[Record], **given: object) -> None:
        settings = Settings(_env_file=None, **given)  # type: ignore[arg-type]
        self.detection = Detection(0, RULES, settings)
        self.closed: dict[str, Anomaly] = {}
        self._intake = Intake(RULES)
        self._names = settings.field_names
        self.clicks = decoder_of(settings)().decode(list(records))
        batch = Batch(self.clicks)
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
        """Clicks of each user over the threshold, by window; of those that overlap, by whole minute."""
        found: dict[str, list[int]] = {}
        for anomaly in sorted(self.closed.values(), key=lambda anomaly: anomaly.window_start):
            if anomaly.rule == rule and anomaly.window_start.endswith(":00Z"):
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


def test_20_a_number_is_a_user() -> None:
    outcome = Outcome(received(lines("20-numeric-user/records.ndjson")))
    assert outcome.found() == {"48213": [60]}
    assert (outcome.rejected, outcome.said) == ({"missing_field": 3}, "")


READ = {
    "digits-seconds": NOON,
    "digits-millis": NOON,
    "float-string": NOON + 0.25,
    "micros": NOON,
    "nanos": NOON,
    "micros-string": NOON,
    "iso-9-digits": NOON + 0.123456,
    "iso+0000": NOON + 0.123,
    "iso-offset": NOON,
    "space": NOON,
    "space-UTC": NOON,
}


def test_21_times_are_read_by_magnitude_and_in_usual_spellings() -> None:
    outcome = Outcome(received(lines("21-timestamps/records.ndjson")))
    assert dict(zip(outcome.clicks.users, outcome.clicks.times.tolist(), strict=True)) == READ
    overlapping = {NOON - second for second in range(0, 60, 10)}
    assert {window.start for window in outcome.detection.closed} == {*overlapping, NOON // 600 * 600}


@pytest.mark.parametrize(
    ("user", "given"),
    [
        ("rfc2822", {"timestamp_format": "%a, %d %b %Y %H:%M:%S GMT"}),
        ("clf", {"timestamp_format": "%d/%b/%Y:%H:%M:%S %z"}),
        ("mongo", {"field_timestamp": "timestamp.$date"}),
    ],
)
def test_21_other_spellings_are_told_of_and_can_be_set(user: str, given: dict[str, str]) -> None:
    (value,) = [value for value in lines("21-timestamps/records.ndjson") if f'"{user}"'.encode() in value]
    assert next(iter(given.values())) in Outcome(received([value] * 3)).said
    assert Outcome(received([value]), **given).clicks.times.tolist() == [NOON]


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("seconds-divided-again", "timestamp would be in 1970"),
        ("negative", "a moment from 1971 on"),
        ("dotnet", "ISO-8601 like"),
    ],
)
def test_21_a_time_that_cannot_be_read_is_rejected_with_a_word_on_why(user: str, said: str) -> None:
    (value,) = [value for value in lines("21-timestamps/records.ndjson") if f'"{user}"'.encode() in value]
    outcome = Outcome(received([value] * 3))
    assert sum(outcome.rejected.values()) == 3
    assert said in outcome.said


def test_22_a_user_is_found_at_a_path() -> None:
    records = received(lines("22-nested/records.ndjson"))
    wanted = "did you mean CLICKWARDEN_FIELD_USER_ID=context.traits.userId|anonymousId?"
    assert wanted in Outcome(records).said
    for field, user in (
        ("context.traits.userId", "u-7"),
        ("userId|anonymousId", "anon-7"),
        ("userId|context.traits.id|context.ip", "203.0.113.7"),
    ):
        outcome = Outcome(records, field_user_id=field, field_product_id="properties.product_id")
        assert (outcome.said, outcome.found()) == ("", {user: [60]})
        assert outcome.clicks.products[:2] == [0, 1]


def test_23_an_array_is_as_many_clicks() -> None:
    outcome = Outcome(received(lines("23-json-array/records.ndjson")))
    assert outcome.found() == {"bot-7": [60], "bot-8": [60]}
    assert (outcome.rejected, outcome.said) == ({}, "")


def test_24_json_behind_a_schema_registrys_framing_is_read() -> None:
    value = (CASES / "24-confluent-framing" / "one-record.bin").read_bytes()
    assert Outcome(received([value] * 60)).found() == {"bot-7": [60]}


@pytest.mark.parametrize(
    ("name", "way"), [("cloudevents", "data."), ("debezium", "payload.after."), ("debezium", "")]
)
def test_25_clicks_in_envelopes_are_read(name: str, way: str) -> None:
    fields = {f"field_{field}": way + field for field in ("user_id", "event", "timestamp", "product_id")}
    for given in (fields, {}):
        outcome = Outcome(received(lines(f"25-envelopes/{name}.ndjson")), **given)
        assert (outcome.found(), outcome.said) == ({"bot-7": [60]}, "")


# -- what cannot be read: said ------------------------------------------------------------------------


def test_32_enriched_events_without_a_user_are_said_loudly() -> None:
    said = Outcome(received(lines("32-snowplow-tsv/records.tsv"))).said
    assert said.startswith("None of the 60 records could be counted: missing_field")
    assert "CLICKWARDEN_FIELD_USER_ID=user_id|domain_userid|network_userid and " in said


def test_32_enriched_events_are_read_by_column() -> None:
    columns = lines("32-snowplow-tsv/records.tsv")[0].split(b"\t")
    columns[15] = b"d-7"
    records = received([b"\t".join(columns)] * 60)
    outcome = Outcome(records, field_user_id="user_id|domain_userid", field_timestamp="collector_tstamp")
    assert (outcome.found(), outcome.said) == ({"d-7": [60]}, "")


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
