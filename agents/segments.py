"""The rows that hold one partition's state of a pipeline."""

from collections.abc import Iterator

from agents.snapshots import behind
from clickwarden.errors import SnapshotError
from clickwarden.models.features import Segment
from clickwarden.models.standing import Standing
from tables.partitioned import PartitionedTable

#: Of a row, before the segment: its newest moment.
_NEWEST = 8


class SegmentRows:
    """One owner's hold on a partition's rows of a pipeline.

    As in :class:`~agents.snapshots.SnapshotRows`, every key carries the generation of its writer, and the
    newest generation's standing is the state. It names the segments that it is made of, whoever wrote
    them. A segment goes when neither the standing that is durable nor the one before it names it: whoever
    takes over begins with one of these two, whatever a worker that was taken for dead has still under way.

    Args:
        table: of all pipelines.
        pipeline: its name.
        partition: the number of the partition.
        generation: of the consumer group.

    Attributes:
        owner: who owns the partition; a later owner's is greater.
        newest: the state, packed; empty where there is none.
    """

    def __init__(self, table: PartitionedTable, pipeline: str, partition: int, generation: int) -> None:
        self._table = table
        self._partition = partition
        self._segment = f"{pipeline}/segment/"
        begin = f"{pipeline}/standing"
        ours = f"{pipeline}/".encode()
        rows = {key: value for key, value in table.rows(partition).items() if key.startswith(ours)}
        states = [key for key in rows if key.startswith(begin.encode())]
        newest = max(states, default=begin.encode())
        segments = (key.decode().rpartition("/")[0] for key in rows.keys() - states)
        owners = ["/".join(name.split("/")[-2:]) for name in (*map(bytes.decode, states), *segments)]
        self.owner = behind(owners, generation)
        self._state = f"{begin}/{self.owner}".encode()
        self._rows = rows
        self._number = 0
        # What no state names: known when those of the state are read.
        self._stale: dict[bytes, bytes | None] = {}
        self._dropped: dict[bytes, bytes | None] = {}
        self.newest = rows.get(newest, b"")

    def segments(self, standing: Standing) -> Iterator[Segment]:
        """The segments of a standing, the oldest first; once.

        Raises:
            SnapshotError: one is missing.
        """
        for owner, number in standing.names:
            key = self._key(owner, number)
            row = self._rows.pop(key, None)
            if row is None:
                raise SnapshotError(
                    f"segment {key.decode()} of partition {self._partition} is missing: its changelog has "
                    "lost records; begin anew with another CLICKWARDEN_APP_ID"
                )
            yield Segment(row[_NEWEST:], int.from_bytes(row[:_NEWEST], signed=True))
        self._stale, self._rows = dict.fromkeys(self._rows), {}

    async def add(self, segment: Segment) -> int:
        """Make a segment durable; its number. No standing names it yet."""
        number, self._number = self._number, self._number + 1
        row = segment.newest.to_bytes(_NEWEST, signed=True) + segment.data
        await self._table.put(self._partition, {self._key(self.owner, number): row})
        return number

    async def save(self, standing: bytes, dropped: list[tuple[str, int]]) -> None:
        """Make a standing durable.

        Args:
            standing: the bytes of it.
            dropped: segments that it does not name any more.
        """
        await self._table.put(self._partition, {self._state: standing})
        gone = self._stale | self._dropped
        self._stale, self._dropped = {}, {self._key(*name): None for name in dropped}
        if gone:
            await self._table.put(self._partition, gone)

    def _key(self, owner: str, number: int) -> bytes:
        return f"{self._segment}{owner}/{number:010}".encode()
