"""The records of a run as columns."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.formats.timestamps import scale
from clickwarden.models.fields import EARLIEST, LATEST, NO_TIME, TEXT_MAX, boolean, moment, number, text
from clickwarden.models.pipeline import Pipeline

_NUMBERS = {float, int, type(None)}
_TEXTS = {str, type(None)}
#: Of numbers alone; what has others needs a closer look.
_DIGITS = frozenset("0123456789.+-eE")
#: What a name in JSON is not written with as it is.
_ESCAPED = frozenset(['"', "\\", *map(chr, range(32))])
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Words(NamedTuple):
    """A column of text.

    Attributes:
        words: the different ones, None for what is missing, in no order.
        which: int32[n], of each record, where its own is among them.
    """

    words: list[str | None]
    which: NDArray[np.int32]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """bool[n], where there is none."""
        gone: NDArray[np.bool_] = np.array([word is None for word in self.words], np.bool_)[self.which]
        return gone

    def each(self) -> list[str | None]:
        """Of each record, its own."""
        return [self.words[place] for place in self.which.tolist()]

    @classmethod
    def of_each(cls, raw: Sequence[str | None]) -> "Words":
        """Of what each record has."""
        places = {value: place for place, value in enumerate(dict.fromkeys(raw))}
        return cls(list(places), np.fromiter(map(places.__getitem__, raw), np.int32, len(raw)))

    def of(self, places: NDArray[np.int64] | slice) -> "Words":
        """Those of some records."""
        return Words(self.words, self.which[places])


Values = NDArray[np.float64] | NDArray[np.int64] | Words


class Records(NamedTuple):
    """A run of records in the order of their log, as columns.

    Attributes:
        columns: by the field's name. Numbers, integers and truths: float64[n], NaN where missing. Times:
            int64[n], epoch milliseconds, NO_TIME where missing. Text: Words.
        keys: the key of each; None where it has none, or the pipeline names none.
        times: int64[n], when each happened, epoch milliseconds; NO_TIME where it does not say.
        received: int64[n], when Kafka received each, epoch milliseconds; NO_TIME where it does not say.
        named: what each has as its id, as it came.
        labelled: what each has as its label, as it came.
        readable: bool[n], whether each is a record at all.
    """

    columns: dict[str, Values]
    keys: list[str | None]
    times: NDArray[np.int64]
    received: NDArray[np.int64]
    named: Sequence[Any]
    labelled: Sequence[Any]
    readable: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """How many records there are."""
        return len(self.readable)

    @property
    def ids(self) -> list[str | None]:
        """The id of each; None where it has none, or the pipeline names none."""
        return list(map(text, self.named))

    @property
    def labels(self) -> list[str | None]:
        """What the pipeline's label says of each, as text; None where it says nothing."""
        return list(map(text, self.labelled))

    def part(self, begin: int, end: int) -> "Records":
        """Those from one place up to another."""
        cut = slice(begin, end)
        columns = {
            name: values.of(cut) if isinstance(values, Words) else values[cut]
            for name, values in self.columns.items()
        }
        beside = self.named[cut], self.labelled[cut], self.readable[cut]
        return Records(columns, self.keys[cut], self.times[cut], self.received[cut], *beside)

    def missing(self, name: str) -> NDArray[np.bool_]:
        """bool[n], where a field is missing."""
        values = self.columns[name]
        if isinstance(values, Words):
            return values.missing
        return values == NO_TIME if values.dtype == np.int64 else np.isnan(values)

    @classmethod
    def of(
        cls,
        pipeline: Pipeline,
        rows: Iterable[Mapping[str, Any] | None],
        received: Sequence[float] | None = None,
    ) -> "Records":
        """Records from what each has by name.

        Args:
            pipeline: says what is read.
            rows: None is a record that cannot be read.
            received: float[n], when Kafka received each, epoch seconds; NaN where it does not say.
        """
        found = list(rows)
        readable = np.array([isinstance(row, Mapping) for row in found], np.bool_)
        held = [row if isinstance(row, Mapping) else {} for row in found]
        return cls._of(pipeline, {name: [row.get(name) for row in held] for name in read_of(pipeline)},
                       readable, received)  # fmt: skip

    @classmethod
    def of_json(
        cls,
        pipeline: Pipeline,
        values: Iterable[bytes | None],
        received: Sequence[float] | None = None,
    ) -> "Records":
        """The same, from a JSON object each; None is a record without a value."""
        names = read_of(pipeline)
        found = list(values)
        if not _ESCAPED.isdisjoint("".join(names)):
            return cls.of(pipeline, map(_read, found), received)
        decode = _decoder(names).decode
        try:
            rows = list(map(msgspec.structs.astuple, map(decode, found)))  # type: ignore[arg-type]
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError, RecursionError):
            return cls.of(pipeline, map(_read, found), received)
        columns = zip(*rows, strict=True) if rows else ([] for _ in names)
        return cls._of(
            pipeline, dict(zip(names, columns, strict=True)), np.ones(len(rows), np.bool_), received
        )

    @classmethod
    def _of(
        cls,
        pipeline: Pipeline,
        raw: Mapping[str, Sequence[Any]],
        readable: NDArray[np.bool_],
        received: Sequence[float] | None,
    ) -> "Records":
        size = len(readable)
        nothing = [None] * size
        if received is None:
            came = np.full(size, NO_TIME)
        else:
            came = _moments_of(np.array(received, np.float64) * 1000)
        return cls(
            {name: _column(field.type, raw[name]) for name, field in pipeline.fields.items()},
            _keys(raw[pipeline.key]) if pipeline.key else list(nothing),
            _moments(raw[pipeline.time]) if pipeline.time else np.full(size, NO_TIME),
            came,
            raw[pipeline.id] if pipeline.id else nothing,
            raw[pipeline.label] if pipeline.label else nothing,
            readable,
        )


