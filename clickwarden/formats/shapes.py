"""Records of one shape, decoded at once.

A :class:`~clickwarden.formats.clicks.Decoder` tries shapes before it reads record by record. A shape takes
only records whose clicks :mod:`~clickwarden.formats.records` would read alike.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.formats.debezium import UNWRAPPED
from clickwarden.formats.fields import Path, Places, Record, is_place
from clickwarden.formats.json import DEPTH_MAX, FRAME, THINGS_MAX, UNREADABLE, is_deep, is_framed
from clickwarden.formats.records import LISTS
from clickwarden.formats.scalars import texts_of
from clickwarden.formats.timestamps import scale, seconds
from clickwarden.formats.tree import ANYTHING, NOTHING, Column, Leaf, Sizes, Tree, first_of, text_around

USER_ID_MAX = 256
EVENT_MAX = 64

Scalar = str | int | float
#: What a field is in most topics.
STRICT: dict[str, Any] = {
    "user_id": Annotated[str, msgspec.Meta(max_length=USER_ID_MAX)],
    "event": Annotated[str, msgspec.Meta(max_length=EVENT_MAX)],
    "timestamp": float,
    "product_id": str | int,
}
#: A user who stands nowhere else.
USER = Annotated[str, msgspec.Meta(min_length=1, max_length=USER_ID_MAX)]


class OtherShape(Exception):
    """The run has another shape."""


class Columns(NamedTuple):
    """Columns of clicks; ``times`` in epoch seconds, [n], of any moment; and one a further field."""

    users: list[str]
    events: list[str]
    products: list[str | int | None]
    times: NDArray[np.float64]
    further: Sequence[list[str | None]] = ()

    def picked(self, pick: Callable[[list[Any]], list[Any]], times: NDArray[np.float64]) -> "Columns":
        """The same of some of the clicks, which are picked out of each column; and their times."""
        further = [pick(column) for column in self.further]
        return Columns(pick(self.users), pick(self.events), pick(self.products), times, further)


class Click(NamedTuple):
    """A click; ``time`` in epoch seconds."""

    user_id: str
    event: str
    product_id: str | int | None
    time: float
    further: tuple[str | None, ...] = ()


class Plain:
    """Each field under one name at the top, the user in text and the time a number.

    Args:
        names: of the fields, by our own names.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.type = msgspec.defstruct(
            "Click",
            [
                ("user_id", USER),
                ("event", Annotated[str, msgspec.Meta(max_length=EVENT_MAX)]),
                ("timestamp", float),
                ("product_id", str | int | None, None),
                *((f"unwrapped{name}", Literal[said] | None, None) for name, said in UNWRAPPED.items()),
            ],
            rename={**names, **{f"unwrapped{name}": name for name in UNWRAPPED}},
            gc=False,
        )

    def columns(self, rows: Sequence[Any], records: Sequence[Record], sizes: Sizes) -> Columns:
        """The columns of some clicks; see :class:`Nested`."""
        times = np.array([row.timestamp for row in rows], np.float64)
        scale(times)
        return Columns(
            users=[row.user_id for row in rows],
            events=[row.event for row in rows],
            products=[row.product_id for row in rows],
            times=times,
        )


