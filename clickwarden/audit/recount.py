"""The exact recount: which users are over the threshold of which rule, when.

It is what the detection is judged by and so shares no code with it: the
standard library decodes the clicks one at a time, and plain dictionaries count
every user. That costs some 5 µs a click, and the memory of every user of every
open window.
"""

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from clickwarden.detection.rules import Rule
from clickwarden.formats.aside import HEADER_OFFSET, HEADER_PARTITION, HEADER_RULES, HEADER_TOPIC
from clickwarden.settings import Settings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class AuditRecord(Protocol):
    """What is read of a Kafka record."""

    @property
    def offset(self) -> int:
        """Where it stands in its partition."""

    @property
    def timestamp(self) -> int:
        """Kafka's own, epoch milliseconds."""

    @property
    def key(self) -> bytes | None:
        """The key; None where there is none."""

    @property
    def value(self) -> bytes | None:
        """The value; None: a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """What is said about it."""


class Case(NamedTuple):
    """One user in one window of one rule, in one partition of the clicks topic."""

    partition: int
    rule: str
    user_id: str
    window: int

    def __str__(self) -> str:
        """Name it for people; a user id is an attacker's text, and so escaped."""
        start = datetime.fromtimestamp(self.window, UTC)
        return f"{self.rule} {start:%Y-%m-%dT%H:%M:%SZ} user {self.user_id!r} partition {self.partition}"


class Recount:
    """Counts clicks exactly.

    Args:
        settings: names of the fields, lateness and skew.
        rules: what is abnormal.
        excused: rules that missed a click because wall clock had closed its
            window (see :func:`excuses`), by partition and offset.
        begins: first offset the topic still holds, by partition; 0 where not
            given. What came before it is lost to the recount, so windows it
            may have reached into are not judged.

    Attributes:
        accepted: clicks that every rule they match counted.
        late: clicks that at least one rule they match did not count.
        excused: those of them that were late by a decision of the wall clock.
        rejected: records that are no click.
        ignored: tombstones.
    """

    def __init__(
        self,
        settings: Settings,
        rules: Iterable[Rule],
        excused: Mapping[tuple[int, int], Collection[str]] | None = None,
        begins: Mapping[int, int] | None = None,
    ) -> None:
        self.rules = {rule.name: rule for rule in rules}
        self.begins = begins or {}
        self.accepted = self.late = self.excused = self.rejected = self.ignored = 0
        self._settings = settings
        self._excused = excused or {}
        self._partitions = {number: self._partition(number) for number in self.begins}

    def _partition(self, number: int) -> "_Partition":
        return _Partition(number, self.begins.get(number, 0), self.rules.values())

    def add(self, number: int, records: Iterable[AuditRecord]) -> None:
        """Count the records that come next in this partition."""
        if number not in self._partitions:
            self._partitions[number] = self._partition(number)
        partition = self._partitions[number]
        lateness = self._settings.lateness
        for record in records:
            partition.end = record.offset + 1
            if record.value is None:
                self.ignored += 1
                continue
            click = self._click(record.value, record.timestamp / 1000.0)
            if click is None:
                self.rejected += 1
                continue
            user, event, time = click
            missed_by = self._excused.get((number, record.offset), ())
            late = excused = False
            for tally in partition.tallies:
                if tally.events and event not in tally.events:
                    continue
                start = int(time) // tally.window * tally.window
                if start + tally.window <= partition.watermark:
                    late = True
                elif tally.name in missed_by:
                    excused = True
                else:
                    tally.count(user, start, partition.watermark, lateness)
            self.late += late or excused
            self.excused += excused
            self.accepted += not (late or excused)
            partition.watermark = max(partition.watermark, time - lateness)

    def _click(self, value: bytes, received: float) -> tuple[str, str, float] | None:
        """User, event and epoch seconds; None where the record is no click."""
        names = self._settings
        try:
            fields = _object(value)
            user = fields.one(names.field_user_id, _is_user)
            event = fields.one(names.field_event, _is_event)
            time = _seconds(fields.one(names.field_timestamp, _is_timestamp))
            fields.all(names.field_product_id, _is_product)
        except ValueError:
            return None
        latest = min(received + names.max_skew, 250_000_000_000)
        return (user, event, time) if 0 <= time <= latest else None

    @property
    def produced(self) -> int:
        """Offsets read: records, and what transactions and compaction leave of them."""
        return sum(partition.end - partition.begin for partition in self._partitions.values())

    def over(self) -> dict[Case, int]:
        """Clicks of every user over a threshold, in windows that can be judged."""
        return {
            case: clicks
            for partition in self._partitions.values()
            for tally in partition.tallies
            for case, clicks in tally.over()
            if self.whole(case)
        }

    def closed(self, case: Case) -> bool:
        """Whether the clicks themselves have closed the window."""
        return case.window + self.rules[case.rule].window <= self._partitions[case.partition].watermark

    def whole(self, case: Case) -> bool:
        """Whether no click of the window can be among those the topic has lost."""
        partition = self._partitions.get(case.partition)
        tallies = partition.tallies if partition else ()
        return all(tally.name != case.rule or case.window >= tally.whole_from for tally in tallies)


