"""Features: what pipelines have learnt of the records of one partition, in rows of its own."""

from typing import Any

from app.main import app
from tables.partitioned import declare
from tables.snapshots import SnapshotsTable

#: None where there are no pipelines.
features: Any = declare(app, "features", SnapshotsTable) if app.pipelines else None
