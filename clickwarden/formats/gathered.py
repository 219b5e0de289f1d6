"""What the records of a run say, put together from what was read at once and what was read one by one."""

from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.clicks import Clicks, Rejected
from clickwarden.formats.fields import Record
from clickwarden.formats.shapes import Click, Columns
from clickwarden.formats.tree import Sizes

#: Kafka's own clock made a record's time stamp; the topic is set so.
LOG_APPEND_TIME = 1


class Piece:
    """Clicks of some records of a run, in their order.

    Args:
        columns: of the clicks.
        records: int64[n], position of each click's record in the run.
        elements: int64[n], which of the things in its record each is, from 0.
    """

    def __init__(self, columns: Columns, records: NDArray[np.int64], elements: NDArray[np.int64]) -> None:
        self.columns = columns
        self.records = records
        self.elements = elements

    def __len__(self) -> int:
        """How many clicks."""
        return len(self.records)

    def part(self, begin: int, end: int) -> "Piece":
        """Those at the places ``[begin, end)``."""
        part = slice(begin, end)
        columns = self.columns.picked(itemgetter(part), self.columns.times[part])
        return Piece(columns, self.records[part], self.elements[part])

    def without(self, records: NDArray[np.int64]) -> "Piece":
        """Those of other records than these."""
        kept = np.isin(self.records, records, invert=True)
        return self.picked(np.flatnonzero(kept))

    @classmethod
    def of(cls, columns: Columns, records: NDArray[np.int64], sizes: Sizes) -> "Piece":
        """The clicks of the records at these positions, each of which holds so many."""
        if sizes is None:
            return cls(columns, records, np.zeros(len(records), np.int64))
        elements = np.arange(len(columns.times)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return cls(columns, np.repeat(records, sizes), elements)

    @classmethod
    def together(cls, pieces: Sequence["Piece"]) -> "Piece":
        """The clicks of all pieces, which may lie between each other."""
        if len(pieces) == 1:
            return pieces[0]
        found = [piece.columns for piece in pieces]
        columns = Columns(
            [user for columns in found for user in columns.users],
            [event for columns in found for event in columns.events],
            [product for columns in found for product in columns.products],
            np.concatenate([np.empty(0), *(columns.times for columns in found)]),
            [
                list(chain.from_iterable(parts))
                for parts in zip(*(columns.further for columns in found), strict=True)
            ],
        )
        nothing = np.empty(0, np.int64)
        records = np.concatenate([nothing, *(piece.records for piece in pieces)])
        elements = np.concatenate([nothing, *(piece.elements for piece in pieces)])
        return cls(columns, records, elements).picked(np.lexsort((elements, records)))

    def picked(self, rows: NDArray[np.intp]) -> "Piece":
        """Those at these places, in this order."""
        places = rows.tolist()
        columns = self.columns.picked(
            lambda column: [column[place] for place in places], self.columns.times[rows]
        )
        return Piece(columns, self.records[rows], self.elements[rows])


class Gathered:
    """What the records of a run say, from one of them on, as far as they were read.

    Args:
        records: of the run.
        values: of each, as JSON, or why it is none.
        further: names of the further fields that are read.

    Attributes:
        records: of the run.
        values: of each, as JSON, or why it is none.
        stamps: their time stamps, epoch seconds.
        things: how many things those hold that were read.
        ignored: tombstones among them, and what else says that nothing was clicked.
    """

    def __init__(self, records: Sequence[Record], values: Sequence[Any], further: Sequence[str] = ()) -> None:
        self.records = records
        self._further = further
        self.values = values
        self.stamps = np.array([record.timestamp for record in records], np.int64) / 1000.0
        self.things = self.ignored = 0
        self._received = _received(records, self.stamps)
        self._sizes = np.ones(len(records), np.int64)
        self._begin = 0
        self._pieces: list[Piece] = []
        self._clicks: list[Click] = []
        self._places: list[tuple[int, int]] = []
        self._rejected: list[Rejected] = []

    def hold(self, position: int, things: int) -> None:
        """Note how many things the record there holds."""
        self._sizes[position] = things
        self.things += things

    def add(self, click: Click, position: int, element: int) -> None:
        """Note a click of the record there."""
        self._clicks.append(click)
        self._places.append((position, element))

    def reject(self, rejected: Rejected) -> None:
        """Note what is no click."""
        if self._begin:
            rejected = rejected._replace(record=rejected.record - self._begin)
        self._rejected.append(rejected)

    def extend(self, piece: Piece) -> None:
        """Note the clicks of whole records, in which nothing else is."""
        if len(piece):
            self._pieces.append(piece)
            self.things += len(piece)
            if piece.elements.any():
                self._sizes[piece.records] = piece.elements + 1  # the last of a record comes last

    def take(self, end: int) -> Clicks:
        """All of it, of the records before ``end``, behind which it begins anew."""
        begin, self._begin = self._begin, end
        pieces = self._pieces
        if self._clicks:
            users, events, products, times, further = zip(*self._clicks, strict=True)
            columns = Columns(
                list(users),
                list(events),
                list(products),
                np.array(times, np.float64),
                list(map(list, zip(*further, strict=True))),
            )
            records, elements = np.array(self._places, np.int64).T
            pieces = [*pieces, Piece(columns, records, elements)]
        piece = Piece.together(pieces)
        columns = piece.columns
        sizes = self._sizes[begin:end]
        several = sizes.max(initial=1) > 1
        clicks = Clicks(
            columns.users,
            columns.events,
            columns.products,
            columns.times,
            rejected=self._rejected,
            ignored=self.ignored,
            stamps=self.stamps[begin:end],
            fields=dict(zip(self._further, columns.further or [[]] * len(self._further), strict=True)),
        )
        if several:
            clicks.elements, clicks.sizes = piece.elements, sizes
        if several or len(piece) < end - begin:
            clicks.received, clicks.records = self._received[piece.records], piece.records - begin
        else:
            clicks.received = self._received[begin:end]
        self._pieces, self._clicks, self._places, self._rejected = [], [], [], []
        self.things = self.ignored = 0
        return clicks


def _received(records: Sequence[Record], stamps: NDArray[np.float64]) -> NDArray[np.float64]:
    """When Kafka received the records; NaN where the stamps are not Kafka's own."""
    kinds = {records[0].timestamp_type, records[-1].timestamp_type} if records else {LOG_APPEND_TIME}
    if kinds == {LOG_APPEND_TIME}:
        return stamps
    own = np.array([record.timestamp_type == LOG_APPEND_TIME for record in records], np.bool_)
    return np.where(own, stamps, np.nan)
