"""Activity: what suspects do, by user, for people to look up."""

from typing import Any

import msgspec

from app.main import app
from tables.partitioned import PartitionedTable, declare


class ActivityTable(PartitionedTable):
    """Rows as JSON, which Faust's ``/table/activity/USER/`` shows."""

    def __getitem__(self, user_id: str) -> Any:
        """The row of a user, decoded."""
        return msgspec.json.decode(super().__getitem__(user_id))


activity = declare(app, "activity", ActivityTable, help="Windows of each suspect, by user_id")