class _Partition:
    def __init__(self, number: int, begin: int, rules: Iterable[Rule]) -> None:
        self.begin = self.end = begin
        self.watermark = -math.inf
        self.tallies = [_Tally(number, rule, lost=begin > 0) for rule in rules]


class _Tally:
    """Clicks by window and user, of one rule in one partition."""

    def __init__(self, partition: int, rule: Rule, *, lost: bool) -> None:
        self.name, self.window, self.events = rule.name, rule.window, frozenset(rule.events)
        self.whole_from = math.inf if lost else -math.inf
        self._partition, self._threshold = partition, rule.threshold
        self._open: dict[int, dict[str, int]] = {}
        self._behind: dict[Case, int] = {}

    def count(self, user: str, start: int, watermark: float, lateness: float) -> None:
        users = self._open.get(start)
        if users is None:
            for behind in [start for start in self._open if start + self.window <= watermark]:
                self._behind |= self._over(behind, self._open.pop(behind))
            users = self._open[start] = {}
            # The first click was not late, so those lost before it were earlier than this.
            self.whole_from = min(self.whole_from, start + self.window + lateness)
        users[user] = users.get(user, 0) + 1

    def over(self) -> Iterator[tuple[Case, int]]:
        yield from self._behind.items()
        for start, users in self._open.items():
            yield from self._over(start, users).items()

    def _over(self, start: int, users: dict[str, int]) -> dict[Case, int]:
        return {
            Case(self._partition, self.name, user, start): clicks
            for user, clicks in users.items()
            if clicks > self._threshold
        }


class _Integer(float):
    """A JSON integer, read as a double."""


class _Object:
    """A JSON object. A name may be given twice: the last counts, and the others must be right."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs

    def all(self, name: str, is_right: Callable[[Any], bool]) -> list[Any]:
        """The values given for a name, in their order.

        Raises:
            ValueError: one of them is wrong.
        """
        values = [value for key, value in self.pairs if key == name]
        if not all(map(is_right, values)):
            raise ValueError(f"{name} is wrong")
        return values

    def one(self, name: str, is_right: Callable[[Any], bool]) -> Any:
        """The value of a name.

        Raises:
            ValueError: it is wrong, or there is none.
        """
        values = self.all(name, is_right)
        if not values:
            raise ValueError(f"{name} is missing")
        return values[-1]


def _object(value: bytes) -> _Object:
    """The JSON object that a record holds.

    Raises:
        ValueError: it holds none.
    """
    # A byte that is not UTF-8 is no matter of ours in a field nobody reads.
    text = value.decode(errors="surrogateescape")
    if _depth(text) > 200:
        raise ValueError("too deep")
    found = _decode(text)
    if type(found) is not _Object:
        raise ValueError("no object")
    if rb"\u" in value:  # an escaped lone surrogate is no character, wherever it stands
        _encode(_decode(value.decode(errors="replace"))).encode()
    return found


def _depth(text: str) -> int:
    """How deep JSON is nested."""
    depth = deepest = 0
    quoted = escaped = False
    for character in text if text.count("[") + text.count("{") > 200 else "":
        if quoted:
            quoted, escaped = escaped or character != '"', character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _is_user(value: Any) -> bool:
    return _is_text(value) and 1 <= len(value) <= 256


def _is_event(value: Any) -> bool:
    return _is_text(value) and len(value) <= 64


def _is_product(value: Any) -> bool:
    return value is None or type(value) is _Integer or _is_text(value)


def _is_timestamp(value: Any) -> bool:
    return math.isfinite(value) if isinstance(value, float) else _is_text(value)


def _is_text(value: Any) -> bool:
    """Whether it is text, all characters of which Unicode has."""
    if type(value) is not str:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # a surrogate: escaped, or for a byte that is not UTF-8
        return False
    return True


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _integer(literal: str) -> float:
    return _Integer(literal) if len(literal) <= 4300 else math.nan  # Python's own limit of an int


_decode = json.JSONDecoder(parse_int=_integer, parse_constant=_no_constant, object_pairs_hook=_Object).decode
_encode = json.JSONEncoder(ensure_ascii=False, default=lambda found: found.pairs).encode


def _seconds(timestamp: Any) -> float:
    """Epoch seconds; NaN where it is no point in time."""
    if isinstance(timestamp, float):
        return timestamp / 1000.0 if timestamp >= 1e11 else timestamp
    try:
        moment = datetime.fromisoformat(timestamp)
    except (TypeError, ValueError):
        return math.nan
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH).total_seconds()


def excuses(records: Iterable[AuditRecord], topic: str) -> dict[tuple[int, int], set[str]]:
    """Names of the rules that missed a click of the topic, by the click's partition and offset.

    Args:
        records: of the topic of late clicks.
        topic: the clicks topic.
    """
    missed: dict[tuple[int, int], set[str]] = {}
    for record in records:
        headers = dict(record.headers)
        try:
            place = int(headers[HEADER_PARTITION]), int(headers[HEADER_OFFSET])
            rules = headers[HEADER_RULES].decode().split(",")
        except (KeyError, ValueError):
            continue  # what says not which click it is excuses none
        if headers.get(HEADER_TOPIC) == topic.encode():
            missed.setdefault(place, set()).update(rules)
    return missed
