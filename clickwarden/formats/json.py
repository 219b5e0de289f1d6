"""JSON as strangers send it: what a parser raises, and how deep it goes."""

import re

import msgspec

#: Parsers differ in how deep they can go, and one parser from stack to stack: this depth all of them reach.
DEPTH_MAX = 200

#: Bytes of a schema registry before a value: 0, and the number of its schema.
FRAME = 5

#: Things that one record may hold. To read more of them, as a stranger may send them, takes too long.
THINGS_MAX = 20_000

#: What msgspec raises for bytes it cannot make a click of; RecursionError
#: where they are nested too deeply.
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def is_framed(value: bytes) -> bool:
    """Whether it is JSON behind the five bytes of a schema registry."""
    return value[:1] == b"\0" and value[FRAME : FRAME + 1] in (b"{", b"[", b'"')


def is_deep(value: bytes, beside: int = 0) -> bool:
    """Whether the JSON is nested deeper than we read it; so many of its parts lie ``beside`` others."""
    if len(value) <= 2 * DEPTH_MAX or value.count(b"[") + value.count(b"{") - beside <= DEPTH_MAX:
        return False  # nearly always, in a few nanoseconds
    depth = 0
    for token in _TOKENS.finditer(value):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth > DEPTH_MAX:
                return True
        elif token[0] in (b"]", b"}"):
            depth -= 1
    return False
