"""Snapshots: all that detection knows of one source partition, in rows of its own."""

from app.main import app
from tables.partitioned import PartitionedTable, declare

snapshots = declare(app, "snapshots", PartitionedTable)
