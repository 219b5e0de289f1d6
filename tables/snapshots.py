"""Snapshots: all that detection knows of one source partition, in rows of its own."""

from typing import Any, NoReturn

from app.main import app
from tables.partitioned import PartitionedTable, declare


class SnapshotsTable(PartitionedTable):
    """Rows that Faust's ``/table/`` shows nobody: they are made of what is to stay secret."""

    def __getitem__(self, key: Any) -> NoReturn:
        """No row has a key that can be asked for."""
        raise KeyError(key)


snapshots = declare(app, "snapshots", SnapshotsTable)
