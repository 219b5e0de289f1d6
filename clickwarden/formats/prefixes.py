"""What collectors put before a log's lines, or around them: it is taken off.

============================  ==================================================
syslog, RFC 3164; journalctl  ``Mar 10 14:20:00 web-1 nginx[812]: LINE``, also with other times
syslog, RFC 5424              ``<190>1 2026-03-10T14:20:00Z web-1 nginx 812 - - LINE``
docker compose, service logs  ``web-1  | LINE``
kubectl logs --prefix         ``[pod/web-1/nginx] LINE``
stern                         ``web-7d4b9 nginx LINE``
aws logs tail                 ``2026-03-10T14:20:00.5+00:00 web/nginx/1 LINE``
heroku logs                   ``2026-03-10T14:20:00.5+00:00 app[web.1]: LINE``
grep of several files         ``access.log.1:LINE``, also with a number
CRI (Kubernetes)              ``2026-03-10T14:20:00.5Z stdout F LINE``
logs with --timestamps        ``2026-03-10T14:20:00.5Z LINE``
Docker's json-file            ``{"log": "LINE", "stream": "stdout", "time": …}``
journalctl -o json            ``{"MESSAGE": "LINE", …}``
fluentd, Vector, and others   ``{"message": "LINE", …}``; Loki: ``line``; Google: ``textPayload``
============================  ==================================================
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from clickwarden.formats import accesslog, jsonlog
from clickwarden.formats.json import UNREADABLE
from clickwarden.formats.lines import Block, Parser
from clickwarden.formats.patterns import possessive

#: Characters of the patterns of prefixes behind each other; beyond that no further one is taken off.
PREFIX_MAX = 600

_COLOUR = r"(?:\x1b\[[\d;]*m)*+"
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d++)?+(?:Z|[+-]\d\d:?\d\d)?+"
#: As containers' logs have it; with a blank in it, it is a column of the log's own.
_STAMP = _ISO.replace("[T ]", "T")
#: What a line may begin with, behind a name that may be anything.
_REQUEST = r"(?=(?:\[?[\da-fA-F.:]++\]? [^\s\"]++ [^\s\"]++ \[|\{\"))"
_PREFIXES = (
    r"(?:<\d{1,3}>)?+(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d++)?+"
    r"|(?:[A-Z][a-z]{2} )?+" + _ISO + r"(?: [A-Z]{2,5})?+|\d{10}\.\d{6}|\[ *+\d++\.\d{6}\]) "
    r"[\w.:-]++ [^\s:\[\]|\"]++(?:\[\d++\])?+: ",
    r"<\d{1,3}>\d{1,2} \S++ \S++ \S++ \S++ \S++ "
    r"(?:-|(?:\[(?:[^\]\"\n]|\"(?:[^\"\\\n]|\\.)*+\")*+\])++) ?",
    _COLOUR + r"[\w.@-]++ ++\|" + _COLOUR + " ?" + _COLOUR,
    r"\[pod/[^\]\s]++\] ",
    _STAMP + r" std(?:out|err) [FP](?::\S++)?+ ",
    # Behind the names stands a client, not the rest of a line that begins with a virtual host and one.
    rf"{_COLOUR}[a-z0-9.]++(?:-[a-z0-9.]++)++{_COLOUR} {_COLOUR}[a-z0-9][a-z0-9-]*+{_COLOUR} {_REQUEST}",
    rf"{_STAMP} \S++ {_REQUEST}",
    _STAMP + r" \w++\[[\w.-]++\]: ",
    r"(?=[^\s:\"{]++:)[^\s:\"{]*?\.(?:log|gz)[^\s:\"{]*+:(?:\d++:)?+",
    _STAMP + r" (?!\S++ \[?[\d:.a-fA-F]++[ \]:])",
)
_ENVELOPES = ("log", "MESSAGE", "message", "line", "textPayload")


class Prefixed:
    """Takes a prefix off each line that has it."""

    def __init__(self, prefix: str, parse: Parser) -> None:
        self._prefix = _compiled(prefix)
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
        return self._parse(
            b"".join(self._take(line) + b"\n" for line in data.removesuffix(b"\n").split(b"\n")), first
        )


@dataclass(frozen=True)
class Peel:
    """What is around a log's lines.

    Attributes:
        envelopes: fields of the JSON objects around them, the outermost first.
        prefix: pattern of what stands before a line, in the innermost of these.
    """

    envelopes: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def words(self) -> str:
        """What that is, in words behind what the lines are."""
        before = ", behind what a collector puts before each line" if self.prefix else ""
        return before + "".join(f", in JSON's {field}" for field in reversed(self.envelopes))

    def around(self, parse: Parser, *, prefixed: bool) -> Parser:
        """A parser of the lines with what is around them.

        Args:
            parse: of the lines alone, or with the prefix before them.
            prefixed: whether it knows the prefix.
        """
        if self.prefix and not prefixed:
            parse = Prefixed(self.prefix, parse)
        for field in reversed(self.envelopes):
            parse = Enveloped(field, parse)
        return parse


@lru_cache(maxsize=64)
def _compiled(prefix: str) -> re.Pattern[bytes]:
    return possessive(f"(?m)^(?:{prefix})".encode())


def _taker(field: str) -> Callable[[bytes], bytes]:
    envelope = msgspec.defstruct("Envelope", [("line", str | list[int])], rename={"line": field})
    decoder: Any = msgspec.json.Decoder(envelope)

    def take(line: bytes) -> bytes:
        try:
            found = decoder.decode(line).line
            text = found if isinstance(found, str) else bytes(found).decode(errors="backslashreplace")
        except (*UNREADABLE, ValueError):
            return line
        return text.rstrip("\r\n").replace("\n", " ").encode()

    return take


def peeled(lines: Sequence[bytes]) -> tuple[list[bytes], Peel]:
    """Lines without what is around most of them, and what that is."""
    bare, prefix = list(lines), ""
    while len(prefix) < PREFIX_MAX and (found := next((one for one in _PREFIXES if _fits(one, bare)), "")):
        bare = [_compiled(found).sub(b"", line) for line in bare]
        prefix += f"(?:{found})?+"
    if prefix or jsonlog.recognised(bare):
        return bare, Peel((), prefix)
    for field in _ENVELOPES:
        inner, peel = list(map(_taker(field), bare)), Peel()
        if inner != bare:
            inner, peel = peeled(inner)
        if inner != bare and (accesslog.recognised(_text(inner)) or jsonlog.recognised(inner)):
            return inner, Peel((field, *peel.envelopes), peel.prefix)
    return bare, Peel()


def _fits(prefix: str, lines: Sequence[bytes]) -> bool:
    match = _compiled(prefix).match
    return 2 * sum(match(line) is not None for line in lines) > len(lines)


def _text(lines: Sequence[bytes]) -> str:
    return b"\n".join(lines).decode(errors="backslashreplace")
