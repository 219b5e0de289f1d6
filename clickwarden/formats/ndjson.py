"""NDJSON: one click a line, as the clicks topic takes it."""

import time
from typing import NamedTuple

from clickwarden.formats.clicks import Decoder
from clickwarden.formats.lines import Block


class _Line(NamedTuple):
    offset: int
    timestamp: int
    timestamp_type: None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class NDJSON:
    """Parses lines by the rules of a topic's decoder; their time of receipt is now."""

    def __init__(self, decoder: Decoder) -> None:
        self._decode = decoder.decode

    def __call__(self, data: bytes, first: int) -> Block:
        """Parse some whole lines, the first of which has this number."""
        now = int(time.time() * 1000)
        lines = data.removesuffix(b"\n").split(b"\n")
        records = [
            _Line(number, now, None, None, line) for number, line in enumerate(lines, first) if line.strip()
        ]
        clicks = self._decode(records)
        clicks.stamps = None  # of now, which says nothing of the lines
        return Block(clicks, len(lines), 0, blank=len(lines) - len(records))
