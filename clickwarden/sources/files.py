"""Clicks from files: web servers' logs, NDJSON, tables; plain or compressed, or standard input."""

import bz2
import codecs
import lzma
import math
import os
import select
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from gzip import GzipFile
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from clickwarden import zstd
from clickwarden.errors import ClickwardenError, SettingsError
from clickwarden.formats import tables
from clickwarden.formats.choice import bare_decoder_of
from clickwarden.formats.lines import Block, Parser
from clickwarden.formats.parts import unfinished
from clickwarden.formats.recognition import Reading, recognised, recognised_rows
from clickwarden.formats.tables import Table
from clickwarden.settings import Settings

BLOCK_BYTES = 512 * 1024
#: A longer line is cut, and so becomes one that cannot be read.
LINE_BYTES = 64 * 1024
#: A pipe that brings little for so long is not waited for, seconds.
MOMENT = 0.05
#: Standard input.
STDIN = Path("-")
#: How compressed files begin, and how they are read.
CODECS: dict[bytes, Callable[[Any], "Readable"]] = {
    b"\x1f\x8b": lambda file: GzipFile(fileobj=file, mode="rb"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": zstd.ZstdFile,
}
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError)
#: How the names of tables in text end, before that of a compression.
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".psv"})


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


class _Pipe:
    """A pipe, of which is read what there is, or comes within a moment."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        data: bytes = self._file.read1(size)
        until = time.monotonic() + MOMENT
        while (
            data
            and len(data) < size
            and select.select([self._file], [], [], max(0, until - time.monotonic()))[0]
            and (more := self._file.read1(size - len(data)))
        ):
            data += more
        return data


class Headed:
    """A file whose beginning can be looked at first.

    Attributes:
        file: that it is read from.
    """

    def __init__(self, file: Readable) -> None:
        self.file = file
        self._head = b""
        self._count = 0

    @property
    def reached(self) -> int:
        """How many bytes were read."""
        return self.file.tell() if isinstance(self.file, BufferedReader) else self._count

    def peek(self, size: int) -> bytes:
        """The next bytes, which are read again; fewer at the end."""
        while len(self._head) < size and (data := self.file.read(size - len(self._head))):
            self._head += data
        return self._head[:size]

    def peek_line(self) -> bytes:
        """The next line, which is read again, or as much of it as a line may have."""
        while (
            b"\n" not in self._head and len(self._head) < LINE_BYTES and (data := self.file.read(LINE_BYTES))
        ):
            self._head += data
        return self._head.partition(b"\n")[0]

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; all there are where it is negative."""
        data, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
        if size < 0 or len(data) < size:
            data += self.file.read(size if size < 0 else size - len(data))
        self._count += len(data)
        return data


