"""Anomalies in the order they were read, and where in the topic that is."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import msgspec

#: Anomalies that can be sent again to who lost the connection.
KEEP = 10_000


class Event(NamedTuple):
    """One anomaly as it is sent.

    Attributes:
        partition, offset: of its record in the anomalies topic.
        behind: the offset to go on from behind it, in each partition.
        record: the anomaly.
    """

    partition: int
    offset: int
    behind: tuple[int, ...]
    record: msgspec.Raw

    @property
    def text(self) -> bytes:
        """The server-sent event, with the position behind it as its id; made only where somebody listens."""
        return b"id: %b\nevent: anomaly\ndata: %b\n\n" % (_written(self.behind), bytes(self.record))


class Stream:
    """The newest events.

    A position is the offset to go on from in each partition of the topic,
    written ``0-12-7``. It names what was sent exactly, whichever worker sent
    it: none of them reads the partitions in the same order.

    Attributes:
        count: events taken since the worker started, those forgotten included.
    """

    def __init__(self, keep: int = KEEP) -> None:
        self.count = 0
        self._events: deque[Event] = deque()
        self._keep = keep
        self._next: list[int] = []
        self._kept_from: list[int] = []

    @property
    def first(self) -> int:
        """How many events were forgotten."""
        return self.count - len(self._events)

    @property
    def position(self) -> str:
        """The position behind all that was taken."""
        return _written(self._next).decode()

    def begin(self, partition: int, offset: int) -> None:
        """Note that a partition is read from here on."""
        missing = partition + 1 - len(self._next)
        self._next += [0] * missing
        self._kept_from += [0] * missing
        self._next[partition] = self._kept_from[partition] = offset

    def take(self, partition: int, offset: int, record: msgspec.Raw | None) -> None:
        """Note that a record of the topic was read; None where it is no news."""
        self._next[partition] = offset + 1
        if record is None:
            return
        self._events.append(Event(partition, offset, tuple(self._next), record))
        self.count += 1
        if len(self._events) > self._keep:
            gone = self._events.popleft()
            self._kept_from[gone.partition] = gone.offset + 1

    def behind(self, count: int) -> Iterator[Event]:
        """Events taken since there were ``count`` of them, those forgotten aside."""
        return islice(self._events, max(0, count - self.first), None)

    def has(self, position: list[int]) -> bool:
        """Whether the stream can go on from a position."""
        return len(position) == len(self._kept_from) and all(
            given >= kept for given, kept in zip(position, self._kept_from, strict=True)
        )

    def reaches(self, position: list[int]) -> bool:
        """Whether all before a position was read; another worker may have read on further."""
        return all(reached >= given for reached, given in zip(self._next, position, strict=False))


def _written(position: Iterable[int]) -> bytes:
    return "-".join(map(str, position)).encode()


def parse(position: str) -> list[int]:
    """A position's offsets by partition; none where it is no position.

    >>> parse("0-12-7"), parse("0-x"), parse("")
    ([0, 12, 7], [], [])
    """
    offsets = position.split("-")
    if not all(offset.isascii() and offset.isdigit() and len(offset) < 20 for offset in offsets):
        return []
    return [int(offset) for offset in offsets]
