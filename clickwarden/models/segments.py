"""What was learnt of the records between two checkpoints, as bytes: a row of the changelog."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden import zstd
from clickwarden.errors import SnapshotError

#: Raised when the form changes.
VERSION = 1
_LEVEL = 3


class Learnt(NamedTuple):
    """The records that were taken, in the order of the log, and where event time had got.

    Attributes:
        keys: of each.
        moments: int64[n], of each, epoch milliseconds: its own or its key's newest.
        columns: of each, by name.
        time: event time behind them, epoch seconds; -inf before it is known.
        latest: the latest moments that event time was made of, epoch seconds.
    """

    keys: list[str]
    moments: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]
    time: float
    latest: list[float]


class _Body(msgspec.Struct, array_like=True):
    """A segment, before it is compressed."""

    definition: str
    size: int
    keys: list[bytes]
    key: bytes
    moments: bytes
    columns: dict[str, bytes]
    time: float | None
    latest: list[float]


def packed(learnt: Learnt, definition: str) -> bytes:
    """A segment; ``definition`` is the hash of what the features are."""
    numbers: dict[str, int] = {}
    key = np.array([numbers.setdefault(each, len(numbers)) for each in learnt.keys], np.int32)
    body = _Body(
        definition,
        len(key),
        [each.encode("utf-8", "surrogatepass") for each in numbers],
        _shuffled(key),
        _shuffled(np.diff(learnt.moments, prepend=np.int64(0))),
        {name: _values(column) for name, column in learnt.columns.items()},
        learnt.time if np.isfinite(learnt.time) else None,
        learnt.latest,
    )
    return bytes([VERSION]) + zstd.compress(msgspec.msgpack.encode(body), _LEVEL)


def unpacked(data: bytes, definition: str, columns: Mapping[str, type[np.generic]]) -> Learnt:
    """What a segment says.

    Args:
        data: as :func:`packed` made it.
        definition: the hash of what the features are.
        columns: types of what is remembered of each record, by name.

    Raises:
        SnapshotError: it is broken, of a newer release, or of other features.
    """
    if data[:1] != bytes([VERSION]):
        raise SnapshotError(
            f"a segment of features is of version {data[0] if data else None}, and this release knows "
            f"{VERSION}; use the release that wrote it, or a later one"
        )
    try:
        body = msgspec.msgpack.decode(zstd.decompress(data[1:]), type=_Body)
    except (zstd.ZstdError, msgspec.DecodeError) as error:
        raise SnapshotError(f"a segment of features is broken: {error}") from None
    if body.definition != definition:
        raise SnapshotError(
            f"a segment is of features {body.definition:.12}, and the pipeline's are {definition:.12}; go on "
            "with the pipeline that wrote it, or let the new one begin with nothing"
        )
    try:
        key = _plain(body.key, np.int32, body.size)
        moments = np.cumsum(_plain(body.moments, np.int64, body.size), dtype=np.int64)
        found = {name: _valued(body.columns[name], kind, body.size) for name, kind in columns.items()}
        names = [name.decode("utf-8", "surrogatepass") for name in body.keys]
        keys = [names[number] for number in key.tolist()]
    except (ValueError, LookupError) as error:
        raise SnapshotError(f"a segment of features is broken: {error}") from None
    time = -np.inf if body.time is None else body.time
    return Learnt(keys, moments, found, time, body.latest)


def _shuffled(values: NDArray[Any]) -> bytes:
    """The first bytes of all, then the second ones, and so on: those that are mostly 0 side by side."""
    little = values.astype(values.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(len(values), values.itemsize).T.tobytes()


def _plain(data: bytes, kind: type[np.generic], size: int) -> NDArray[Any]:
    little = np.dtype(kind).newbyteorder("<")
    found = np.frombuffer(data, np.uint8).reshape(little.itemsize, size).T
    return np.ascontiguousarray(found).view(little).reshape(size).astype(kind)


def _values(column: NDArray[Any]) -> bytes:
    """The different values of a column, and which of them each is."""
    different, which = np.unique(column, return_inverse=True)
    number = which.astype(np.uint16 if len(different) <= 0xFFFF else np.uint32)
    head = len(different).to_bytes(4, "little")
    steps = np.diff(different, prepend=different.dtype.type(0)) if len(different) else different
    return head + _shuffled(steps) + _shuffled(number)


def _valued(data: bytes, kind: type[np.generic], size: int) -> NDArray[Any]:
    count = int.from_bytes(data[:4], "little")
    end = 4 + count * np.dtype(kind).itemsize
    different = np.cumsum(_plain(data[4:end], kind, count), dtype=kind)
    which = _plain(data[end:], np.uint16 if count <= 0xFFFF else np.uint32, size)
    found: NDArray[Any] = different[which]
    return found
