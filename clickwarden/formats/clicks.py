"""What a click may look like, and how a run of records becomes columns."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.clicks import Clicks, Rejected
from clickwarden.errors import ClickError
from clickwarden.formats.json import DEPTH_MAX, UNREADABLE, is_deep
from clickwarden.times import epoch

USER_ID_MAX = 256
EVENT_MAX = 64
#: From here on a number is epoch milliseconds (in seconds it would be the year 5138).
MILLISECONDS_FROM = 1e11

#: Kafka's own clock made a record's time stamp; the topic is set so.
LOG_APPEND_TIME = 1

#: No click is earlier, epoch seconds: a number that would be in 1970 counts something else.
EARLIEST = 31_536_000
#: No click is later, epoch seconds: years have four digits.
LATEST = 250_000_000_000

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


class Record(Protocol):
    """What is read of a Kafka record."""

    @property
    def offset(self) -> int:
        """Where it stands in its partition."""

    @property
    def timestamp(self) -> int:
        """Its time stamp, epoch milliseconds."""

    @property
    def timestamp_type(self) -> int | None:
        """1 where the time stamp is Kafka's own, else its producer made it (KIP-32)."""

    @property
    def key(self) -> bytes | None:
        """The key; None where there is none."""

    @property
    def value(self) -> bytes | None:
        """The value; None: a tombstone."""


class Decoder:
    """Turns records into :class:`Clicks`, or says why not.

    A run of good records is decoded in one sweep; a run that holds a bad one
    is decoded again record by record, so that one bad record costs its own
    run and nothing else.

    Args:
        names: what the topic calls the fields of a click, by our own names.
        skew: seconds that a click may be ahead of Kafka's clock.
    """

    def __init__(self, names: Mapping[str, str], skew: float) -> None:
        self._names = names
        self._decode_number = self._decoder(float)
        self._decode_any = self._decoder(float | str)
        self._skew = skew

    def _decoder(self, timestamp: Any) -> Callable[[Any], Any]:
        struct = msgspec.defstruct(
            "Click",
            [
                ("user_id", Annotated[str, msgspec.Meta(min_length=1, max_length=USER_ID_MAX)]),
                ("event", Annotated[str, msgspec.Meta(max_length=EVENT_MAX)]),
                ("timestamp", timestamp),
                ("product_id", str | int | None, None),
            ],
            rename=dict(self._names),
            gc=False,
        )
        return msgspec.json.Decoder(struct).decode

    def decode(self, records: Sequence[Record]) -> Clicks:
        """Decode one run of records of one partition."""
        values: list[Any] = [record.value for record in records]
        try:
            if max(map(len, values), default=0) > 2 * DEPTH_MAX and any(map(is_deep, values)):
                return self._decode_each(records)
            rows = list(map(self._decode_number, values))
        except (*UNREADABLE, TypeError):
            return self._decode_each(records)
        times = np.array([row.timestamp for row in rows], np.float64)
        times[times >= MILLISECONDS_FROM] /= 1000.0
        stamps = _stamps(records)
        if len(rows) and (times.max() > self._limit(stamps) or times.min() < EARLIEST):
            return self._decode_each(records)
        clicks = _columns(rows, times, _received(records, stamps))
        clicks.stamps = stamps
        return clicks

    def _decode_each(self, records: Sequence[Record]) -> Clicks:
        rows, times, positions = [], [], []
        rejected: list[Rejected] = []
        ignored = 0
        stamps = _stamps(records)
        plain = min(self._limit(stamps), MILLISECONDS_FROM)
        for position, record in enumerate(records):
            value = record.value
            if value is None:
                ignored += 1
                continue
            try:
                row = self._decode_one(value)
                time = row.timestamp
                if type(time) is str or not EARLIEST <= time < plain:
                    time = self._time(time, record)
            except ClickError as error:
                # Not the error itself: its traceback would keep the whole run.
                rejected.append(
                    Rejected(record.offset, record.key, value, error.reason, error.detail, position)
                )
                continue
            rows.append(row)
            times.append(time)
            positions.append(position)
        clicks = _columns(rows, np.array(times, np.float64), _received(records, stamps)[positions])
        clicks.records = np.array(positions, np.int64)
        clicks.rejected = rejected
        clicks.ignored = ignored
        clicks.stamps = stamps
        return clicks

    def _decode_one(self, value: bytes) -> Any:
        if is_deep(value):
            raise ClickError("not_json", f"nested more than {DEPTH_MAX} deep")
        try:
            return self._decode_any(value)
        except UNREADABLE as error:
            raise self._explain(value, error) from None

    def _time(self, timestamp: float | str, record: Record) -> float:
        time = seconds(timestamp)
        received = record.timestamp / 1000.0
        if time > received + self._skew:
            raise ClickError("future", f"{time - received:.0f} s ahead of Kafka's clock")
        if time > LATEST:  # and Kafka's clock, which a producer may set, is no better
            raise ClickError("bad_timestamp", f"{time:.0f}")
        return time

    def _limit(self, stamps: NDArray[np.float64]) -> float:
        """The latest time that is from the future for no record with these time stamps, epoch seconds."""
        return min(float(stamps.min(initial=LATEST)) + self._skew, LATEST)

    def _explain(self, value: bytes, error: Exception) -> ClickError:
        try:
            click = msgspec.json.decode(value)
        except UNREADABLE:
            return ClickError("not_json", str(error))
        if not isinstance(click, dict):
            return ClickError("not_object", type(click).__name__)
        names = self._names
        for name in ("user_id", "event", "timestamp"):
            if names[name] not in click:
                return ClickError("missing_field", names[name])
        user_id, event = click[names["user_id"]], click[names["event"]]
        if user_id == "":
            return ClickError("empty_user_id")
        if isinstance(user_id, str) and len(user_id) > USER_ID_MAX:
            return ClickError("huge_user_id", f"{len(user_id)} characters")
        if isinstance(event, str) and len(event) > EVENT_MAX:
            return ClickError("huge_event", f"{len(event)} characters")
        return ClickError("wrong_field", str(error))


def seconds(timestamp: float | str) -> float:
    """Epoch seconds of a click's ``timestamp``.

    >>> seconds(1431936343), seconds(1431936343000), seconds("2015-05-18T08:05:43Z")
    (1431936343.0, 1431936343.0, 1431936343.0)

    Raises:
        ClickError: it is no point in time from 1971 on.
    """
    if isinstance(timestamp, str):
        try:
            value = epoch(timestamp)
        except (ValueError, OverflowError) as error:
            raise ClickError("bad_timestamp", str(error)) from None
    else:
        value = timestamp / 1000.0 if timestamp >= MILLISECONDS_FROM else float(timestamp)
    if not math.isfinite(value) or value < EARLIEST:
        raise ClickError("bad_timestamp", f"{timestamp!r}")
    return value


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


def _columns(rows: list[Any], times: NDArray[np.float64], received: NDArray[np.float64]) -> Clicks:
    return Clicks(
        users=[row.user_id for row in rows],
        events=[row.event for row in rows],
        products=[row.product_id for row in rows],
        times=times,
        received=received,
    )