class Nested:
    """Fields at the ends of paths through objects, and in what surrounds the value.

    Args:
        fields: where they stand.
        pattern: of times in text; see :func:`~clickwarden.formats.timestamps.seconds`.
        strict: whether the user is text and the time a number, and no name has a dot in it.
        further: where further fields stand, of which each may be anything, and missing.

    Raises:
        ValueError: there is no such shape, as where a path leads through another's end.
    """

    def __init__(
        self, fields: Mapping[str, Places], pattern: str, further: Sequence[Places] = (), *, strict: bool
    ) -> None:
        self._pattern = pattern
        self._strict = strict
        tree = _of_an_insert()
        self._columns: dict[str, list[Column]] = {}
        self._may_be_missing: set[str] = set()
        self._may_be_empty = True
        for field, places in fields.items():
            if strict and not all(isinstance(place, Path) for place in places):
                raise ValueError("what surrounds a value may be anything")
            read = _read(places, strict=strict)
            # A run of which one is missing is found out at its first record.
            needed = field != "product_id" and len(read) == 1 and not _leads_into_a_list(read[0])
            if field != "product_id" and not (needed and isinstance(read[0], Path)):
                self._may_be_missing.add(field)
            kind = STRICT[field] if strict else Scalar
            if kind == STRICT["user_id"] and len(read) == 1:
                kind, self._may_be_empty = USER, False
            for place in places:
                if isinstance(place, Path):
                    leaf = Leaf(kind, needed)
                    tree.grow(place.names, leaf if place in read else NOTHING)
            self._columns[field] = [tree.column(place) for place in read]
        self._further: list[list[Column]] = []
        for places in further:
            read = _read(places, strict=strict)
            for place in places:
                if isinstance(place, Path):
                    tree.grow_beside(place.names, ANYTHING if place in read else NOTHING)
            self._further.append([tree.column(place, text_around) for place in read])
        self.type = tree.type

    def columns(self, rows: Sequence[Any], records: Sequence[Record], sizes: Sizes) -> Columns:
        """The columns of some clicks, of which each record holds so many.

        Raises:
            OtherShape, AttributeError, ClickError: a click has another shape.
        """
        users, events, products, times = (
            self._column(field, rows, records, sizes)
            for field in ("user_id", "event", "product_id", "timestamp")
        )
        further = [texts_of(first_of(columns, rows, records, sizes)) for columns in self._further]
        if self._strict:
            return Columns(users, events, products, _scaled(times), further)
        if set(map(type, users)) != {str}:
            _expect(users, str, int)
            users = list(map(str, users))
        _expect(events, str)
        _expect(products, str, int, type(None))
        if max(map(len, users), default=0) > USER_ID_MAX or max(map(len, set(events)), default=0) > EVENT_MAX:
            raise OtherShape
        return Columns(users, events, products, self._times(times), further)

    def _column(self, field: str, rows: Sequence[Any], records: Sequence[Record], sizes: Sizes) -> list[Any]:
        found = first_of(self._columns[field], rows, records, sizes)
        if field == "user_id" and self._may_be_empty and "" in found:
            raise OtherShape
        if field in self._may_be_missing and None in found:
            raise OtherShape
        return found

    def _times(self, found: list[Any]) -> NDArray[np.float64]:
        _expect(found, str, int, float)
        kinds = set(map(type, found))
        if str in kinds or (self._pattern and int in kinds):
            pattern = self._pattern
            texts = (str(one) if pattern and type(one) is int else one for one in found)
            return np.array([seconds(one, pattern) for one in texts], np.float64)
        return _scaled(found)


class Swept(NamedTuple):
    """What records of one shape say.

    Attributes:
        columns: of their clicks.
        sizes: how many clicks each of them holds.
        left: positions of the records that are of another shape, ascending.
    """

    columns: Columns
    sizes: Sizes
    left: list[int]


class Sweep:
    """Decodes records whose clicks have one shape and come in one envelope.

    Args:
        shape: of the clicks.
        envelope: the type of a record's JSON.
        way: attributes that lead from there to the click, or the list of clicks; empty where it is that.
        several: whether it is a list.
    """

    def __init__(self, shape: Plain | Nested, envelope: Any, way: str = "", *, several: bool = False) -> None:
        self._columns = shape.columns
        self._decode = msgspec.json.Decoder(envelope).decode
        self._get = attrgetter(way) if way else None
        self._several = several

    def fits(self, value: bytes) -> bool:
        """Whether a record with this value may be of the shape."""
        try:
            self._decode(value)
        except (*UNREADABLE, TypeError):
            return False
        return True

    def take(self, values: Sequence[bytes], records: Sequence[Record]) -> Swept:
        """Decode those of some records that are of the shape, with these values.

        Raises:
            OtherShape, AttributeError, ClickError: one that seems to be is something else.
        """
        found, left = self._decoded(values)
        if self._get is not None:
            found = list(map(self._get, found))
        others = set(left)
        if others:
            values = [value for position, value in enumerate(values) if position not in others]
            records = [record for position, record in enumerate(records) if position not in others]
        if not self._several:
            if max(map(len, values), default=0) > 2 * DEPTH_MAX and any(map(is_deep, values)):
                raise OtherShape
            return Swept(self._columns(found, records, None), None, left)
        sizes = np.fromiter(map(len, found), np.int64, len(found))
        # Of the objects and lists that begin in it, each click is one, none of which holds the next.
        deep = (is_deep(value, len(clicks) - 1) for value, clicks in zip(values, found, strict=True))
        if not sizes.all() or sizes.max(initial=0) > THINGS_MAX or any(deep):
            raise OtherShape
        return Swept(self._columns(list(chain.from_iterable(found)), records, sizes), sizes, left)

    def _decoded(self, values: Sequence[bytes]) -> tuple[list[Any], list[int]]:
        """What the values are that can be decoded, and the positions of the others."""
        found: list[Any] = []
        left: list[int] = []
        decoded = map(self._decode, values)
        while len(found) + len(left) < len(values):
            try:
                found.extend(decoded)
            except (*UNREADABLE, TypeError):  # that, for a tombstone
                left.append(len(found) + len(left))
        return found, left


