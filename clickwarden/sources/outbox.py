"""Clicks on disk that wait for Kafka, in the order they came.

SQLite keeps them: it is in the standard library, what it has committed
survives kill -9 and a power cut, it keeps to a quota, and its lock ends with
the process that holds it.
"""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeAlias

import msgspec

from clickwarden.errors import OutboxError
from clickwarden.settings import PREFIX, Settings

MIB = 1024 * 1024
VERSION = 1
#: Records in a row at most.
ROW_RECORDS = 1000

#: AUTOINCREMENT: a position is never given twice, also when all rows are gone.
SCHEMA = f"""
    BEGIN;
    CREATE TABLE identity (name TEXT NOT NULL);
    INSERT INTO identity VALUES (lower(hex(randomblob(16))));
    CREATE TABLE rows (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        count INTEGER NOT NULL,
        records BLOB NOT NULL
    );
    PRAGMA user_version = {VERSION};
    COMMIT;
"""

#: Key and value.
KeyValue: TypeAlias = tuple[bytes, bytes]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[KeyValue]).decode


class Outbox:
    """A queue of records in the file ``DATA_DIR/outbox/TOPIC.db``, of one producer at a time.

    The records are in rows, which ascending positions name. Methods block on
    the disk, and all are for the thread that made the outbox.

    Attributes:
        name: of this outbox, made when its file was: 32 hex digits.
        found: records in it when it was opened.
        last: the highest position given by then, 0 where none was.

    Raises:
        OutboxError: it cannot be opened; as every method does when the disk fails.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.data_dir / "outbox" / f"{settings.clicks_topic}.db"
        self._quota = settings.outbox_quota
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(str(error)) from None
        with self._explained():
            self._db = sqlite3.connect(self._path, timeout=0)
        try:
            with self._explained():
                self._open()
        except OutboxError:
            self._db.close()
            raise

    def append(self, records: Sequence[KeyValue]) -> None:
        """Put records at the end, all or none; on return the disk has them (fsync).

        Raises:
            OutboxError: there is no room for them; none is kept.
        """
        runs = (records[first : first + ROW_RECORDS] for first in range(0, len(records), ROW_RECORDS))
        rows = ((len(run), _encode(run)) for run in runs)
        with self._explained():
            self._db.execute("PRAGMA synchronous = FULL")
            with self._db:
                self._db.executemany("INSERT INTO rows (count, records) VALUES (?, ?)", rows)

    def read(self, after: int, size: int) -> tuple[int, list[KeyValue]]:
        """The records of the first rows behind a position, and the position of the last of these.

        Rows are taken until they have ``size`` bytes; there is no record where there is no row.
        """
        records: list[KeyValue] = []
        with self._explained():
            for position, row in self._db.execute(
                "SELECT position, records FROM rows WHERE position > ? ORDER BY position", [after]
            ):
                after = position
                records += _decode(row)
                size -= len(row)
                if size <= 0:
                    break
        return after, records

    def forget(self, position: int) -> int:
        """Remove the rows up to a position; how many records they had.

        A power cut may bring them back: whoever forgets them knows from
        elsewhere where to go on.
        """
        with self._explained():
            self._db.execute("PRAGMA synchronous = NORMAL")
            with self._db:
                (count,) = self._db.execute(
                    "SELECT total(count) FROM rows WHERE position <= ?", [position]
                ).fetchone()
                self._db.execute("DELETE FROM rows WHERE position <= ?", [position])
        return int(count)

    def close(self) -> None:
        """Let go of the file, and give back the space it does not need."""
        with suppress(sqlite3.Error):
            self._db.executescript("PRAGMA incremental_vacuum")  # execute() would free one page
        self._db.close()

    def _open(self) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            db.executescript(SCHEMA)
        elif version != VERSION:
            raise self._unusable(f"it is of version {version}, this program knows {VERSION}")
        (page,) = db.execute("PRAGMA page_size").fetchone()
        db.execute(f"PRAGMA max_page_count = {self._quota * MIB // page}").fetchall()
        (self.name,) = db.execute("SELECT name FROM identity").fetchone()
        (found,) = db.execute("SELECT total(count) FROM rows").fetchone()
        (last,) = db.execute("SELECT total(seq) FROM sqlite_sequence").fetchone()
        self.found, self.last = int(found), int(last)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # of an extended code the primary one
            if code == sqlite3.SQLITE_FULL:
                free = shutil.disk_usage(self._path.parent).free
                raise OutboxError(
                    f"{PREFIX}OUTBOX_QUOTA={self._quota}: {self._path} has no room for more clicks (quota "
                    f"{self._quota} MiB; {free // MIB:,} MiB of the disk are free). See that Kafka answers, "
                    "raise the quota, or free disk space"
                ) from None
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise self._unusable("another producer has it open; stop that one") from None
            raise self._unusable(str(error)) from None

    def _unusable(self, why: str) -> OutboxError:
        return OutboxError(
            f"{PREFIX}DATA_DIR={self._path.parents[1]}: the outbox {self._path} cannot be used: {why}, "
            "or choose another folder"
        )
