"""What has changed of the list since somebody asked."""

from typing import NamedTuple

from clickwarden.blocking.address import Target
from clickwarden.blocking.block import Block
from clickwarden.blocking.blocklist import TOLD_SECONDS, Listing


class Delta(NamedTuple):
    """What has changed.

    Attributes:
        new: blocks that have begun, or last until another time.
        deleted: blocks that are over.
        position: where to go on from.
    """

    new: list[Block]
    deleted: list[Block]
    position: int


class History:
    """Listings, one after the other; each change has a number.

    It is of this process alone. Who asks without a position, as after a restart, is told of everything that
    is on the list, and of everything that was, as far back as a listing says: that repeats, and leaves
    nothing out.

    Attributes:
        listing: the last.
    """

    def __init__(self) -> None:
        self.listing: Listing | None = None
        self._position = 0
        # What was said last, the newest at the end.
        self._new: dict[Target, tuple[int, Block]] = {}
        self._over: dict[Target, tuple[int, Block]] = {}

    def take(self, listing: Listing) -> None:
        """Go on to the next listing."""
        self._position += 1
        there = {block.target: block for block in listing.blocks}
        # Of who was over by then, somebody may have been told before the process began.
        gone = {block.target: block for block in listing.over} if self.listing is None else {}
        for target in [target for target in self._new if target not in there]:
            gone[target] = self._new.pop(target)[1]
        for target, block in there.items():
            known = self._new.get(target)
            if known is None or known[1].until != block.until:
                self._new.pop(target, None)
                self._new[target] = self._position, block
        since = listing.at - TOLD_SECONDS
        self._over = {
            target: said
            for target, said in self._over.items()
            if target not in there and said[1].until > since
        }
        for target, block in gone.items():
            self._over.setdefault(target, (self._position, block))
        self.listing = listing

    def since(self, position: int | None) -> Delta:
        """What has changed since a position; None: all of it."""
        last = 0 if position is None else position
        new = [block for number, block in self._new.values() if number > last]
        deleted = [block for number, block in self._over.values() if number > last]
        return Delta(new, deleted, self._position)
