"""A Faust table that is written to a partition of one's choice."""

from collections.abc import Iterator, Mapping
from typing import Any

from faust.stores.rocksdb import Store
from faust.tables.table import Table
from rocksdict import WriteBatch

from app.delivery import Deliveries, Outgoing

#: Faust's defaults, 2 GiB of cache and 192 MiB of buffers a partition, are for
#: tables that are read; ours are read after a rebalance and by the page.
ROCKSDB_OPTIONS = {"block_cache_size": 8 << 20, "write_buffer_size": 8 << 20, "max_open_files": 200}


class PartitionedTable(Table[bytes, bytes]):  # type: ignore[misc]
    """Rows that belong to a source partition, not to the key's hash.

    A write goes to the changelog first. RocksDB gets the row and its offset
    in one batch when Kafka has it, so that the local copy is always a prefix
    of the changelog. (Stock writes the row before, the offset after.)
    """

    async def put(self, partition: int, rows: Mapping[bytes, bytes | None]) -> None:
        """Write rows of one partition and wait until Kafka has them; None deletes."""
        deliveries = Deliveries(self.app)
        for key, value in rows.items():
            await deliveries.send(Outgoing(self.changelog_topic_name, key, value, partition))
        received = await deliveries.acknowledged()
        database = self.data._dbs.get(partition)
        if database is None or not received:  # revoked meanwhile: not ours to write any more
            return
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        last = max(metadata.offset for metadata in received)
        batch.put(self.data.offset_key, str(last).encode())
        database.write(batch)

    def rows(self, partition: int) -> dict[bytes, bytes]:
        """All rows of a partition assigned to this worker."""
        # As a dict: a live iterator would keep the database locked.
        return dict(self._items(partition))

    def _items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        items: Iterator[tuple[bytes, bytes]] = self.data._visible_items(
            self.data._db_for_partition(partition)
        )
        return items


def declare(app: Any, name: str, table: type[PartitionedTable], record_bytes: int, **options: Any) -> Any:
    """Add a table to the application.

    Raises:
        RuntimeError: Faust did not give it a RocksDB store (it silently uses
            memory when ``store`` is set on a table instead of the app).
    """
    made = table(
        app,
        name=name,
        # Of these types Faust leaves keys and values as they are, in a schema it does not.
        key_type=bytes,
        value_type=bytes,
        partitions=app.conf.topic_partitions,
        options=dict(ROCKSDB_OPTIONS),
        extra_topic_configs={"max.message.bytes": record_bytes},
        **options,
    )
    if not isinstance(made.data, Store):
        raise RuntimeError(f"table {name}: the store is {made.data!r}, not RocksDB; set store on the App")
    app.tables.add(made)
    return made
