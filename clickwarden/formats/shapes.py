"""Runs of records of one shape, decoded at once.

A :class:`~clickwarden.formats.clicks.Decoder` tries shapes before it reads record by record. A shape takes a
run only where each of its records is one whose click :mod:`~clickwarden.formats.records` would read alike.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain, repeat
from operator import attrgetter
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.formats.fields import Path, Places, Record
from clickwarden.formats.timestamps import scale, seconds

USER_ID_MAX = 256
EVENT_MAX = 64

Scalar = str | int | float | None


class OtherShape(Exception):
    """The run has another shape."""


class Columns(NamedTuple):
    """Columns of clicks; ``times`` in epoch seconds, [n], of any moment."""

    users: list[str]
    events: list[str]
    products: list[str | int | None]
    times: NDArray[np.float64]


class Plain:
    """Each field under one name at the top, the user in text and the time a number.

    Args:
        names: of the fields, by our own names.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.type = msgspec.defstruct(
            "Click",
            [
                ("user_id", Annotated[str, msgspec.Meta(min_length=1, max_length=USER_ID_MAX)]),
                ("event", Annotated[str, msgspec.Meta(max_length=EVENT_MAX)]),
                ("timestamp", float),
                ("product_id", str | int | None, None),
            ],
            rename=dict(names),
            gc=False,
        )

    def columns(self, rows: Sequence[Any], records: Iterable[Record]) -> Columns:
        """The columns of some clicks."""
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

    Raises:
        ValueError: there is no such shape, as where a path leads through another's end.
    """

    def __init__(self, fields: Mapping[str, Places], pattern: str) -> None:
        self._pattern = pattern
        tree: dict[str, Any] = {}
        for places in fields.values():
            for place in places:
                if isinstance(place, Path):
                    _grow(tree, place.names)
        self.type = _struct(tree)
        self._columns = {field: [_column(place, tree) for place in places] for field, places in fields.items()}

    def columns(self, rows: Sequence[Any], records: Iterable[Record]) -> Columns:
        """The columns of some clicks, each of the record beside it.

        Raises:
            OtherShape, AttributeError, ClickError: a click has another shape.
        """
        records = list(records)
        users, events, products, times = (
            self._column(field, rows, records) for field in ("user_id", "event", "product_id", "timestamp")
        )
        if set(map(type, users)) != {str}:
            _expect(users, str, int)
            users = list(map(str, users))
        _expect(events, str)
        _expect(products, str, int, type(None))
        distinct = set(users)
        if "" in distinct or max(map(len, distinct)) > USER_ID_MAX or max(map(len, set(events))) > EVENT_MAX:
            raise OtherShape
        return Columns(users, events, products, self._times(times))

    def _column(self, field: str, rows: Sequence[Any], records: list[Record]) -> list[Any]:
        first, *others = self._columns[field]
        found = first(rows, records)
        for other in others:
            if None not in found and "" not in found:
                break
            found = [
                further if mine is None or (mine == "" and further is not None) else mine
                for mine, further in zip(found, other(rows, records), strict=True)
            ]
        return found

    def _times(self, found: list[Any]) -> NDArray[np.float64]:
        _expect(found, str, int, float)
        kinds = set(map(type, found))
        if str in kinds or (self._pattern and int in kinds):
            pattern = self._pattern
            texts = (str(one) if pattern and type(one) is int else one for one in found)
            return np.array([seconds(one, pattern) for one in texts], np.float64)
        try:
            times = np.array(found, np.float64)
        except OverflowError:
            raise OtherShape from None
        scale(times)
        return times


class Swept(NamedTuple):
    """What a run says.

    Attributes:
        columns: of its clicks.
        sizes: how many clicks each record holds, int64[records]; None where each holds one.
    """

    columns: Columns
    sizes: NDArray[np.int64] | None


class Sweep:
    """Decodes runs of records whose clicks have a shape, each a click or an array of clicks."""

    def __init__(self, shape: Plain | Nested) -> None:
        self._columns = shape.columns
        self._decode = msgspec.json.Decoder(shape.type).decode
        self._decode_array = msgspec.json.Decoder(list[shape.type]).decode  # type: ignore[name-defined]

    def take(self, values: Sequence[bytes], records: Sequence[Record]) -> Swept:
        """Decode a run of records with these values.

        Raises:
            OtherShape, AttributeError, ClickError, msgspec.MsgspecError, UnicodeError, RecursionError: one of
                them is something else.
        """
        begin = values[0][:1] if values else b""
        if begin == b"\0":
            values = [_framed(value) for value in values]
            begin = values[0][:1]
        if begin != b"[":
            return Swept(self._columns(list(map(self._decode, values)), records), None)
        arrays = list(map(self._decode_array, values))
        sizes = np.fromiter(map(len, arrays), np.int64, len(arrays))
        if not sizes.all():
            raise OtherShape
        of = chain.from_iterable(map(repeat, records, sizes.tolist()))
        return Swept(self._columns(list(chain.from_iterable(arrays)), of), sizes)


def _framed(value: bytes) -> bytes:
    """What is behind the five bytes of a schema registry."""
    if value[:1] != b"\0":
        raise OtherShape
    return value[5:]


def shapes(fields: Mapping[str, Places], pattern: str) -> list[Plain | Nested]:
    """The shapes that a topic's runs may have, the fastest first."""
    found: list[Plain | Nested] = []
    if not pattern and all(len(places) == 1 and isinstance(places[0], Path) for places in fields.values()):
        found.append(Plain({field: places[0].names[0] for field, places in fields.items()}))
    with suppress(ValueError):  # where there is none, each record is read by itself
        found.append(Nested(fields, pattern))
    return found


def _grow(tree: dict[str, Any], names: tuple[str, ...]) -> None:
    *way, end = names
    for name in way:
        tree = tree.setdefault(name, {})
        if tree is None:
            raise ValueError("a path leads through another's end")
    if tree.setdefault(end, None) is not None:
        raise ValueError("a path leads through another's end")


def _struct(tree: Mapping[str, Any]) -> Any:
    fields: list[tuple[str, Any, Any]] = []
    for number, below in enumerate(tree.values()):
        if below is None:
            fields.append((f"field_{number}", Scalar, None))
        else:
            struct = _struct(below)
            fields.append((f"field_{number}", struct, msgspec.field(default_factory=struct)))
    rename = {f"field_{number}": name for number, name in enumerate(tree)}
    return msgspec.defstruct("Members", fields, rename=rename, gc=False)


def _column(place: Any, tree: Mapping[str, Any]) -> Callable[[Sequence[Any], list[Record]], list[Any]]:
    """What stands in a place, of clicks and their records."""
    if not isinstance(place, Path):
        return lambda rows, records: [place.of(record) for record in records]
    steps = []
    for name in place.names:
        steps.append(f"field_{list(tree).index(name)}")
        tree = tree[name]
    get = attrgetter(".".join(steps))
    return lambda rows, records: list(map(get, rows))


def _expect(column: list[Any], *kinds: type) -> None:
    if not set(map(type, column)) <= set(kinds):
        raise OtherShape
