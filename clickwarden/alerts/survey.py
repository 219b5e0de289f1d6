"""What somebody's records are, and what would be made of them: for people who have set nothing yet."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import msgspec
import numpy as np

from clickwarden.alerts.sight import EXAMPLE_MAX, MEANINGS, shortened
from clickwarden.alerts.words import plural, visible
from clickwarden.detection.clicks import Clicks, Rejected
from clickwarden.detection.rules import Rule
from clickwarden.formats.clicks import Decoder
from clickwarden.formats.cures import cure
from clickwarden.formats.fields import Record
from clickwarden.formats.gathered import LOG_APPEND_TIME
from clickwarden.formats.inference import ORDER, Inference, infer
from clickwarden.formats.json import UNREADABLE
from clickwarden.formats.records import LISTS
from clickwarden.formats.specimens import Opened, opened
from clickwarden.kafka.findings import Finding, Sampled
from clickwarden.kafka.inspection import records_of, sampled
from clickwarden.settings import PREFIX, Settings
from clickwarden.times import isotime

#: Records, or lines, that are looked at.
SURVEYED = 1000
#: Clicks that are shown.
SHOWN = 3
FORMAT = f"{PREFIX}TIMESTAMP_FORMAT"
#: All settings that say how records are read.
OWN = (*(f"{PREFIX}FIELD_{name.upper()}" for name in ORDER), FORMAT)
#: A key that is the user's in so many records is the user.
MOSTLY = 0.9


class FoundField(msgspec.Struct):
    """Where a field of a click probably stands; what strangers wrote is inert in it.

    Attributes:
        name: by our own name.
        setting: what ``CLICKWARDEN_FIELD_…`` is to say; of a log, in words.
        confidence: ``sure``, ``likely`` or ``a guess``.
        reason: why.
        examples: what stands there.
        doubts: what speaks against it.
    """

    name: str
    setting: str
    confidence: str
    reason: str
    examples: list[str] = []
    doubts: list[str] = []


class DecodedClick(msgspec.Struct):
    """A click as it would be counted; inert. ``time`` in ISO-8601, UTC."""

    user_id: str
    event: str
    product_id: str | None
    time: str


class Rejection(msgspec.Struct):
    """What would be rejected for one reason.

    Attributes:
        reason: the word in the headers of the topic of rejected records; empty where nothing could be opened.
        meaning: the same in words.
        count: how often.
        cure: what to do about it.
        example: the beginning of one, inert.
    """

    reason: str
    meaning: str
    count: int
    cure: str = ""
    example: str = ""


class Survey(msgspec.Struct):
    """What a topic or a file holds.

    Attributes:
        source: what was looked at, in words.
        records: how many of its records, or lines.
        forms: what they come in, in words, and how many in each.
        facts: what else is to be known, by what it is about.
        fields: where the fields of a click probably stand.
        clicks: how many can be counted so; of a record that holds several, each.
        ignored: what says that nothing was clicked.
        examples: three of the clicks.
        rejected: what would not be counted, the commonest first.
        rules: of each rule, how many of the clicks it would see.
        warnings: what to look at before it is relied on.
        findings: what is wrong with the topic.
        settings: to paste, by name.
    """

    source: str
    records: int
    forms: dict[str, int] = {}
    facts: dict[str, str] = {}
    fields: list[FoundField] = []
    clicks: int = 0
    ignored: int = 0
    examples: list[DecodedClick] = []
    rejected: list[Rejection] = []
    rules: dict[str, int] = {}
    warnings: list[str] = []
    findings: list[Finding] = []
    settings: dict[str, str] = {}


class Surveyed:
    """Records that are looked at with no setting that says where something stands.

    Args:
        partitions: the newest records of each partition, in their order.
        rules: in effect.
        settings: how far ahead a click may be; and the fields as they are set now, which are only compared.
        in_kafka: the records are a topic's, and not a file's.
    """

    def __init__(
        self,
        partitions: Mapping[int, Sequence[Record]],
        rules: Sequence[Rule],
        settings: Settings,
        *,
        in_kafka: bool,
    ) -> None:
        self._partitions = partitions
        self._rules = rules
        self._settings = settings
        self._in_kafka = in_kafka
        self._records = [record for run in partitions.values() for record in run]
        self.opened: Opened = opened(self._records)
        self.inference: Inference | None = None
        self._decoded: dict[int, Clicks] = {}
        if self.opened.specimens:
            events = [event for rule in rules for event in rule.events]
            self.inference = infer(self.opened.specimens, events, in_kafka=in_kafka)
            decoder = Decoder(self.inference.names, settings.max_skew, self.inference.pattern)
            self._decoded = {partition: decoder.decode(run) for partition, run in partitions.items()}

    @property
    def settings(self) -> dict[str, str]:
        """What is to be set, by name; nothing where no record can be read."""
        if self.inference is None:
            return {}
        names = {
            f"{PREFIX}FIELD_{name.upper()}": guess.setting for name, guess in self.inference.guesses.items()
        }
        return names | ({FORMAT: self.inference.pattern} if self.inference.pattern else {})

    def sample(self) -> Iterator[Sampled]:
        """The clicks, with where they lie."""
        for partition, clicks in self._decoded.items():
            yield from sampled(partition, self._partitions[partition], clicks)

    def survey(self, source: str) -> Survey:
        """All of it, for people."""
        found = Survey(source, len(self._records), dict(self.opened.forms.most_common()))
        clicks = Clicks.together(list(self._decoded.values()))
        found.clicks = len(clicks.users)
        found.ignored = (
            sum(one.ignored for one in self._decoded.values()) if self._decoded else self.opened.ignored
        )
        found.rejected = list(self._rejections(clicks.rejected))
        found.examples = list(islice(shown(clicks), SHOWN))
        events = Counter(clicks.events)
        found.rules = seen_by(self._rules, events)
        found.fields = self._fields()
        found.facts = dict(self._facts(clicks))
        found.settings = self.settings if found.clicks else {}
        found.warnings = list(self._warnings(found, events))
        return found

    def _fields(self) -> list[FoundField]:
        if self.inference is None:
            return []
        return [
            FoundField(
                name,
                visible(guess.setting),
                guess.confidence,
                guess.reason,
                [shortened(visible(value), 40) for value in guess.examples],
                [visible(doubt) for doubt in guess.doubts],
            )
            for name, guess in self.inference.guesses.items()
        ]

    def _rejections(self, rejected: Sequence[Rejected]) -> Iterator[Rejection]:
        for reason, count in Counter(one.reason for one in rejected).most_common():
            first = next(one for one in rejected if one.reason == reason)
            names = self.inference.names if self.inference else {}
            yield rejection_of(reason, count, first.value, cure(reason, first.value, names))
        if self.inference is None:
            for remedy, count in self.opened.closed.most_common():
                yield Rejection("not_json", MEANINGS["not_json"], count, visible(remedy))

    def _facts(self, clicks: Clicks) -> Iterator[tuple[str, str]]:
        if self._in_kafka:
            yield from self._facts_of_kafka(clicks)
        if not clicks.users:
            return
        late = np.concatenate([_lateness(one) for one in self._decoded.values()])
        behind = int((late > self._settings.lateness).sum())
        order = f"up to {late.max():,.3g} s out of order" if late.any() else "in the order of their times"
        if behind:
            allowed = f"{PREFIX}LATENESS={self._settings.lateness:g}"
            order += f"; {behind:,} of {late.size:,} come more than {allowed} s behind another"
        yield "order", order
        yield "times", span_of(clicks)

    def _facts_of_kafka(self, clicks: Clicks) -> Iterator[tuple[str, str]]:
        keyed = [record for record in self._records if record.key is not None]
        if not keyed:
            yield "key", "no record has one: a user's clicks lie in any partition"
        elif clicks.users:
            own = sum(self._keys_are_users())
            share = own / len(clicks.users)
            told = "the user" if share >= MOSTLY else f"the user in {100 * share:.0f} % of the clicks"
            yield "key", told if own else f"not the user; such as {_beginning(keyed[0].key)}"
        else:
            yield "key", f"such as {_beginning(keyed[0].key)}"
        stamped = all(record.timestamp_type == LOG_APPEND_TIME for record in self._records)
        yield (
            "time stamps",
            "Kafka's own (LogAppendTime)" if stamped else "their senders' (CreateTime): not Kafka's word",
        )
        headers = Counter(name for record in self._records for name in {name for name, _ in record.headers})
        if headers:
            yield "headers", ", ".join(shortened(visible(name), 40) for name, _ in headers.most_common(8))

    def _keys_are_users(self) -> Iterator[bool]:
        for partition, clicks in self._decoded.items():
            records = records_of(self._partitions[partition], clicks)
            for user_id, record in zip(clicks.users, records, strict=True):
                yield record.key is not None and record.key.strip(b'"') == user_id.encode(errors="replace")

    def _warnings(self, found: Survey, events: Counter[str]) -> Iterator[str]:
        for one in found.fields:
            if one.confidence != "sure":
                doubts = "; ".join(one.doubts) or f"{one.reason}"
                yield f"{one.name}: {one.setting} is {one.confidence}: {doubts}"
        yield from self._unread()
        things = found.clicks + sum(one.count for one in found.rejected)
        if found.clicks and found.clicks < things:
            yield f"{things - found.clicks:,} of {things:,} would be rejected"
        for rule in self._rules:
            if found.clicks and not found.rules[rule.name]:
                seen = ", ".join(shortened(visible(event), 40) for event, _ in events.most_common(6))
                wanted = ", ".join(rule.events[:2])
                yield (
                    f"rule {rule.name} would see none of them: it counts {wanted} and the like, seen were "
                    f"{seen}; [events] in {self._settings.rules} says what means the same"
                )
        if self._in_kafka and found.facts.get("key", "").startswith("no record"):
            yield "the topic is not keyed by user: send each click with its user as the key"

    def _unread(self) -> Iterator[str]:
        """Lists of which the settings would read the first element alone."""
        setting = self.inference.guesses["user_id"].setting if self.inference else ""
        for place in setting.split("|"):
            names = place.split(".")
            numbers = [number for number, name in enumerate(names) if name.isdigit()]
            sizes = [_size(record.value, names[: numbers[0]]) for record in self._records] if numbers else []
            if max(sizes, default=0) > 1:
                whole = visible(".".join(names[: numbers[0]]))
                yield (
                    f"user_id: {whole} is a list of up to {max(sizes):,}, of which {visible(place)} is the "
                    f"first alone: send each by itself, or all under one of {', '.join(LISTS)}"
                )


def _size(value: bytes | None, names: Sequence[str]) -> int:
    """How many elements the list there has; 0 where there is none."""
    found: Any = None
    with suppress(*UNREADABLE):
        found = msgspec.json.decode(value or b"")
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return len(found) if isinstance(found, list) else 0


def seen_by(rules: Sequence[Rule], events: Mapping[str, int]) -> dict[str, int]:
    """How many of the clicks with these events each rule counts."""
    return {
        rule.name: sum(count for event, count in events.items() if not rule.events or event in rule.events)
        for rule in rules
    }


def rejection_of(reason: str, count: int, value: bytes, remedy: str) -> Rejection:
    """What is rejected for a reason, so often, such as this value."""
    example = visible(value[: 4 * EXAMPLE_MAX].decode(errors="replace"))
    return Rejection(reason, MEANINGS.get(reason, ""), count, visible(remedy), shortened(example))


def span_of(clicks: Clicks) -> str:
    """From when to when they are, and of how many users."""
    first, last = (isotime(float(edge(clicks.times))) for edge in (np.min, np.max))
    return f"from {first} to {last}; {plural(len(set(clicks.users)), 'user')}"


def shown(clicks: Clicks) -> Iterator[DecodedClick]:
    """The clicks, for people."""
    for user_id, event, product, time in zip(
        clicks.users, clicks.events, clicks.products, clicks.times.tolist(), strict=True
    ):
        yield DecodedClick(
            shortened(visible(user_id), 60),
            shortened(visible(event), 60),
            None if product is None else shortened(visible(str(product)), 60),
            isotime(time),
        )


def _lateness(clicks: Clicks) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Seconds that each click is behind one before it."""
    return np.maximum.accumulate(clicks.times) - clicks.times if len(clicks.times) else clicks.times


def _beginning(value: bytes | None) -> str:
    return shortened(visible((value or b"")[:200].decode(errors="replace")), 40)
