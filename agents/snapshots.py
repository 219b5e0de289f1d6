"""The rows that hold one partition's state."""

import re
from collections.abc import Iterable, Mapping, Sequence

from clickwarden.detection import snapshot
from clickwarden.detection.detection import Detection, Parameters
from clickwarden.detection.rules import Rule
from tables.partitioned import PartitionedTable

#: Keys of a partition's snapshots begin so; that of a release before 0.2 is this.
KEY = b"snapshot"
#: The end of a row's key, which names its writer; rows of a release before 0.2 have none.
OWNED = re.compile(rb"/(\d{10}/\d{4,9})$")


class SnapshotRows:
    """One owner's hold on a partition's rows in the snapshots table.

    A worker that was taken for dead may have a snapshot under way that
    arrives when its successor has long written others. So the key of every
    row carries the generation of the consumer group in which its writer
    owned the partition, and a number of its own in it; the newest owner's
    snapshot is the state, with that owner's rows of closed windows, whatever
    came later. An owner writes all of them before it counts anything; what
    others have written goes once that is durable.

    Args:
        table: of the snapshots.
        partition: the number of the partition.
        generation: of the consumer group.
    """

    def __init__(self, table: PartitionedTable, partition: int, generation: int) -> None:
        self._table = table
        self._partition = partition
        rows = table.rows(partition)
        newest = max((key for key in rows if key.startswith(KEY)), default=KEY)
        self._newest = rows.get(newest, b"")
        owners = [owned[1].decode() for owned in map(OWNED.search, rows) if owned]
        owner = newest.removeprefix(KEY)
        self._outcomes = {
            key.removesuffix(owner): value
            for key, value in rows.items()
            if key.endswith(owner) and not key.startswith(KEY)
        }
        self._key = KEY + b"/" + behind(owners, generation).encode()
        self._stale: dict[bytes, bytes | None] = dict.fromkeys(rows)

    @property
    def owner(self) -> str:
        """Who owns the partition; a later owner's is greater."""
        return self._key.removeprefix(KEY + b"/").decode()

    def load(self, rules: Sequence[Rule], parameters: Parameters) -> Detection:
        """The detection that the newest snapshot is of; one that begins where there is none.

        Raises:
            SnapshotError: the snapshot cannot be used.
        """
        if self._newest:
            detection = snapshot.load(self._newest, self._partition, parameters, self._outcomes)
        else:
            detection = Detection(self._partition, rules, parameters)
        for window in detection.closed:
            window.stored = False  # under the key of this owner
        self._newest, self._outcomes = b"", {}
        return detection

    async def save(
        self, packed: bytes, outcomes: Mapping[bytes, bytes | None], gone: Mapping[bytes, bytes | None]
    ) -> None:
        """Make a snapshot durable.

        Args:
            packed: the snapshot.
            outcomes: rows that it refers to and that are not there yet; durable before it.
            gone: rows that it refers to no more, as None; removed when it is durable.
        """
        if outcomes:
            await self._table.put(self._partition, self._own(outcomes))
        await self._table.put(self._partition, {self._key: packed})
        stale, self._stale = self._stale | self._own(gone), {}
        if stale:
            await self._table.put(self._partition, stale)

    def _own(self, rows: Mapping[bytes, bytes | None]) -> dict[bytes, bytes | None]:
        """The rows under the keys of this owner."""
        return {key + self._key.removeprefix(KEY): value for key, value in rows.items()}


def behind(owners: Iterable[str], generation: int) -> str:
    """The name of an owner, behind all of whom there are rows.

    Of one who was killed there may be rows that no state refers to. Who comes back under its name is of
    the same generation (KIP-345), and a group that everybody left long ago begins anew with its first.

    >>> behind([], 7), behind(["0000000007/0001", "0000000007/0000"], 7)
    ('0000000007/0000', '0000000007/0002')
    >>> behind(["0000000007/0000"], 1)
    '0000000007/0001'
    """
    known, count = max((tuple(map(int, owner.split("/"))) for owner in owners), default=(-1, 0))
    return f"{generation:010}/0000" if generation > known else f"{known:010}/{count + 1:04}"
