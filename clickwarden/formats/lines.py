"""Files of lines: what becomes of some of them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from clickwarden.detection.clicks import Clicks
from clickwarden.errors import ClickError


@dataclass(slots=True)
class Block:
    """Some lines of a file: each is a click, a bad one, blank (or a comment), or left out on request.

    Attributes:
        clicks: the lines' clicks, in their order; the offset of a rejected line is its number, from 1.
        lines: how many lines.
        read: bytes of the file read so far, compressed where it is.
        blank: how many of the lines say nothing.
        left_out: how many were left out, by what they are.
        static: client and path of those that were left out as static files.
        file: that they are of, for people.
    """

    clicks: Clicks
    lines: int
    read: int
    blank: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    static: list[tuple[str, str]] = field(default_factory=list)
    file: str = ""

    @property
    def bad(self) -> list[tuple[int, str]]:
        """Number, from 1, of each line that is no click, and why."""
        return [
            (rejected.offset, str(ClickError(rejected.reason, rejected.detail)))
            for rejected in self.clicks.rejected
        ]


#: From some whole lines, and the number of the first of them (from 1), to a block.
Parser = Callable[[bytes, int], Block]
