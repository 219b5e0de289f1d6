"""Files that grow, and are rotated: nothing that was written to one is lost, and none of it read twice."""

import os
import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from glob import escape
from pathlib import Path

import numpy as np

from clickwarden.detection.clicks import Clicks
from clickwarden.errors import ClickwardenError
from clickwarden.formats.lines import Block
from clickwarden.formats.recognition import FIRST_LINES, Reading
from clickwarden.formats.tables import AVRO, PARQUET
from clickwarden.settings import Settings
from clickwarden.sources.files import BLOCK_BYTES, CODECS, STDIN, cut_behind_lines, opened, parser, unpacked

#: How often to look for what is new, seconds.
POLL = 0.25
#: A file that was moved away is read on until it has been quiet for so long: servers that are told to open
#: the new one end their requests first. Seconds.
QUIET = 60.0
#: Bytes before the place that a file was read to, by which it is known again.
MARK_BYTES = 256
#: Files beside the one that was cut that are looked at for its copy, the newest first.
COPIES = 5
#: Whole lines, and the number of the first of them, from 1; no lines where there is nothing new.
News = tuple[bytes, int]
BOM = b"\xef\xbb\xbf"


def follow(path: Path, settings: Settings, reading: Reading | None = None) -> Iterator[Block]:
    """The clicks of a file that grows, or of standard input while it lasts; else it has no end.

    The file need not exist yet. Where there is nothing new, a block without
    lines is yielded: wait then, before asking for the next. A line without its
    end is waited for. The file may be moved away and made anew: what is still
    written to the old one is read too. It may be copied and cut to nothing,
    as logrotate's copytruncate does: what had not been read by then is taken
    from the copy, packed or not.

    Raises:
        ClickwardenError: the file cannot be read, is packed, or in no format that is known.
    """
    reading = reading or Reading()
    sieve, parse, head, first = reading.sieve(), None, b"", 1
    begun = path.is_file()
    with ExitStack() as stack:
        lines = _StandardInput() if path == STDIN else stack.enter_context(_Tail(path))
        while (news := lines.news()) is not None:
            data, number = news
            if not data:
                yield Block(Clicks([], [], [], np.empty(0)), 0, 0)
                continue
            head, first = head + data, first if head else number
            if parse is None:
                try:
                    parse = parser(path, head, settings, reading)
                except ClickwardenError:
                    # A file's first line may be anything; of one that has been there all is known.
                    if begun or head.count(b"\n") >= FIRST_LINES:
                        raise
                    continue
            block = parse(head, first)
            head = b""
            block.file = str(path)
            yield sieve(block)
        if head:
            parser(path, head, settings, reading)  # says what is wrong with it


class _StandardInput:
    """Standard input, as far as it has come."""

    def __init__(self) -> None:
        self._file = sys.stdin.buffer.fileno()
        self._cut = _Cut()

    def news(self) -> News | None:
        """Whole lines that have come; None at the end."""
        if not select.select([self._file], [], [], 0)[0]:
            return b"", 0
        data = os.read(self._file, BLOCK_BYTES)
        if data:
            return self._cut(data)
        rest = self._cut.end()
        return rest if rest[0] else None


