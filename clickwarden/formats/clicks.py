"""What a click may look like, and how a run of records becomes columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.clicks import Clicks, Rejected
from clickwarden.errors import ClickError
from clickwarden.formats.fields import Record, places_of
from clickwarden.formats.json import DEPTH_MAX, THINGS_MAX, UNREADABLE, is_deep
from clickwarden.formats.records import Fault, Held, Number, Unwrapping
from clickwarden.formats.schema import Schema
from clickwarden.formats.shapes import EVENT_MAX, USER_ID_MAX, Click, OtherShape, Sweep, Swept, bare, sweeps
from clickwarden.formats.timestamps import EARLIEST, LATEST, seconds

#: Kafka's own clock made a record's time stamp; the topic is set so.
LOG_APPEND_TIME = 1
#: From here on a double may be another number than the one that was written.
EXACT = 2**53
#: A record that is larger may hold so many clicks that it is a run by itself.
SEVERAL_BYTES = 1024
#: Parts in which a run is tried that is not of one shape, and again each of those that are not.
PARTS = 32

#: Why a record cannot be counted.
REASONS: dict[str, str] = {
    "unknown_schema": "the schema registry does not know the schema that the value names",
    "unusable_schema": "values of the schema cannot be read",
    "not_as_schema": "the value is not what its schema says",
    "not_json": f"the value is not UTF-8 JSON, or nested more than {DEPTH_MAX} deep",
    "not_object": "the value is JSON, but not an object",
    "too_many": f"the record holds more than {THINGS_MAX:,} clicks",
    "missing_field": "user_id, event or timestamp is missing",
    "wrong_field": "a field has the wrong type",
    "empty_user_id": "user_id is empty",
    "huge_user_id": f"user_id is longer than {USER_ID_MAX} characters",
    "huge_event": f"event is longer than {EVENT_MAX} characters",
    "bad_timestamp": "timestamp is no point in time from 1971 on",
    "future": "timestamp is beyond the time Kafka received the record",
}


class Framing(Protocol):
    """Opens values of a schema registry: :class:`clickwarden.formats.framing.Framing`, with its packages."""

    def knowing(self, answers: Mapping[int, Schema | Fault]) -> AbstractContextManager[None]:
        """See :meth:`Decoder.knowing`."""

    def contents(self, records: Sequence[Record]) -> list[bytes | Fault | None]:
        """The values as JSON, or why they are none."""


class Decoder:
    """Turns records into :class:`Clicks`, or says why not.

    A run of good records of one shape is decoded in one sweep; a run that
    holds another is decoded again record by record, so that one bad record
    costs its own run and nothing else.

    Args:
        names: where the topic's fields stand, by our own names; see :mod:`~clickwarden.formats.fields`.
        skew: seconds that a click may be ahead of Kafka's clock.
        pattern: of times in text; see :func:`~clickwarden.formats.timestamps.seconds`.
        framing: makes what opens values of a schema registry; None where there is none.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        skew: float,
        pattern: str = "",
        framing: Callable[[], Framing] | None = None,
    ) -> None:
        self._names = names
        self._skew = skew
        self._pattern = pattern
        fields = places_of(names)
        self._framing = framing() if framing else None
        self._unwrapping = Unwrapping(fields)
        self._sweeps = sweeps(fields, pattern)
        self._plain = self._sweeps[0].plain if self._sweeps else None

    def knowing(self, answers: Mapping[int, Schema | Fault]) -> AbstractContextManager[None]:
        """Decode with what a schema registry has answered: schemas, for good, or why there is none.

        Args:
            answers: by the schema's number.
        """
        return self._framing.knowing(answers) if self._framing else nullcontext()

    def decode(self, records: Sequence[Record]) -> Clicks:
        """Decode one run of records of one partition.

        Raises:
            SchemasMissing: some are of schemas that are not known.
        """
        (clicks,) = self.parts(records)
        return clicks

    def parts(self, records: Sequence[Record], size: int | None = None) -> Iterator[Clicks]:
        """Decode one run in parts of whole records, each as soon as it holds ``size`` things.

        Raises:
            SchemasMissing: some are of schemas that are not known; of none there is a part.
        """
        stamps = _stamps(records)
        values = self._contents(records)
        clicks = self._swept(values, records, stamps)
        if clicks is not None:
            yield from clicks.split(size)
            return
        gathered = _Gathered(records, values, stamps)
        for end in self._gather(gathered, values, 0, stamps):
            if size is not None and gathered.things >= size and end < len(records):
                yield from gathered.take(end).split(size)
        yield from gathered.take(len(records)).split(size)

    def _contents(self, records: Sequence[Record]) -> list[Any]:
        """The values of records, as JSON where a registry says how; or a :class:`Fault`."""
        return self._framing.contents(records) if self._framing else [record.value for record in records]

    def _swept(
        self, values: list[Any], records: Sequence[Record], stamps: NDArray[np.float64]
    ) -> Clicks | None:
        """The clicks of a run in which each thing is one, and all records are of one shape; else None."""
        found = None
        with suppress(*UNREADABLE, TypeError):  # that, for a tombstone or a fault
            values = bare(values)
            array = values[0][:1] == b"[" if values else False
            fitting = (sweep for sweep in self._sweeps if sweep.array == array)
            found = next(filter(None, (_taken(sweep, values, records) for sweep in fitting)), None)
        if found is None:
            return None
        times = found.columns.times
        if len(times) and (times.max() > self._limit(stamps) or times.min() < EARLIEST):
            return None
        received = _received(records, stamps)
        clicks = Clicks(*found.columns, received=received, stamps=stamps)
        if found.sizes is not None:
            sizes = clicks.sizes = found.sizes
            clicks.records = np.repeat(np.arange(len(sizes)), sizes)
            clicks.elements = np.arange(len(times)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            clicks.received = received[clicks.records]
        return clicks

    def _gather(
        self, gathered: "_Gathered", values: list[Any], first: int, stamps: NDArray[np.float64]
    ) -> Iterator[int]:
        """Read some of the records, in parts where that helps: most of them are good.

        Yields the position behind what was read, again and again.
        """
        size = len(values) // PARTS if len(values) > 2 * PARTS else 1
        for begin in range(0, len(values), size):
            part = slice(begin, begin + size)
            position = first + begin
            if size == 1 and (click := self._plain_click(values[begin], stamps[begin])):
                gathered.hold(position, 1)
                gathered.add(click, position)
            elif size == 1 and len(values[begin] or b"") < SEVERAL_BYTES:
                self._read(gathered, position)
            else:
                records = gathered.records[position : position + len(values[part])]
                clicks = self._swept(values[part], records, stamps[part])
                if clicks is not None:
                    gathered.extend(clicks, position)
                elif size > 1:
                    yield from self._gather(gathered, values[part], position, stamps[part])
                else:
                    self._read(gathered, position)
            yield position + len(values[part])

    def _plain_click(self, value: bytes | Fault | None, stamp: float) -> Click | None:
        """The click of a plain record; None where it is none, or something may be said of it."""
        if not isinstance(value, bytes) or self._plain is None or is_deep(value):
            return None
        try:
            click = self._plain.click(value)
        except UNREADABLE:
            return None
        return click if EARLIEST <= click.time <= min(stamp + self._skew, LATEST) else None

    def _read(self, gathered: "_Gathered", position: int) -> None:
        """Read a record by itself."""
        record = gathered.records[position]
        held = self._held(record, gathered.values[position])
        gathered.hold(position, len(held))
        for element, one in enumerate(held):
            if one.ignored:
                gathered.ignored += 1
                continue
            fault = one.fault
            try:
                if fault is None:
                    gathered.add(self._click(one, record), position, element)
            except ClickError as error:
                fault = Fault(error.reason, error.detail)
            if fault is not None:
                which, value = (None, record.value or b"") if len(held) == 1 else (element, one.value)
                gathered.reject(Rejected(record.offset, record.key, value, *fault, position, which))

    def _held(self, record: Record, value: bytes | Fault | None) -> list[Held]:
        if value is None:
            return [Held(b"", ignored=True)]
        if isinstance(value, Fault):
            return [Held(record.value or b"", fault=value)]
        try:
            return self._unwrapping.held(value, record)
        except ClickError as error:
            return [Held(value, fault=Fault(error.reason, error.detail))]

    def elements(self, record: Record) -> list[bytes]:
        """The things that a record holds, each as it stands there."""
        (value,) = self._contents([record])
        return [held.value for held in self._held(record, value)]

    def _click(self, held: Held, record: Record) -> Click:
        user, event, timestamp = (self._needed(name, held) for name in ("user_id", "event", "timestamp"))
        product = held.find("product_id")
        return Click(_user(user), _event(event), _product(product), self._time(timestamp, record))

    def _needed(self, name: str, held: Held) -> Any:
        found = held.find(name)
        if found is None:
            raise ClickError("missing_field", self._names[name])
        return found

    def _time(self, timestamp: Any, record: Record) -> float:
        if isinstance(timestamp, bool):
            raise ClickError("wrong_field", "expected a time, got true or false")
        if isinstance(timestamp, Number):
            timestamp = str(timestamp) if self._pattern and timestamp.is_whole else float(timestamp)
        # Kafka's own is in seconds already, which no number's magnitude turns into another.
        time = seconds(timestamp, self._pattern)
        received = record.timestamp / 1000.0
        if time > received + self._skew:
            raise ClickError("future", f"{time - received:.0f} s ahead of Kafka's clock")
        if time > LATEST:  # and Kafka's clock, which a producer may set, is no better
            raise ClickError("bad_timestamp", f"{time:.0f}")
        return time

    def _limit(self, stamps: NDArray[np.float64]) -> float:
        """The latest time that is from the future for no record with these time stamps, epoch seconds."""
        return min(float(stamps.min(initial=LATEST)) + self._skew, LATEST)


class _Gathered:
    """What the records of a run say, from one of them on, as far as they were read.

    Attributes:
        records: of the run.
        values: of each, as JSON, or why it is none.
        things: how many things those hold that were read.
    """

    def __init__(self, records: Sequence[Record], values: Sequence[Any], stamps: NDArray[np.float64]) -> None:
        self.records = records
        self.values = values
        self.things = self.ignored = 0
        self._stamps = stamps
        self._received = _received(records, stamps)
        self._sizes = np.ones(len(records), np.int64)
        self._begin = 0
        self._clicks: list[Click] = []
        self._places: list[tuple[int, int]] = []
        self._rejected: list[Rejected] = []

    def hold(self, position: int, things: int) -> None:
        """Note how many things the record there holds."""
        self._sizes[position] = things
        self.things += things

    def add(self, click: Click, position: int, element: int = 0) -> None:
        """Note a click of the record there."""
        self._clicks.append(click)
        self._places.append((position, element))

    def reject(self, rejected: Rejected) -> None:
        """Note what is no click."""
        self._rejected.append(rejected._replace(record=rejected.record - self._begin))

    def extend(self, clicks: Clicks, position: int) -> None:
        """Note the clicks of whole records, the first of which is there."""
        columns = clicks.users, clicks.events, clicks.products, clicks.times.tolist()
        self._clicks += map(Click, *columns)
        self.things += len(clicks.users)
        if clicks.records is None or clicks.elements is None or clicks.sizes is None:
            self._places += [(position + number, 0) for number in range(len(clicks.users))]
        else:
            records = (position + clicks.records).tolist()
            self._places += zip(records, clicks.elements.tolist(), strict=True)
            self._sizes[position : position + len(clicks.sizes)] = clicks.sizes

    def take(self, end: int) -> Clicks:
        """All of it, of the records before ``end``, behind which it begins anew."""
        begin, self._begin = self._begin, end
        users, events, products, times = zip(*self._clicks, strict=True) if self._clicks else ((),) * 4
        records, elements = np.array(self._places, np.int64).reshape(-1, 2).T
        sizes = self._sizes[begin:end]
        several = sizes.max(initial=1) > 1
        clicks = Clicks(
            users=list(users),
            events=list(events),
            products=list(products),
            times=np.array(times, np.float64),
            received=self._received[records],
            records=records - begin,
            elements=elements if several else None,
            sizes=sizes if several else None,
            rejected=self._rejected,
            ignored=self.ignored,
            stamps=self._stamps[begin:end],
        )
        self._clicks, self._places, self._rejected = [], [], []
        self.things = self.ignored = 0
        return clicks


def _taken(sweep: Sweep, values: Sequence[bytes], records: Sequence[Record]) -> Swept | None:
    with suppress(*UNREADABLE, OtherShape, ClickError, AttributeError):
        return sweep.take(values, records)
    return None


def _user(found: Any) -> str:
    user_id = str(_whole(found)) if isinstance(found, Number) else found
    if not isinstance(user_id, str):
        raise ClickError("wrong_field", "expected a user in text or a whole number, got true or false")
    if not user_id:
        raise ClickError("empty_user_id")
    if len(user_id) > USER_ID_MAX:
        raise ClickError("huge_user_id", f"{len(user_id)} characters")
    return user_id


def _event(found: Any) -> str:
    if type(found) is not str:
        raise ClickError("wrong_field", f"expected an event in text, got {found!r:.40}")
    if len(found) > EVENT_MAX:
        raise ClickError("huge_event", f"{len(found)} characters")
    return found


def _product(found: Any) -> str | int | None:
    if isinstance(found, bool):
        raise ClickError("wrong_field", "expected a product in text or a whole number, got true or false")
    return _whole(found) if isinstance(found, Number) else found


def _whole(number: Number) -> int:
    """A whole number as one: of the ways to write it in text that Python's is the one.

    Raises:
        ClickError: it is none, or larger than a double can tell from the next, or than Python reads.
    """
    try:
        if number.is_whole:
            return int(number)
        value = float(number)
    except ValueError as error:
        raise ClickError("wrong_field", str(error)) from None
    if not value.is_integer() or abs(value) >= EXACT:
        raise ClickError("wrong_field", f"expected a whole number, got {number:.40}")
    return int(value)


def _stamps(records: Sequence[Record]) -> NDArray[np.float64]:
    """The records' time stamps, epoch seconds."""
    return np.array([record.timestamp for record in records], np.int64) / 1000.0


def _received(records: Sequence[Record], stamps: NDArray[np.float64]) -> NDArray[np.float64]:
    """When Kafka received the records; NaN where the stamps are not Kafka's own."""
    kinds = {records[0].timestamp_type, records[-1].timestamp_type} if records else {LOG_APPEND_TIME}
    if kinds == {LOG_APPEND_TIME}:
        return stamps
    own = np.array([record.timestamp_type == LOG_APPEND_TIME for record in records], np.bool_)
    return np.where(own, stamps, np.nan)
