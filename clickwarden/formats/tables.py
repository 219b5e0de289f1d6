"""Tables: CSV with a header, Parquet and Avro's object container files, whose rows become lines of NDJSON.

So a row is judged as a click of the topic is, or recognised as a line of a JSON log. Parquet and Avro need
the packages of the extra ``files``, which are imported when there is such a file.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, BinaryIO, Protocol

import msgspec

from clickwarden.formats.fields import Path, places

#: Rows that become lines at once.
ROWS = 8192
PARQUET, AVRO = b"PAR1", b"Obj\x01"
#: Bytes at the end of a Parquet file: how long what is before them is, and its name again.
_FOOTER = 8
DELIMITERS = ",\t;|"
#: The fields that a click must have.
NEEDED = ("user_id", "event", "timestamp")
#: A time, as no column is called.
_MOMENT = re.compile(r"\s*(?:\d{9,19}(?:\.\d+)?|\d{4}-\d\d-\d\d[T ]\d\d:.*|\d\d?[/.]\d\d?[/.]\d{4} \d.*)\s*$")
#: Columns that are named to whoever has named one that does not exist.
SHOWN = 40


class Unreadable(Exception):
    """A table is broken, or what reads it is not installed."""


class Table(Protocol):
    """Rows under columns.

    Attributes:
        columns: their names.
        first: number of the first row, as people count.
    """

    columns: Sequence[str]
    first: int

    def lines(self, columns: Collection[str]) -> Iterator[bytes]:
        """All rows as NDJSON with these columns, some thousand at a time."""


class CSV:
    """Text with a column's name at the head of each column, and a delimiter between."""

    first = 2

    def __init__(self, pieces: Iterable[bytes], delimiter: str) -> None:
        text = (line for piece in pieces for line in io.StringIO(_decoded(piece), newline="\n"))
        self._rows = csv.reader(text, delimiter=delimiter)
        self._delimiter = delimiter
        try:
            self.columns: Sequence[str] = [name.strip() for name in next(self._rows, [])]
        except csv.Error as error:
            raise Unreadable(f"is no table: {error}") from None
        moment = next(filter(_MOMENT.match, self.columns), "")
        if moment:
            raise Unreadable(
                f"begins with values and not with the names of its columns ({moment:.30} is a time): write a "
                "first line that names them, such as user_id,event,timestamp"
            )

    def lines(self, columns: Collection[str]) -> Iterator[bytes]:
        """All rows as NDJSON with these columns, null where one is empty; what is no row is no JSON."""
        encoder = msgspec.json.Encoder()
        places = [place for place, name in enumerate(self.columns) if name in columns]
        names = [self.columns[place] for place in places]
        width = len(self.columns)
        rows = self._readable()
        while part := list(islice(rows, ROWS)):
            if all(len(row) == width for row in part):
                yield encoder.encode_lines(
                    [dict(zip(names, [row[place] or None for place in places], strict=True)) for row in part]
                )
                continue
            yield b"".join(
                encoder.encode(dict(zip(names, [row[place] or None for place in places], strict=True)))
                + b"\n"
                if len(row) == width
                else self._delimiter.join(row).replace("\n", " ").encode() + b"\n"
                for row in part
            )

    def _readable(self) -> Iterator[list[str]]:
        while True:
            try:
                yield next(self._rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield [str(error)]


class Parquet:
    """A Parquet file, read by Arrow's Rust implementation; a row group's pages are in memory at once."""

    first = 1

    def __init__(self, file: BinaryIO) -> None:
        try:
            from arro3.core import DataType
            from arro3.io import read_parquet, write_ndjson
        except ModuleNotFoundError:
            raise Unreadable(_without("a Parquet file", "arro3-io")) from None
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _FOOTER))
        end = file.read()
        if not end.endswith(PARQUET):
            raise Unreadable("cannot be read: the end of the Parquet file is missing")
        if len(PARQUET) + _FOOTER + int.from_bytes(end[:4], "little") > size:
            raise Unreadable("cannot be read: the Parquet file is shorter than it says")
        file.seek(0)
        with _whole():
            self._batches = read_parquet(file, batch_size=ROWS)
        self._write = write_ndjson
        self._text = DataType.string()
        schema = self._batches.schema
        self.columns: Sequence[str] = schema.names
        self._bytes = {name for name in schema.names if DataType.is_binary(schema.field(name).type)}

    def lines(self, columns: Collection[str]) -> Iterator[bytes]:
        """All rows as NDJSON with these columns; times are ISO-8601, and bytes are text."""
        names = [name for name in self.columns if name in columns]
        with _whole():
            for batch in self._batches:
                rows = batch.select(names)
                for place, name in enumerate(names):
                    if name in self._bytes:
                        rows = rows.set_column(place, name, rows.column(name).cast(self._text))
                written = io.BytesIO()
                self._write(rows, written)
                yield written.getvalue()