class _Cut:
    """Cuts what comes behind lines."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines = 0

    def __call__(self, data: bytes) -> News:
        """The whole lines."""
        # A server that does not append leaves a hole where its file was cut.
        whole, self._rest = cut_behind_lines(self._rest + data if self._rest else data.lstrip(b"\0"))
        return self._numbered(whole)

    def end(self) -> News:
        """The line that nobody ends any more."""
        whole, self._rest = self._rest, b""
        return self._numbered(whole)

    def _numbered(self, whole: bytes) -> News:
        first = self._lines + 1
        self._lines += whole.count(b"\n")
        return whole, first


class _Stretch:
    """A file as far as it was read, whatever it is called by now.

    Attributes:
        since: when it last brought something, seconds of a steady clock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        self._place = 0
        self._mark = b""
        self._cut = _Cut()
        self.since = time.monotonic()

    def is_at(self, path: Path) -> bool | None:
        """Whether it is still called so; None where nothing is."""
        try:
            there = path.stat()
        except FileNotFoundError:  # between the two steps of a rotation
            return None
        own = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino)

    @property
    def written(self) -> float:
        """When it was last written to, epoch seconds."""
        return os.fstat(self._file.fileno()).st_mtime

    def news(self) -> News:
        """Whole lines that are new."""
        size = os.fstat(self._file.fileno()).st_size
        if size == self._place:
            return b"", 0
        if size < self._place or self._at(self._place - len(self._mark), len(self._mark)) != self._mark:
            missed = _copied(self._path, self._place, self._mark)
            whole, first = self._cut(missed)
            end, _ = self._cut.end()
            self._place, self._mark, self._cut = 0, b"", _Cut()
            if whole or end:
                return whole + end, first
        data = self._at(self._place, BLOCK_BYTES)
        if not self._place:
            if data.startswith((*CODECS, PARQUET, AVRO)):
                raise ClickwardenError(f"{self._path}: is packed, or a table, and cannot be followed")
            self._place = len(BOM) * data.startswith(BOM)
            data = data.removeprefix(BOM)
        self._place += len(data)
        self._mark = (self._mark + data)[-MARK_BYTES:]
        self.since = time.monotonic()
        return self._cut(data)

    def end(self) -> News:
        """The line that nobody ends any more; then it is closed."""
        self._file.close()
        return self._cut.end()

    def _at(self, place: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, place)


class _Tail:
    """A file by its name, and those that had the name before and may still be written to, oldest first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stretches: list[_Stretch] = []

    def __enter__(self) -> "_Tail":
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        for stretch in self._stretches:
            stretch.end()

    def news(self) -> News:
        """Whole lines that are new."""
        try:
            return self._news()
        except OSError as error:
            raise ClickwardenError(f"{self._path}: cannot be read: {error.strerror}") from None

    def _news(self) -> News:
        for stretch in self._stretches:
            news = stretch.news()
            if news[0]:
                return news
        newest = self._stretches[-1] if self._stretches else None
        is_there = newest.is_at(self._path) if newest else None
        if is_there is False or (newest is None and self._path.exists()):
            if newest:
                newest.since = time.monotonic()
                self._stretches += map(_Stretch, _between(newest, self._path))
            self._stretches.append(_Stretch(self._path))
            return self._news()
        if len(self._stretches) > 1 and time.monotonic() - self._stretches[0].since > QUIET:
            return self._stretches.pop(0).end()
        return b"", 0


def _between(before: _Stretch, path: Path) -> list[Path]:
    """Files that had the name after this one, and were moved away before anybody looked."""
    rotated = re.compile(re.escape(path.name) + r"[.-]\d+")
    return sorted(
        (
            file
            for file in path.parent.iterdir()
            if rotated.fullmatch(file.name)
            and file.is_file()
            and file.stat().st_mtime > before.written
            and not before.is_at(file)
        ),
        key=lambda file: file.stat().st_mtime,
    )


def _copied(path: Path, place: int, mark: bytes) -> bytes:
    """What the copy of a file has behind this place, before which this mark stands."""
    beside = [other for other in path.parent.glob(escape(path.name) + "?*") if other.is_file()]
    for other in sorted(beside, key=lambda file: file.stat().st_mtime, reverse=True)[:COPIES]:
        try:
            with opened(other) as raw:
                text = unpacked(raw)
                before = place - len(mark)
                while before and (data := text.read(min(before, BLOCK_BYTES))):
                    before -= len(data)
                if not before and text.peek(len(mark)) == mark:
                    return text.read(-1)[len(mark) :]
        except ClickwardenError:
            continue
    return b""
