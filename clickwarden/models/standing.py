"""Where a partition of a pipeline's topic stands: what its next record depends on, but for its features."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden import zstd
from clickwarden.detection.lineup import Lineup, Since
from clickwarden.errors import SnapshotError
from clickwarden.models.monitor import Watched

#: Raised when the form changes.
VERSION = 1


class SegmentRun(msgspec.Struct, array_like=True):
    """Segments that one owner of the partition wrote one after the other, by their numbers."""

    owner: str
    first: int
    last: int


class Comparison(msgspec.Struct, array_like=True):
    """A challenger beside its champion, on the same records.

    Attributes:
        scored: by both.
        alarms: of the challenger.
        champion: alarms of the champion.
        both: records that both alarm.
        first: the earliest moment of a record, epoch milliseconds; None before there is one.
        last: the latest one.
    """

    scored: int = 0
    alarms: int = 0
    champion: int = 0
    both: int = 0
    first: int | None = None
    last: int | None = None

    def add(
        self, moments: NDArray[np.int64], alarmed: NDArray[np.bool_], champion: NDArray[np.bool_]
    ) -> None:
        """Learn of records that both have scored.

        Args:
            moments: int64[n], n > 0, when they happened.
            alarmed: bool[m], those that it alarms, among others that nobody has scored.
            champion: bool[m], those that the champion does.
        """
        self.scored += len(moments)
        self.alarms += int(alarmed.sum())
        self.champion += int(champion.sum())
        self.both += int((alarmed & champion).sum())
        first, last = int(moments.min()), int(moments.max())
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)


class Standing(msgspec.Struct, array_like=True):
    """What is known of a partition at one of its offsets.

    Attributes:
        definition: hash of what the features are.
        next_offset: where it goes on; None before the first record.
        lineup: the models that score it there.
        planned: those from later offsets on.
        segments: what was learnt of the records before.
        incidents: of the champion, whoever that is (empty), and of each challenger by its version: by the key
            of their records, incident and epoch milliseconds of those alarmed last.
        fates: what became of the records, by name.
        alarms: how many were told, of the models that were champions.
        compared: the challengers, by version, since they are beside this champion.
        watched: what its days were, held against what the champion has learnt.
        learnt: by a champion that learns while it scores, from the records before; empty of others.
    """

    definition: str
    next_offset: int | None = None
    lineup: Lineup = Lineup()
    planned: list[Since] = []
    segments: list[SegmentRun] = []
    incidents: dict[str, dict[str, tuple[str, int]]] = {}
    fates: dict[str, int] = {}
    alarms: int = 0
    compared: dict[str, Comparison] = {}
    watched: Watched = msgspec.field(default_factory=Watched)
    learnt: bytes = b""

    def plan(self, lineup: Lineup, end: int) -> bool:
        """Have other models score it from an offset on, not before its own; False if they do already.

        Where nobody was in charge, or there is no record yet, they do at once. No position is no sign of the
        latter: who died before the first checkpoint has told of records as well.

        Args:
            lineup: the others.
            end: of the partition.
        """
        newest = self.planned[-1].lineup if self.planned else self.lineup
        if lineup == newest:
            return False
        if not end or not self.lineup.champion:
            self._change(lineup)
        else:
            self.planned.append(Since(end, lineup))
        return True

    def adopt(self, offset: int) -> int | None:
        """Have those models score it that are to at this offset; returns where the next ones do."""
        while self.planned and self.planned[0].offset <= offset:
            self._change(self.planned.pop(0).lineup)
        return self.planned[0].offset if self.planned else None

    def _change(self, lineup: Lineup) -> None:
        kept = lineup.challengers if lineup.champion == self.lineup.champion else ()
        self.compared = {version: each for version, each in self.compared.items() if version in kept}
        if lineup.champion != self.lineup.champion:
            self.learnt = b""
        names = ("", *lineup.challengers)
        self.incidents = {name: known for name, known in self.incidents.items() if name in names}
        self.lineup = lineup

    def add(self, owner: str, number: int) -> None:
        """Note a segment that was written."""
        if self.segments and self.segments[-1].owner == owner and self.segments[-1].last == number - 1:
            self.segments[-1].last = number
        else:
            self.segments.append(SegmentRun(owner, number, number))

    def drop(self) -> tuple[str, int]:
        """Forget the oldest segment; its owner and number."""
        run = self.segments[0]
        run.first += 1
        if run.first > run.last:
            self.segments.pop(0)
        return run.owner, run.first - 1

    def pop(self) -> tuple[str, int]:
        """Forget the newest segment; its owner and number."""
        run = self.segments[-1]
        run.last -= 1
        if run.first > run.last:
            self.segments.pop()
        return run.owner, run.last + 1

    @property
    def names(self) -> Sequence[tuple[str, int]]:
        """Owner and number of each segment, the oldest first."""
        return [(run.owner, number) for run in self.segments for number in range(run.first, run.last + 1)]


def dump(standing: Standing) -> bytes:
    """It as bytes."""
    return bytes([VERSION]) + zstd.compress(msgspec.msgpack.encode(standing), 3)


def load(data: bytes) -> Standing:
    """What :func:`dump` has made.

    Raises:
        SnapshotError: it is broken, or of a newer release.
    """
    if data[:1] != bytes([VERSION]):
        raise SnapshotError(
            f"the state of a pipeline is of version {data[0] if data else None}, and this release knows "
            f"{VERSION}; use the release that wrote it, or a later one"
        )
    try:
        return msgspec.msgpack.decode(zstd.decompress(data[1:]), type=Standing)
    except (zstd.ZstdError, msgspec.DecodeError) as error:
        raise SnapshotError(f"the state of a pipeline is broken: {error}") from None
