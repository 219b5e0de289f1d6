"""Clicks from files: web servers' logs, and NDJSON; plain or compressed, one or many, or standard input."""

import bz2
import codecs
import lzma
import math
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from gzip import GzipFile
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import zstandard

from clickwarden.detection.clicks import Clicks
from clickwarden.errors import ClickwardenError
from clickwarden.formats.choice import bare_decoder_of
from clickwarden.formats.lines import Block, Parser
from clickwarden.formats.recognition import Reading, parser_of
from clickwarden.settings import Settings

BLOCK_BYTES = 512 * 1024
#: A longer line is cut, and so becomes one that cannot be read.
LINE_BYTES = 64 * 1024
#: Standard input.
STDIN = Path("-")
#: How compressed files begin, and how they are read.
CODECS: dict[bytes, Callable[[Any], "Readable"]] = {
    b"\x1f\x8b": lambda file: GzipFile(fileobj=file, mode="rb"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda file: zstandard.ZstdDecompressor().stream_reader(
        file, read_across_frames=True
    ),
}
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


class _Headed:
    """A file whose beginning can be looked at first.

    Attributes:
        count: bytes that were read.
    """

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._head = b""
        self.count = 0

    def peek(self, size: int) -> bytes:
        """The next bytes, which are read again; fewer at the end."""
        while len(self._head) < size and (data := self._file.read(size - len(self._head))):
            self._head += data
        return self._head[:size]

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; all there are where it is negative."""
        data, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
        if size < 0 or len(data) < size:
            data += self._file.read(size if size < 0 else size - len(data))
        self.count += len(data)
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
    with _opened(path) as raw:
        parse = None
        line = 1
        for data in _whole_lines(_unpacked(raw)):
            parse = parse or _parser(path, data, settings, reading)
            block = parse(data, line)
            block.read, block.file = raw.count, str(path)
            line += block.lines
            yield sieve(block)


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


def follow(path: Path, settings: Settings, reading: Reading | None = None) -> Iterator[Block]:
    """The clicks of a file that grows, also when it is rotated: moved away, or cut to nothing.

    It has no end. Where the file has nothing new, a block without lines is
    yielded: wait then, before asking for the next. Of a file that was moved
    away what was still written to it is read before the new one.

    Raises:
        ClickwardenError: the file cannot be read, is compressed, or in no format that is known.
    """
    reading = reading or Reading()
    sieve, parse, line, rest = reading.sieve(), None, 1, b""
    with _opened(path) as raw:
        if any(raw.peek(max(map(len, CODECS))).startswith(magic) for magic in CODECS):
            raise ClickwardenError(f"{path}: is compressed, and cannot be followed")
    file, after = path.open("rb"), None
    try:
        while True:
            data = file.read(BLOCK_BYTES)
            whole, rest = _behind_lines(rest + data)
            if not data and after is not None:
                whole, rest = rest, b""  # nobody ends this line any more
            if whole:
                parse = parse or _parser(path, whole, settings, reading)
                block = parse(whole, line)
                line += block.lines
                block.file = str(path)
                yield sieve(block)
            if data:
                continue
            if after is not None:
                file.close()
                file, after, line = after, None, 1
                continue
            # What was written before it was turned is read first.
            after = _turned(path, file)
            if after is None:
                yield Block(Clicks([], [], [], np.empty(0)), 0, 0)
    finally:
        file.close()
        if after is not None:
            after.close()


def _turned(path: Path, file: BufferedReader) -> BufferedReader | None:
    """The file that stands in the place of this one; itself where it was cut; None where it goes on."""
    try:
        now = path.stat()
    except FileNotFoundError:  # between the two steps of a rotation
        return None
    own = os.fstat(file.fileno())
    if (now.st_dev, now.st_ino) == (own.st_dev, own.st_ino) and now.st_size >= file.tell():
        return None
    return path.open("rb")


def _behind_lines(data: bytes) -> tuple[bytes, bytes]:
    """What is cut behind a line, or because a line is too long; and the rest."""
    end = data.rfind(b"\n") + 1
    if len(data) - end > LINE_BYTES:
        end = len(data)
    return data[:end], data[end:]


def _parser(path: Path, head: bytes, settings: Settings, reading: Reading) -> Parser:
    found = parser_of(head, reading, bare_decoder_of(settings), settings.field_names)
    if isinstance(found, str):
        raise ClickwardenError(f"{path}: {found}")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[_Headed]:
    try:
        if path == STDIN:
            yield _Headed(sys.stdin.buffer)
        else:
            with path.open("rb") as file:
                yield _Headed(file)
    except UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ClickwardenError(f"{path}: cannot be read: {reason}") from None


def _unpacked(raw: _Headed) -> Readable:
    """The text of a file as UTF-8, without a byte order mark."""
    head = raw.peek(max(map(len, CODECS)))
    text = next((_Headed(unpack(raw)) for magic, unpack in CODECS.items() if head.startswith(magic)), raw)
    begin = text.peek(4)
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if begin.startswith(mark):
            text.read(len(mark))
            return _UTF8(text, encoding) if encoding else text
    if len(begin) == 4 and begin[1::2] == b"\0\0":
        return _UTF8(text, "utf-16-le")
    return text


def _whole_lines(file: Readable) -> Iterator[bytes]:
    """What is in a file, cut behind lines."""
    ready = rest = b""
    while data := file.read(BLOCK_BYTES):
        if ready:
            yield ready
        ready, rest = _behind_lines(rest + data)
    if ready or rest:
        yield ready + rest
