"""Snapshots: all that detection knows of one source partition, in one row."""

from app.main import app
from tables.partitioned import PartitionedTable, declare

#: Key of a partition's snapshot.
KEY = b"snapshot"

snapshots = declare(app, "snapshots", PartitionedTable)
