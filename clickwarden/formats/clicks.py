"""What a click may look like, and how a run of records becomes columns."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.clauses import OWN
from clickwarden.detection.clicks import Clicks, Rejected
from clickwarden.errors import ClickError
from clickwarden.formats.debezium import is_move
from clickwarden.formats.fields import Record, places, places_of
from clickwarden.formats.flat import FlatClick
from clickwarden.formats.gathered import Gathered, Piece
from clickwarden.formats.json import DEPTH_MAX, THINGS_MAX, UNREADABLE
from clickwarden.formats.records import Fault, Held, Unwrapping
from clickwarden.formats.scalars import Number, text_of
from clickwarden.formats.schema import Schema
from clickwarden.formats.shapes import EVENT_MAX, USER_ID_MAX, Click, OtherShape, Sweep, bare, sweeps
from clickwarden.formats.timestamps import EARLIEST, LATEST, seconds

#: From here on a double may be another number than the one that was written.
EXACT = 2**53
#: A record that is larger may hold so many clicks that it is a run by itself.
SEVERAL_BYTES = 1024
#: Records that are looked at to see of which shape most are.
SAMPLE = 5
#: Parts in which records are tried of which none can be read at once, and again each of those that cannot.
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


class Unframing(Protocol):
    """Opens values of a schema registry: :class:`clickwarden.formats.framing.Framing`, with its packages."""

    def knowing(self, answers: Mapping[int, Schema | Fault]) -> AbstractContextManager[None]:
        """See :meth:`Decoder.knowing`."""

    def contents(self, records: Sequence[Record]) -> list[bytes | Fault | None]:
        """The values as JSON, or why they are none."""


class Decoder:
    """Turns records into :class:`Clicks`, or says why not.

    Records of one shape are decoded in one sweep, and what is left, bad ones
    and those of rare shapes, record by record.

    Args:
        names: where the topic's fields stand, by our own names; see :mod:`~clickwarden.formats.fields`.
        skew: seconds that a click may be ahead of Kafka's clock.
        pattern: of times in text; see :func:`~clickwarden.formats.timestamps.seconds`.
        framing: makes what opens values of a schema registry; None where there is none.
        fields: see :meth:`want`.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        skew: float,
        pattern: str = "",
        framing: Callable[[], Unframing] | None = None,
        fields: Collection[str] = (),
    ) -> None:
        self._names = names
        self._skew = skew
        self._pattern = pattern
        self._fields = places_of(names)
        self._framing = framing() if framing else None
        self._look_for(tuple(sorted(set(fields).difference(OWN))))

    def want(self, fields: Collection[str]) -> None:
        """Read these fields of a click, too, from now on.

        They change nothing of what is a click: what is no text, number, true or false in one of them, is as
        if nothing stood there.

        Args:
            fields: names or paths, as a rule has them (:mod:`clickwarden.detection.clauses`).
        """
        further = tuple(sorted(set(fields).difference(OWN)))
        if further != self._further:
            self._look_for(further)

    def _look_for(self, further: tuple[str, ...]) -> None:
        self._further = further
        beside = {name: places(name) for name in further}
        self._unwrapping = Unwrapping(self._fields, beside)
        self._sweeps = sweeps(self._fields, self._pattern, tuple(beside.values()))

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
        contents = self.contents(records)
        gathered = Gathered(records, contents, self._further)
        values: list[Any] = [None if isinstance(content, Fault) else content for content in contents]
        for end in self._gather(gathered, values, np.arange(len(records))):
            if size is not None and gathered.things >= size and end < len(records):
                yield from gathered.take(end).split(size)
        yield from gathered.take(len(records)).split(size)

    def contents(self, records: Sequence[Record]) -> list[Any]:
        """The values of records, as JSON where a registry says how; or a :class:`Fault`.

        Raises:
            SchemasMissing: some are of schemas that are not known.
        """
        found = self._framing.contents(records) if self._framing else [record.value for record in records]
        if any(record.headers for record in records):
            return [
                None if is_move(record) else content for record, content in zip(records, found, strict=True)
            ]
        return found

    def _gather(self, gathered: Gathered, values: list[Any], positions: NDArray[np.int64]) -> Iterator[int]:
        """Read the records at these positions, which follow each other: most at once, the rest one by one.

        Yields the position behind what was read, again and again.
        """
        piece, left = self._shaped(gathered, values, positions)
        if not len(piece) and len(left) > 2 * PARTS:
            for part in np.array_split(positions, PARTS):
                yield from self._gather(gathered, values, part)
            return
        done = 0
        for position in left.tolist():
            if len(values[position] or b"") < SEVERAL_BYTES:
                self._read(gathered, position)
                continue
            before = int(np.searchsorted(piece.records, position))
            gathered.extend(piece.part(done, before))
            done = before
            alone, others = self._shaped(gathered, values, np.array([position]))
            gathered.extend(alone)
            if len(others):
                self._read(gathered, position)
            yield position + 1
        gathered.extend(piece.part(done, len(piece)) if done else piece)
        if len(positions):
            yield int(positions[-1]) + 1

    def _shaped(
        self, gathered: Gathered, values: list[Any], left: NDArray[np.int64]
    ) -> tuple[Piece, NDArray[np.int64]]:
        """The clicks of those of the records that are of few shapes; and positions of the others."""
        pieces = []
        few = len(left) // 4
        while len(left) > few:
            piece, left = self._swept(gathered, values, left)
            if not len(piece):
                break
            pieces.append(piece)
        return Piece.together(pieces), left

    def _swept(
        self, gathered: Gathered, values: list[Any], positions: NDArray[np.int64]
    ) -> tuple[Piece, NDArray[np.int64]]:
        """The clicks of those of the records that are of the likeliest shape; and positions of the others."""
        records = gathered.records
        if len(positions) < len(records):
            records = [records[position] for position in positions.tolist()]
            values = [values[position] for position in positions.tolist()]
        with suppress(*UNREADABLE, TypeError):  # that, for a tombstone
            values = bare(values)
        for sweep in self._likely(values):
            with suppress(*UNREADABLE, OtherShape, ClickError, AttributeError):
                columns, sizes, left = sweep.take(values, records)
                piece = Piece.of(columns, np.delete(positions, left) if left else positions, sizes)
                astray = self._astray(piece, gathered.stamps)
                if not left and not len(astray):
                    return piece, positions[:0]
                if len(astray):
                    piece = piece.without(astray)
                if len(piece):
                    return piece, np.union1d(positions[left], astray)
        return Piece.together([]), positions

    def _likely(self, values: Sequence[bytes]) -> Iterator[Sweep]:
        """How most of the values may be decoded, and then how some may."""
        sample = values[:: len(values) // SAMPLE + 1]
        most, likeliest = 0, None
        for sweep in self._sweeps:
            fitting = sum(map(sweep.fits, sample))
            if 2 * fitting > len(sample):
                yield sweep
            elif fitting > most:
                most, likeliest = fitting, sweep
        if likeliest is not None:
            yield likeliest

    def _astray(self, piece: Piece, stamps: NDArray[np.float64]) -> NDArray[np.int64]:
        """Positions of the records with clicks whose time cannot be."""
        times = piece.columns.times
        latest = np.minimum(stamps + self._skew, LATEST)
        if times.max(initial=0) <= latest.min() and times.min(initial=LATEST) >= EARLIEST:
            return piece.records[:0]
        return np.unique(piece.records[(times > latest[piece.records]) | (times < EARLIEST)])

    def _read(self, gathered: Gathered, position: int) -> None:
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
                rejected = Rejected(record.offset, record.key, value, *fault, position, which, record.headers)
                gathered.reject(rejected)

    def _held(self, record: Record, value: bytes | Fault | None) -> Sequence[Held | FlatClick]:
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
        (value,) = self.contents([record])
        return [held.value for held in self._held(record, value)]

    def _click(self, held: Held | FlatClick, record: Record) -> Click:
        user, event = self._needed("user_id", held), self._needed("event", held)
        timestamp, product = self._needed("timestamp", held), held.find("product_id")
        further = tuple(_text(held, name) for name in self._further)
        return Click(_user(user), _event(event), _product(product), self._time(timestamp, record), further)

    def _needed(self, name: str, held: Held | FlatClick) -> Any:
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


def _text(held: Held | FlatClick, field: str) -> str | None:
    """What stands in a further field."""
    try:
        return text_of(held.find(field))
    except ClickError:
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