@contextmanager
def _whole() -> Iterator[None]:
    """Make whatever Arrow says of a broken file an Unreadable; of some its Rust panics."""
    try:
        yield
    except Exception as error:
        raise Unreadable(f"cannot be read: {error}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise Unreadable("cannot be read: the Parquet file is broken") from None


class _Filling:
    """Reads as many bytes as are asked for, also where they come in parts."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """So many bytes; fewer at the end."""
        data: bytes = self._file.read(size)
        while len(data) < size and (more := self._file.read(size - len(data))):
            data += more
        return data


class Avro:
    """An Avro object container file."""

    first = 1

    def __init__(self, file: Any) -> None:
        """Begin to read ``file``, which may be a pipe."""
        filling: Any = _Filling(file)
        try:
            import fastavro
        except ModuleNotFoundError:
            raise Unreadable(_without("an Avro file", "fastavro")) from None
        try:
            self._rows: Any = fastavro.reader(filling)
        except Exception as error:
            raise Unreadable(f"cannot be read: {error}") from None
        schema = self._rows.writer_schema
        fields = schema.get("fields", []) if isinstance(schema, dict) else []
        self.columns: Sequence[str] = [field["name"] for field in fields]

    def lines(self, columns: Collection[str]) -> Iterator[bytes]:
        """All rows as NDJSON with these columns; times are ISO-8601, and bytes are text."""
        encoder = msgspec.json.Encoder()
        try:
            while rows := list(islice(self._rows, ROWS)):
                yield encoder.encode_lines(
                    [{name: _plain(value) for name, value in row.items() if name in columns} for row in rows]
                )
        except Exception as error:
            raise Unreadable(f"cannot be read: {error}") from None


def delimiter_of(header: bytes, names: Mapping[str, str], *, named: bool) -> str:
    """What stands between the columns of CSV; empty where this is no header of a table.

    Args:
        header: the first line.
        names: where the fields of a click stand, by our own names.
        named: whether the file's name says that it is one.
    """
    line = _decoded(header).strip("\r\n")
    delimiter = max(DELIMITERS, key=line.count)
    try:
        columns = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # what is no text may have carriage returns anywhere
        return ""
    return delimiter if named or (len(columns) > 1 and not absent(columns, names)) else ""


def columns_of(written: str) -> list[str]:
    """The columns that a place of a field may be in.

    >>> columns_of("context.uid|uid|@key")
    ['context.uid', 'context', 'uid']
    """
    return [place.names[0] for place in places(written) if isinstance(place, Path)]


def absent(columns: Collection[str], names: Mapping[str, str]) -> list[str]:
    """Which fields of a click a table has no column of; a product only where somebody has named it."""
    needed = (*NEEDED, "product_id") if names["product_id"] != "product_id" else NEEDED
    return [field for field in needed if not set(columns_of(names[field])) & set(columns)]


def wanted(columns: Sequence[str], names: Mapping[str, str], fields: Collection[str] = ()) -> list[str]:
    """The columns that hold what a click consists of, and these fields; all where it lacks something."""
    if absent(columns, names):
        return list(columns)
    held = {name for written in (*names.values(), *fields) for name in columns_of(written)}
    return [name for name in columns if name in held]


def spelled(columns: Sequence[str]) -> str:
    """The names of columns, for people."""
    more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return ", ".join(columns[:SHOWN]) + more


def _decoded(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


def _plain(value: Any) -> Any:
    return _decoded(value) if isinstance(value, bytes) else value


def _without(what: str, package: str) -> str:
    return f"is {what}: install what reads it, 'pip install {package}' (the extra 'files')"
