"""Files of lines: what becomes of some of them."""

from collections.abc import Callable
from dataclasses import dataclass

from clickwarden.detection.clicks import Clicks


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


#: From some whole lines, and the number of the first of them (from 1), to a block.
Parser = Callable[[bytes, int], Block]
