"""NDJSON: one click a line, as the clicks topic takes it."""

import time
from typing import NamedTuple

import msgspec

from clickwarden.formats.clicks import Decoder
from clickwarden.formats.json import UNREADABLE
from clickwarden.formats.lines import Block


class Line(NamedTuple):
    """A line as a topic's record; stamped, in epoch milliseconds, when it is read."""

    offset: int
    timestamp: int
    value: bytes
    timestamp_type: None = None
    key: None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class NDJSON:
    """Parses lines by the rules of a topic's decoder; their time of receipt is now."""

    def __init__(self, decoder: Decoder) -> None:
        self._decode = decoder.decode

    def __call__(self, data: bytes, first: int) -> Block:
        """Parse some whole lines, the first of which has this number."""
        now = int(time.time() * 1000)
        lines = data.removesuffix(b"\n").split(b"\n")
        records = [Line(number, now, line) for number, line in enumerate(lines, first) if line.strip()]
        clicks = self._decode(records)
        clicks.stamps = None  # of now, which says nothing of the lines
        return Block(clicks, len(lines), 0, blank=len(lines) - len(records))


def texts(body: bytes) -> list[bytes]:
    r"""The clicks of a text that is JSON or NDJSON: the elements of an array, the lines, or the whole.

    What is neither is the whole too, for a decoder to say what is wrong with it.

    >>> texts(b'[{"user_id": 1}, 2]'), texts(b'{"user_id":\n1}'), texts(b'{"user_id": 1}\n\n2\n')
    ([b'{"user_id": 1}', b'2'], [b'{"user_id":\n1}'], [b'{"user_id": 1}', b'2'])
    """
    body = body.strip()
    try:
        if body.startswith(b"["):
            return list(map(bytes, _array(body)))
        line, _, others = body.partition(b"\n")
        if others:
            _value(line)
            return [line for line in body.split(b"\n") if line.strip()]
    except UNREADABLE:
        pass
    return [body]


_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_value = msgspec.json.Decoder(msgspec.Raw).decode