class _UTF8:
    """Text of another encoding as UTF-8."""

    def __init__(self, file: Readable, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")

    def read(self, size: int, /) -> bytes:
        """At most some bytes more than so many; none at the end."""
        while data := self._file.read(size):
            if text := self._decoder.decode(data):
                return text.encode()
        return self._decoder.decode(b"", final=True).encode()


def read(path: Path, settings: Settings, reading: Reading | None = None) -> Iterator[Block]:
    """The clicks of a file, some thousand lines at a time; ``-`` is standard input.

    Args:
        path: of the file.
        settings: that say how a click is written in NDJSON.
        reading: how a log is read.

    Raises:
        ClickwardenError: the file cannot be read, or is in no format that is known.
    """
    reading = reading or Reading()
    sieve = reading.sieve()
    with opened(path) as raw:
        text = unpacked(raw)
        table = _table(path, raw, text, settings)
        names = settings.field_names
        pieces = (
            table.lines(tables.wanted(table.columns, names, reading.fields)) if table else _whole_lines(text)
        )
        parse = None
        line = table.first if table else 1
        for data in pieces:
            parse = parse or parser(path, data, settings, reading, table)
            block = parse(data, line)
            block.read, block.file = raw.reached, str(path)
            line += block.lines
            yield sieve(block)


def found(paths: Iterable[Path]) -> list[Path]:
    """The files that are meant: those in folders, at any depth, and those that a pattern names.

    In a folder, what begins with a dot or an underscore is no data, nor is what Kafka Connect writes of
    records' keys and headers beside their values.

    Raises:
        SettingsError: there is no such file, or none in a folder.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
            here = sorted(file for file in inside if _is_data(file.relative_to(path)))
            if not here:
                raise SettingsError(f"{path}: is a folder without a file of data")
        elif path == STDIN or path.exists():
            here = [path]
        else:
            here = [Path(name) for name in sorted(glob(str(path), recursive=True)) if not Path(name).is_dir()]
            if not here:
                raise SettingsError(f"{path}: no such file")
        files += here
    return files


def _is_data(file: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in file.parts)
    return not hidden and not {".keys", ".headers", ".crc"} & set(file.suffixes)


def beginning(path: Path, lines: int, settings: Settings) -> bytes:
    """The first lines of a file, unpacked, as UTF-8, or rows of a table as NDJSON; ``-`` is standard input.

    Raises:
        ClickwardenError: it cannot be read.
    """
    found = b""
    with opened(path) as raw:
        text = unpacked(raw)
        table = _table(path, raw, text, settings)
        for data in table.lines(table.columns) if table else _whole_lines(text):
            found += data
            if found.count(b"\n") >= lines:
                break
    return b"\n".join(found.split(b"\n")[:lines])


def read_all(paths: Sequence[Path], settings: Settings, reading: Reading | None = None) -> Iterator[Block]:
    """The clicks of several files, those first that begin first: a rotated log is one again.

    ``read`` of a block is then bytes of all files.

    Raises:
        ClickwardenError: one cannot be read.
    """
    begun = sorted((_begin(path, settings, reading) for path in paths), key=lambda file: file[0])
    before = 0
    for _, blocks in begun:
        done = 0
        for block in blocks:
            done = block.read
            block.read += before
            yield block
        before += done


def _begin(path: Path, settings: Settings, reading: Reading | None) -> tuple[float, Iterator[Block]]:
    """Time of the first click of a file, and its blocks."""
    blocks = read(path, settings, reading)
    first = next(blocks, None)
    time = float(first.clicks.times[0]) if first and len(first.clicks.times) else math.inf
    if path.is_file():  # is opened again: many files at once would be too many
        blocks.close()  # type: ignore[attr-defined]
        return time, read(path, settings, reading)
    return time, chain([first] if first else [], blocks)


def cut_behind_lines(data: bytes) -> tuple[bytes, bytes]:
    """What is cut behind a line and all of its parts, or because a line is too long; and the rest."""
    end = data.rfind(b"\n") + 1
    if len(data) - end > LINE_BYTES:
        return data, b""
    begin = unfinished(data[:end])
    end = begin if end - begin <= LINE_BYTES else end
    return data[:end], data[end:]


def parser(
    path: Path, head: bytes, settings: Settings, reading: Reading, table: Table | None = None
) -> Parser:
    """The parser for what begins so.

    Raises:
        ClickwardenError: there is none.
    """
    how = reading, bare_decoder_of(settings, reading.fields), settings.field_names
    found = recognised(head, *how) if table is None else recognised_rows(table.columns, head, *how)
    if isinstance(found, str):
        raise ClickwardenError(f"{path}: {found}")
    return found.parse


def _table(path: Path, raw: Headed, text: Headed, settings: Settings) -> Table | None:
    """The table that a file is; None where it is lines.

    Raises:
        Unreadable: it is one, and cannot be read.
    """
    magic = text.peek(len(tables.PARQUET))
    if magic == tables.PARQUET:
        if text is not raw or not isinstance(raw.file, BufferedReader):
            raise tables.Unreadable("is Parquet, which is read from its end: it must be a file, and unpacked")
        return tables.Parquet(raw.file)
    if magic == tables.AVRO:
        return tables.Avro(text)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    named = bool(TABLE_SUFFIXES & set(suffixes[-2:]))
    delimiter = tables.delimiter_of(text.peek_line(), settings.field_names, named=named)
    return tables.CSV(_whole_lines(text), delimiter) if delimiter else None


@contextmanager
def opened(path: Path) -> Iterator[Headed]:
    """A file, or standard input.

    Raises:
        ClickwardenError: it cannot be read; also where that is found out later.
    """
    try:
        if path == STDIN:
            yield Headed(_Pipe(sys.stdin.buffer))
        else:
            with path.open("rb") as file:
                yield Headed(file if path.is_file() else _Pipe(file))
    except tables.Unreadable as error:
        raise ClickwardenError(f"{path}: {error}") from None
    except UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ClickwardenError(f"{path}: cannot be read: {reason}") from None


def unpacked(raw: Headed) -> Headed:
    """The text of a file as UTF-8, without a byte order mark."""
    head = raw.peek(max(map(len, CODECS)))
    text = next((Headed(unpack(raw)) for magic, unpack in CODECS.items() if head.startswith(magic)), raw)
    begin = text.peek(4)
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if begin.startswith(mark):
            text.read(len(mark))
            return Headed(_UTF8(text, encoding)) if encoding else text
    if len(begin) == 4 and begin[0] and begin[1::2] == b"\0\0":
        return Headed(_UTF8(text, "utf-16-le"))
    return text


def _whole_lines(file: Readable) -> Iterator[bytes]:
    """What is in a file, cut behind lines."""
    rest = b""
    while data := file.read(BLOCK_BYTES):
        ready, rest = cut_behind_lines(rest + data)
        if ready:
            yield ready
    if rest:
        yield rest
