"""What a click may look like, and how a run of records becomes columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.clicks import Clicks, Rejected
from clickwarden.errors import ClickError
from clickwarden.formats.fields import Record, places_of
from clickwarden.formats.json import DEPTH_MAX, UNREADABLE, is_deep
from clickwarden.formats.records import Held, Number, Unwrapping
from clickwarden.formats.shapes import EVENT_MAX, USER_ID_MAX, OtherShape, Sweep, shapes
from clickwarden.formats.timestamps import EARLIEST, LATEST, seconds

#: Kafka's own clock made a record's time stamp; the topic is set so.
LOG_APPEND_TIME = 1
#: From here on a double may be another number than the one that was written.
EXACT = 2**53

#: Why a record cannot be counted.
REASONS: dict[str, str] = {
    "not_json": f"the value is not UTF-8 JSON, or nested more than {DEPTH_MAX} deep",
    "not_object": "the value is JSON, but not an object",
    "missing_field": "user_id, event or timestamp is missing",
    "wrong_field": "a field has the wrong type",
    "empty_user_id": "user_id is empty",
    "huge_user_id": f"user_id is longer than {USER_ID_MAX} characters",
    "huge_event": f"event is longer than {EVENT_MAX} characters",
    "bad_timestamp": "timestamp is no point in time from 1971 on",
    "future": "timestamp is beyond the time Kafka received the record",
}


class Decoder:
    """Turns records into :class:`Clicks`, or says why not.

    A run of good records of one shape is decoded in one sweep; a run that
    holds another is decoded again record by record, so that one bad record
    costs its own run and nothing else.

    Args:
        names: where the topic's fields stand, by our own names; see :mod:`~clickwarden.formats.fields`.
        skew: seconds that a click may be ahead of Kafka's clock.
        pattern: of times in text; see :func:`~clickwarden.formats.timestamps.seconds`.
    """

    def __init__(self, names: Mapping[str, str], skew: float, pattern: str = "") -> None:
        self._names = names
        self._skew = skew
        self._pattern = pattern
        fields = places_of(names)
        self._unwrapping = Unwrapping(fields)
        self._sweeps = [Sweep(shape) for shape in shapes(fields, pattern)]

    def decode(self, records: Sequence[Record]) -> Clicks:
        """Decode one run of records of one partition."""
        values: list[Any] = [record.value for record in records]
        stamps = _stamps(records)
        try:
            if max(map(len, values), default=0) <= 2 * DEPTH_MAX or not any(map(is_deep, values)):
                for sweep in self._sweeps:
                    clicks = self._swept(sweep, values, records, stamps)
                    if clicks is not None:
                        return clicks
        except TypeError:  # a tombstone
            pass
        return self._decode_each(records, stamps)

    def _swept(
        self, sweep: Sweep, values: list[bytes], records: Sequence[Record], stamps: NDArray[np.float64]
    ) -> Clicks | None:
        try:
            found = sweep.take(values, records)
        except (*UNREADABLE, OtherShape, ClickError, AttributeError):
            return None
        times = found.columns.times
        if len(times) and (times.max() > self._limit(stamps) or times.min() < EARLIEST):
            return None
        clicks = Clicks(*found.columns, received=_received(records, stamps), stamps=stamps)
        if found.sizes is not None:
            sizes = clicks.sizes = found.sizes
            clicks.records = np.repeat(np.arange(len(sizes)), sizes)
            clicks.elements = np.arange(len(times)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            clicks.received = clicks.received[clicks.records]
        return clicks

    def _decode_each(self, records: Sequence[Record], stamps: NDArray[np.float64]) -> Clicks:
        clicks = Clicks([], [], [], np.array([]), stamps=stamps)
        times: list[float] = []
        places: list[tuple[int, int]] = []
        sizes = np.ones(len(records), np.int64)
        for position, record in enumerate(records):
            held = self._held(record)
            sizes[position] = len(held)
            for element, one in enumerate(held):
                if one.ignored:
                    clicks.ignored += 1
                    continue
                try:
                    user, event, product, time = self._click(one, record)
                except ClickError as error:
                    # Not the error itself: its traceback would keep the whole run.
                    clicks.rejected.append(_rejected(record, position, error, one, element if len(held) > 1 else None))
                    continue
                clicks.users.append(user)
                clicks.events.append(event)
                clicks.products.append(product)
                times.append(time)
                places.append((position, element))
        clicks.times = np.array(times, np.float64)
        clicks.records, elements = np.array(places, np.int64).reshape(-1, 2).T
        clicks.received = _received(records, stamps)[clicks.records]
        if sizes.max(initial=1) > 1:
            clicks.elements, clicks.sizes = elements, sizes
        return clicks

    def _held(self, record: Record) -> list[Held]:
        value = record.value
        if value is None:
            return [Held(b"", ignored=True)]
        try:
            return self._unwrapping.held(value, record)
        except ClickError as error:
            return [Held(value, fault=error)]

    def element(self, record: Record, number: int) -> bytes:
        """One of the several things in a record, as it stands there."""
        return self._held(record)[number].value

    def _click(self, held: Held, record: Record) -> tuple[str, str, str | int | None, float]:
        if held.fault is not None:
            raise held.fault
        user, event, timestamp = (self._needed(name, held, record) for name in ("user_id", "event", "timestamp"))
        product = self._unwrapping.field("product_id", held.scopes, record)
        return _user(user), _event(event), _product(product), self._time(timestamp, record)

    def _needed(self, name: str, held: Held, record: Record) -> Any:
        found = self._unwrapping.field(name, held.scopes, record)
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


def _rejected(record: Record, position: int, error: ClickError, held: Held, element: int | None) -> Rejected:
    value = held.value if element is not None else record.value or b""
    return Rejected(record.offset, record.key, value, error.reason, error.detail, position, element)


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
    return np.array([record.timestamp for record in records], np.float64) / 1000.0


def _received(records: Sequence[Record], stamps: NDArray[np.float64]) -> NDArray[np.float64]:
    """When Kafka received the records; NaN where the stamps are not Kafka's own."""
    kinds = {records[0].timestamp_type, records[-1].timestamp_type} if records else {LOG_APPEND_TIME}
    if kinds == {LOG_APPEND_TIME}:
        return stamps
    own = np.array([record.timestamp_type == LOG_APPEND_TIME for record in records], np.bool_)
    return np.where(own, stamps, np.nan)
