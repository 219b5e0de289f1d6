"""Which rows a table of PostgreSQL has, at one moment that its log knows too."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from clickwarden.errors import DatabaseError

if TYPE_CHECKING:
    from psycopg import AsyncConnection

#: Rows that are fetched at once.
AT_ONCE = 10_000
#: Types of columns whose values Debezium writes as PostgreSQL does.
ALIKE = frozenset({"smallint", "integer", "bigint", "text", "character varying", "uuid"})


class Moment(NamedTuple):
    """Which transactions a reader sees.

    Attributes:
        begin: all transactions before it are over.
        end: none from it on is.
        running: those between that are not.
        lsn: all that is seen is in the log before this position.
    """

    begin: int
    end: int
    running: frozenset[int]
    lsn: int

    def sees(self, transaction: int) -> bool:
        """Whether one was over, by the lower 32 bits of its number, as the log has them."""
        known = (self.end & ~0xFFFFFFFF) | transaction
        if known > self.end + 0x7FFFFFFF:
            known -= 1 << 32
        return known < self.begin or (known < self.end and known not in self.running)


class Rows(NamedTuple):
    """What a table had.

    Attributes:
        moment: when.
        key: columns of its primary key.
        ids: values of these, as text, of each row.
    """

    moment: Moment
    key: tuple[str, ...]
    ids: set[tuple[str, ...]]


async def rows_of(asking: "AsyncConnection", table: str) -> Rows:
    """All rows of a table, as ``schema.table``, seen in one transaction.

    Raises:
        DatabaseError: there is no such table, or it may not be read, or its rows cannot be told apart.
    """
    from psycopg import IsolationLevel, sql

    key = await _primary_key(asking, table)
    columns = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in key)
    await asking.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await asking.set_read_only(True)
    ids: set[tuple[str, ...]] = set()
    async with asking.transaction():
        # In this order: what is over by the snapshot lies before a position that is read behind it.
        found = await asking.execute("SELECT pg_current_snapshot()::text")
        (snapshot,) = await found.fetchone() or ("",)
        found = await asking.execute("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")
        (lsn,) = await found.fetchone() or (0,)
        async with asking.cursor("rows") as cursor:
            cursor.itersize = AT_ONCE
            named = sql.Identifier(*table.split("."))
            await cursor.execute(sql.SQL("SELECT {} FROM {}").format(columns, named))
            async for row in cursor:
                ids.add(row)
    begin, end, running = snapshot.split(":")
    numbers = frozenset(int(number) for number in running.split(",") if number)
    return Rows(Moment(int(begin), int(end), numbers, lsn), key, ids)


async def _primary_key(asking: "AsyncConnection", table: str) -> tuple[str, ...]:
    found = await asking.execute("SELECT to_regclass(%s)", [table])
    if await found.fetchone() in (None, (None,)):
        raise DatabaseError(f"there is no table {table}; write SCHEMA.TABLE, as public.transactions")
    found = await asking.execute(
        "SELECT attname::text, format_type(atttypid, NULL) FROM pg_index "
        "JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey) "
        "WHERE indrelid = to_regclass(%s) AND indisprimary ORDER BY array_position(indkey, attnum)",
        [table],
    )
    columns: Sequence[tuple[str, str]] = await found.fetchall()
    if not columns:
        raise DatabaseError(f"{table} has no primary key by which its rows could be told apart")
    for column, kind in columns:
        if kind not in ALIKE:
            raise DatabaseError(
                f"the primary key of {table} has the column {column} of type {kind}, which Debezium writes "
                f"otherwise than PostgreSQL; one of {', '.join(sorted(ALIKE))} can be compared"
            )
    return tuple(column for column, _ in columns)
