"""What collectors put before a log's lines, or around them: it is taken off.

============================  ==================================================
syslog, RFC 3164; journalctl  ``Mar 10 14:20:00 web-1 nginx[812]: LINE``
syslog, RFC 5424              ``<190>1 2026-03-10T14:20:00Z web-1 nginx 812 - - LINE``
docker compose logs           ``web-1  | LINE``
kubectl logs --prefix         ``[pod/web-1/nginx] LINE``
CRI (Kubernetes)              ``2026-03-10T14:20:00.5Z stdout F LINE``
logs with --timestamps        ``2026-03-10T14:20:00.5Z LINE``
Docker's json-file            ``{"log": "LINE", "stream": "stdout", "time": …}``
journalctl -o json            ``{"MESSAGE": "LINE", …}``
fluentd, Vector, and others   ``{"message": "LINE", …}``
============================  ==================================================
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from clickwarden.formats.json import UNREADABLE
from clickwarden.formats.lines import Block, Parser

#: Prefixes around prefixes that are taken off.
NESTED = 4

_COLOUR = rb"(?:\x1b\[[\d;]*m)*+"
_ISO = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d++)?+(?:Z|[+-]\d\d:?\d\d)?+"
_PREFIXES = [
    re.compile(rb"^" + pattern, re.MULTILINE)
    for pattern in (
        rb"(?:<\d{1,3}>)?+(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d++)?+|" + _ISO + rb") "
        rb"[\w.:-]++ [^\s:\[\]|\"]++(?:\[\d++\])?+: ",
        rb"<\d{1,3}>\d{1,2} \S++ \S++ \S++ \S++ \S++ "
        rb"(?:-|(?:\[(?:[^\]\"\n]|\"(?:[^\"\\\n]|\\.)*+\")*+\])++) ?(?:\xef\xbb\xbf)?",
        _COLOUR + rb"[\w.-]++ ++\| ?" + _COLOUR,
        rb"\[pod/[^\]\s]++\] ",
        _ISO + rb" std(?:out|err) [FP] ",
        _ISO + rb" (?!\S++ \[?[\d:.a-fA-F]++[ \]:])",
    )
]
_ENVELOPES = ("log", "MESSAGE", "message")


class Prefixed:
    """Takes a prefix off each line that has it."""

    def __init__(self, prefix: re.Pattern[bytes], parse: Parser) -> None:
        self._prefix = prefix
        self._parse = parse

    def __call__(self, data: bytes, first: int) -> Block:
        """Parse some whole lines, the first of which has this number."""
        return self._parse(self._prefix.sub(b"", data), first)


class Enveloped:
    """Takes each line out of the JSON object around it; what is in none stays as it is."""

    def __init__(self, field: str, parse: Parser) -> None:
        self._parse = parse
        self._take = _taker(field)

    def __call__(self, data: bytes, first: int) -> Block:
        """Parse some whole lines, the first of which has this number."""
        return self._parse(b"\n".join(map(self._take, data.removesuffix(b"\n").split(b"\n"))), first)


def _taker(field: str) -> Callable[[bytes], bytes]:
    decode = msgspec.json.Decoder(
        msgspec.defstruct("Envelope", [("line", str)], rename={"line": field})
    ).decode

    def take(line: bytes) -> bytes:
        try:
            return decode(line).line.rstrip("\r\n").replace("\n", " ").encode()
        except UNREADABLE:
            return line

    return take


def peeled(lines: Sequence[bytes]) -> tuple[list[bytes], Callable[[Parser], Parser]]:
    """Lines without the prefixes that most of them have, and what takes these off for a parser."""
    bare = list(lines)
    around: list[Callable[[Parser], Parser]] = []
    for _ in range(NESTED):
        found = _prefix_of(bare)
        if found is None:
            break
        bare, wrap = found
        around.append(wrap)

    def wrapped(parse: Parser) -> Parser:
        for wrap in reversed(around):
            parse = wrap(parse)
        return parse

    return bare, wrapped


def _prefix_of(lines: Sequence[bytes]) -> tuple[list[bytes], Callable[[Parser], Parser]] | None:
    for prefix in _PREFIXES:
        if 2 * sum(prefix.match(line) is not None for line in lines) > len(lines):
            return [prefix.sub(b"", line) for line in lines], partial(Prefixed, prefix)
    for field in _ENVELOPES:
        if 2 * sum(f'"{field}"'.encode() in line for line in lines) > len(lines):
            take = _taker(field)
            bare = [take(line) for line in lines]
            if 2 * sum(inner != line for inner, line in zip(bare, lines, strict=True)) > len(lines):
                return bare, partial(Enveloped, field)
    return None