def bare(values: list[bytes]) -> list[bytes]:
    """The JSON that is behind the five bytes of a schema registry, or within a JSON text, where all of it is.

    Raises:
        msgspec.MsgspecError, UnicodeError: it is no text.
    """
    begin = values[0][:1] if values else b""
    if begin == b"\0" and all(map(is_framed, values)):
        values = [value[FRAME:] for value in values]
        begin = values[0][:1]
    return [_text(value).encode() for value in values] if begin == b'"' else values


_text = msgspec.json.Decoder(str).decode


def sweeps(fields: Mapping[str, Places], pattern: str, further: Sequence[Places] = ()) -> list[Sweep]:
    """How a topic's runs may be decoded, the likeliest first."""
    found: list[Sweep] = []
    for shape in _shapes(fields, pattern, further):
        found += [Sweep(shape, shape.type), Sweep(shape, list[shape.type], several=True)]  # type: ignore[name-defined]
    for shape in _shapes(fields, pattern, further):
        found += _in_envelopes(shape, fields)
    return found


def _shapes(
    fields: Mapping[str, Places], pattern: str, further: Sequence[Places]
) -> Iterator[Plain | Nested]:
    if not (pattern or further) and all(
        len(places) == 1 and isinstance(places[0], Path) for places in fields.values()
    ):
        with suppress(ValueError):  # two fields stand in one place
            yield Plain(
                {field: place.names[0] for field, (place,) in fields.items() if isinstance(place, Path)}
            )
    elif not pattern:
        with suppress(ValueError):
            yield Nested(fields, pattern, further, strict=True)
    with suppress(ValueError):  # where there is none, each record is read by itself
        yield Nested(fields, pattern, further, strict=False)


def _in_envelopes(shape: Plain | Nested, fields: Mapping[str, Places]) -> Iterator[Sweep]:
    click: Any = shape.type
    several: Any = list[click]
    for number, name in enumerate(LISTS):
        yield from _sweep(shape, _envelope(fields, {name: several}, *LISTS[:number]), name, several=True)
    change = _envelope(fields, {"op": Literal["c"], "after": click}, *LISTS, "payload")
    event = _envelope(fields, {"specversion": str, "data": click}, *LISTS, "payload", "op")
    yield from _sweep(shape, change, "after")
    yield from _sweep(shape, event, "data")
    for inner, way in ((click, "payload"), (change, "payload.after")):
        if inner is not None:
            envelope = _envelope(fields, {"schema": msgspec.Raw, "payload": inner}, *LISTS)
            yield from _sweep(shape, envelope, way)


def _sweep(shape: Plain | Nested, envelope: Any, way: str, *, several: bool = False) -> Iterator[Sweep]:
    if envelope is not None:
        yield Sweep(shape, envelope, way, several=several)


def _envelope(fields: Mapping[str, Places], members: Mapping[str, Any], *absent: str) -> Any:
    """The type of an envelope that is no click itself, for one of its fields is missing.

    None where that cannot be told by the type.
    """
    for field in ("user_id", "event", "timestamp"):
        names = {place.names[0] if isinstance(place, Path) else "" for place in fields[field]}
        if "" in names or names & members.keys():
            continue
        missing = sorted(names | (set(absent) - members.keys()))
        never = {f"never_{number}": name for number, name in enumerate(missing)}
        nothing: list[tuple[str, Any, Any]] = [(attribute, None, None) for attribute in never]
        return msgspec.defstruct("Envelope", [*members.items(), *nothing], rename=never, gc=False)
    return None


def _of_an_insert() -> Tree:
    """With what an unwrapped row may say that is a click."""
    tree = Tree()
    for name, said in UNWRAPPED.items():
        tree.grow((name,), Leaf(Literal[said], needed=False))
    return tree


def _read(places: Places, *, strict: bool) -> list[Any]:
    """Those of the places that are looked at."""
    return [place for place in places if not (strict and isinstance(place, Path) and place.is_dotted)]


def _leads_into_a_list(place: Any) -> bool:
    return isinstance(place, Path) and any(map(is_place, place.names[1:]))


def _scaled(numbers: list[Any]) -> NDArray[np.float64]:
    try:
        times = np.array(numbers, np.float64)
    except OverflowError:
        raise OtherShape from None
    scale(times)
    return times


def _expect(column: list[Any], *kinds: type) -> None:
    if not set(map(type, column)) <= set(kinds):
        raise OtherShape
