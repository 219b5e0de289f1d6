"""A Faust table that is written to a partition of one's choice."""

import faulthandler
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from faust.stores.rocksdb import Store
from faust.tables.table import Table
from rocksdict import WriteBatch

from app.delivery import Deliveries, Outgoing
from app.room import enough_room, shortage
from clickwarden.kafka.topics import TABLES

log = logging.getLogger(__name__)

#: Faust's defaults, 2 GiB of cache and 192 MiB of buffers a partition, are for
#: tables that are read; ours are read after a rebalance and by the page.
ROCKSDB_OPTIONS = {"block_cache_size": 8 << 20, "write_buffer_size": 2 << 20, "max_open_files": 20}
#: Opening takes milliseconds; a process in which it takes this long is ended.
OPEN_SECONDS = 30.0
#: Its file descriptor; sys.stderr is a logger of Faust's.
STDERR = 2


class LocalStore(Store):  # type: ignore[misc]
    """Faust's RocksDB store; what is damaged is set aside, and the changelog fills it again.

    Stock dies of a database that does not open, at every start. One that
    opens with a damaged block in it is worse: reading ends there without an
    error, and the rows behind it, a snapshot among them, seem never written.
    And some damage makes RocksDB spin for ever, with the interpreter locked:
    only a watchdog in C ends that, and a mark tells the next start of it. A
    machine that has no room is no damage: the worker ends.
    """

    @property
    def _folder(self) -> Path:
        folder: Path = self.app.settings.data_dir
        return folder

    def _open_for_partition(self, partition: int) -> Any:
        with enough_room(self._folder):
            return self._open_or_set_aside(partition)

    def apply_changelog_batch(
        self, batch: Iterable[Any], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        """Take over what recovery reads."""
        with enough_room(self._folder):
            super().apply_changelog_batch(batch, to_key, to_value)

    def write(self, partition: int, rows: Mapping[bytes, bytes | None], offset: int) -> None:
        """Write rows, and the changelog's offset that they are up to; None deletes.

        Without effect where the partition was revoked: they are not ours any more.
        """
        database = self._dbs.get(partition)
        if database is None:
            return
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(self.offset_key, str(offset).encode())
        with enough_room(self._folder):
            database.write(batch)

    def _open_or_set_aside(self, partition: int) -> Any:
        path = self.partition_path(partition)
        opening = path.with_suffix(".opening")
        try:
            if opening.exists() and path.exists():
                raise RuntimeError("the last worker did not live to open it")
            opening.touch()
            faulthandler.dump_traceback_later(OPEN_SECONDS, exit=True, file=STDERR)
            database = self._open_whole(partition)
        except Exception as error:  # rocksdict knows no other
            # In use: Faust tries again; or not a matter of damage.
            if "/LOCK" in str(error) or shortage(error, self._folder) or not path.exists():
                raise
            log.error("%s is damaged and set aside, to be rebuilt from the changelog: %s", path, error)
            aside = path.with_suffix(".damaged")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            database = super()._open_for_partition(partition)
        finally:
            faulthandler.cancel_dump_traceback_later()
            opening.unlink(missing_ok=True)
        return database

    def _open_whole(self, partition: int) -> Any:
        database = super()._open_for_partition(partition)
        if damage := _damage(database):
            database.close()
            raise RuntimeError(damage)
        return database


def _damage(database: Any) -> str:
    """What is wrong with the rows of a database; empty if nothing is.

    A function of its own, since the iterator, and a traceback that holds it,
    keep the database locked after it was closed.
    """
    try:
        rows = database.iter()
        rows.seek_to_first()
        while rows.valid():
            rows.next()
        rows.status()  # raises where a block is damaged
    except Exception as error:  # rocksdict knows no other
        return str(error)
    return ""


class PartitionedTable(Table[bytes, bytes]):  # type: ignore[misc]
    """Rows that belong to a source partition, not to the key's hash.

    A write goes to the changelog first. RocksDB gets the row and its offset
    in one batch when Kafka has it, so that the local copy is always a prefix
    of the changelog. (Stock writes the row before, the offset after.)
    """

    def _new_store(self) -> LocalStore:
        return LocalStore(
            "rocksdb://",
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            key_serializer=self.key_serializer,
            value_type=self.value_type,
            value_serializer=self.value_serializer,
            options=self.options,
        )

    async def put(self, partition: int, rows: Mapping[bytes, bytes | None]) -> None:
        """Write rows of one partition and wait until Kafka has them; None deletes."""
        deliveries = Deliveries(self.app)
        for key, value in rows.items():
            await deliveries.send(Outgoing(self.changelog_topic_name, key, value, partition))
        received = await deliveries.acknowledged(len(rows))
        if received:
            self.data.write(partition, rows, max(metadata.offset for metadata in received))

    def rows(self, partition: int) -> dict[bytes, bytes]:
        """All rows of a partition assigned to this worker."""
        # As a dict: a live iterator would keep the database locked.
        return dict(self._items(partition))

    def _items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        items: Iterator[tuple[bytes, bytes]] = self.data._visible_items(
            self.data._db_for_partition(partition)
        )
        return items


def declare(app: Any, name: str, table: type[PartitionedTable], **options: Any) -> Any:
    """Add a table to the application."""
    made = table(
        app,
        name=name,
        # Of these types Faust leaves keys and values as they are, in a schema it does not.
        key_type=bytes,
        value_type=bytes,
        partitions=app.conf.topic_partitions,
        options=dict(ROCKSDB_OPTIONS),
        extra_topic_configs={"max.message.bytes": TABLES[name]},
        **options,
    )
    app.tables.add(made)
    return made