def read_of(pipeline: Pipeline) -> tuple[str, ...]:
    """The names of what is read of each record."""
    beside = (pipeline.key, pipeline.time, pipeline.id, pipeline.label)
    return tuple(dict.fromkeys([*pipeline.fields, *filter(None, beside)]))


@lru_cache(maxsize=64)
def _decoder(names: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """Reads these names of an object and skips all others."""
    ours = [f"f{number}" for number in range(len(names))]
    row = msgspec.defstruct(
        "Row", [(name, Any, None) for name in ours], rename=dict(zip(ours, names, strict=True)), gc=False
    )
    return msgspec.json.Decoder(row)


def _read(value: bytes | None) -> Mapping[str, Any] | None:
    """The record that a value is; None where it is none.

    Python reads what is JSON to many and to msgspec is not: NaN, infinity, numbers without end, broken text.
    """
    if value is None:
        return None
    try:
        return _OBJECT.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        found = json.loads(value.decode(errors="replace"), strict=False)
    except (ValueError, RecursionError):
        return None
    return {name: _whole(held) for name, held in found.items()} if isinstance(found, dict) else None


def _whole(held: Any) -> Any:
    """Text with U+FFFD for each half of a surrogate pair: of one nothing could be told."""
    if not isinstance(held, str):
        return held
    return held.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _column(kind: str, raw: Sequence[Any]) -> Values:
    match kind:
        case "text":
            return _texts(raw)
        case "time":
            return _moments(raw)
        case "bool":
            return np.array([boolean(value) for value in raw], np.float64)
    values = _numbers(raw)
    return np.rint(values) if kind == "integer" else values


def _numbers(raw: Sequence[Any]) -> NDArray[np.float64]:
    kinds = set(map(type, raw))
    try:
        if kinds <= _NUMBERS:
            values = np.array(raw, np.float64)
        elif kinds <= _TEXTS and _DIGITS.issuperset("".join(filter(None, raw))):  # as in CSV
            values = np.array([math.nan if value is None else float(value) for value in raw])
        else:
            raise ValueError
    except (OverflowError, ValueError):
        return np.array([number(value) for value in raw], np.float64)
    values[~np.isfinite(values)] = np.nan
    return values


def _texts(raw: Sequence[Any]) -> Words:
    if not set(map(type, raw)) <= _TEXTS:
        raw = list(map(text, raw))
    words, which = Words.of_each(raw)
    return Words(list(map(text, words)), which)


def _keys(raw: Sequence[Any]) -> list[str | None]:
    """The key of each; none that is longer than what is looked at, or two might be one."""
    return [value if value.__class__ is str and 0 < len(value) <= TEXT_MAX else _key(value) for value in raw]


def _key(value: Any) -> str | None:
    return None if isinstance(value, str) and len(value) > TEXT_MAX else text(value)


def _moments(raw: Sequence[Any]) -> NDArray[np.int64]:
    if set(map(type, raw)) <= _NUMBERS:
        try:
            seconds = np.array(raw, np.float64)
        except OverflowError:
            pass
        else:
            nowhere = ~np.isfinite(seconds)
            seconds[nowhere] = 0
            scale(seconds)
            seconds[nowhere] = np.nan
            return _moments_of(seconds * 1000)
    return np.array([moment(value) for value in raw], np.int64)


def _moments_of(milliseconds: NDArray[np.float64]) -> NDArray[np.int64]:
    rounded = np.rint(milliseconds)
    there = (rounded >= EARLIEST) & (rounded <= LATEST)
    return np.where(there, np.where(there, rounded, 0).astype(np.int64), NO_TIME)
