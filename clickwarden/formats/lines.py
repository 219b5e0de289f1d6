"""Files of lines: what becomes of some of them."""

from collections.abc import Callable
from dataclasses import dataclass

from clickwarden.detection.clicks import Clicks
from clickwarden.errors import ClickError


@dataclass(slots=True)
class Block:
    """Some lines of a file.

    Attributes:
        clicks: the lines' clicks, in their order; the offset of a rejected line is its number, from 1.
        lines: how many lines, blank ones and bad ones included.
        read: bytes of the file read so far, compressed where it is.
    """

    clicks: Clicks
    lines: int
    read: int

    @property
    def bad(self) -> list[tuple[int, str]]:
        """Number, from 1, of each line that is no click, and why."""
        return [
            (rejected.offset, str(ClickError(rejected.reason, rejected.detail)))
            for rejected in self.clicks.rejected
        ]


#: From some whole lines, and the number of the first of them (from 1), to a block.
Parser = Callable[[bytes, int], Block]
