"""Clicks from files: web servers' access logs, and clicks as NDJSON.

An access log is in the Common Log Format or the combined one [1]_, as Apache
and nginx write it. A line becomes a click so:

============  =====================================================================
user_id       the client's address
event         ``view`` for GET and HEAD; ``login`` for POST to a path that ends like a
              sign-in (``/login``, ``/wp-login.php``, ``/users/sign_in``, ``/session``,
              …); ``submit`` for every other POST, PUT, PATCH and DELETE; ``other``
              for what else a client may send, also where it is not HTTP
product_id    the path without the query
timestamp     when the server received the request, in the zone it names
============  =====================================================================

NDJSON is one click a line as the clicks topic takes it, by the same rules
(:class:`app.clicks.Decoder`). Either may be compressed with gzip.

.. [1] https://httpd.apache.org/docs/2.4/logs.html#accesslog
"""

import re
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from gzip import GzipFile
from io import BufferedReader
from itertools import compress
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple

import numpy as np

from app.clicks import USER_ID_MAX, Clicks, Decoder
from app.errors import ClickError, ClickwardenError
from app.settings import Settings

BLOCK_BYTES = 256 * 1024
#: A longer line is cut, and so becomes one that cannot be read.
LINE_BYTES = 64 * 1024
GZIP_MAGIC = b"\x1f\x8b"

VIEW = frozenset({"GET", "HEAD"})
SUBMIT = frozenset({"POST", "PUT", "PATCH", "DELETE"})
LOGIN = re.compile(
    r"/(?:wp-)?(?:log[-_]?in|log[-_]?on|sign[-_]?in|sessions?|auth|authenticate)(?:\.\w+)?/?$", re.I
)

#: Matches every line, so that the n-th match is the n-th line; without a
#: client where the line is none of an access log's.
LINE = re.compile(
    rf"^(?:(\S{{1,{USER_ID_MAX}}}+) .*?"  # client, then identity and user, which may hold blanks
    r'\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "'
    r'(?:([A-Z]+) ([^\s"?]*))?)?.*$',
    re.MULTILINE | re.ASCII,
)


@dataclass(slots=True)
class Block:
    """Some lines of a file.

    Attributes:
        clicks: the lines' clicks, in their order.
        lines: how many lines, blank ones and bad ones included.
        read: bytes of the file read so far, compressed where it is.
        bad: number, from 1, of each line that is no click, and why.
    """

    clicks: Clicks
    lines: int
    read: int
    bad: list[tuple[int, str]]


class _Line(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def read(path: Path, settings: Settings) -> Iterator[Block]:
    """The clicks of a file, some thousand lines at a time.

    Raises:
        ClickwardenError: the file cannot be read, or is neither an access log
            nor NDJSON.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            raw.seek(0)
            file: GzipFile | BufferedReader = GzipFile(fileobj=raw) if packed else raw
            parse: Callable[[bytes, int], Block] | None = None
            line = 1
            while data := file.read(BLOCK_BYTES):
                data += file.readline(LINE_BYTES)
                parse = parse or _parser(path, data, settings)
                block = parse(data, line)
                block.read = raw.tell()
                yield block
                line += block.lines
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ClickwardenError(f"{path}: cannot be read: {reason}") from None


def _parser(path: Path, data: bytes, settings: Settings) -> Callable[[bytes, int], Block]:
    """The parser for the format most of the first lines are in."""
    head = data.splitlines()[:100]
    objects = sum(line.lstrip().startswith(b"{") for line in head)
    requests = sum(bool(match[0]) for match in LINE.findall(b"\n".join(head).decode(errors="replace")))
    if objects > requests:
        return _NDJSON(settings)
    if requests or not any(map(bytes.strip, head)):
        return _AccessLog()
    raise ClickwardenError(
        f"{path}: is neither an access log (common or combined format) nor clicks as NDJSON; "
        f"it begins with {head[0][:80]!r}"
    )


class _Times(dict[str, float]):
    """Epoch seconds by an access log's timestamp; NaN for what is none."""

    def __init__(self) -> None:
        self._minutes: dict[str, float] = {}

    def __missing__(self, stamp: str) -> float:
        minute = stamp[:17] + stamp[20:]
        try:
            start = self._minutes.get(minute)
            if start is None:
                start = self._minutes[minute] = datetime.strptime(minute, "%d/%b/%Y:%H:%M %z").timestamp()
            self[stamp] = moment = start + int(stamp[18:20])
        except ValueError:
            self[stamp] = moment = nan
        return moment


class _AccessLog:
    def __call__(self, data: bytes, first: int) -> Block:
        text = data.decode(errors="backslashreplace").removesuffix("\n")
        users, stamps, methods, paths = map(list, zip(*LINE.findall(text), strict=True))
        times = list(map(_Times().__getitem__, stamps))
        events = [
            "view" if method in VIEW else _event(method, path)
            for method, path in zip(methods, paths, strict=True)
        ]
        products = [path or None for path in paths]
        bad = []
        good = list(map(isfinite, times))
        if not all(good):
            lines = text.split("\n")
            bad = [
                (first + index, f"no line of an access log: {lines[index][:80]!r}")
                for index, fine in enumerate(good)
                if not fine and not lines[index].isspace() and lines[index]
            ]
            users, events, products, times = (
                list(compress(column, good)) for column in (users, events, products, times)
            )
        clicks = Clicks(users, events, products, np.array(times, np.float64))
        return Block(clicks, len(good), 0, bad)


def _event(method: str, path: str) -> str:
    """What a request other than GET or HEAD does.

    >>> _event("POST", "/users/sign_in"), _event("POST", "/blogin"), _event("PROPFIND", "/")
    ('login', 'submit', 'other')
    """
    if method not in SUBMIT:
        return "other"
    return "login" if method == "POST" and LOGIN.search(path) else "submit"


class _NDJSON:
    def __init__(self, settings: Settings) -> None:
        self._decode = Decoder(settings.field_names, settings.max_skew).decode

    def __call__(self, data: bytes, first: int) -> Block:
        now = int(time.time() * 1000)
        lines = data.removesuffix(b"\n").split(b"\n")
        records = [_Line(number, now, None, line) for number, line in enumerate(lines, first) if line.strip()]
        clicks = self._decode(records)
        bad = [(each.offset, str(ClickError(each.reason, each.detail))) for each in clicks.rejected]
        return Block(clicks, len(lines), 0, bad)
