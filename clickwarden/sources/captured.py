"""PostgreSQL's side of capturing tables: what must be so, and what is done, in SQL.

Three have a part in it. Who administers made the role that reads (``LOGIN REPLICATION``); who owns the tables
lets it read them, and publishes them; the role itself reads, and its slot says how far. None has to be a
superuser. The slot is Debezium's to make, in the moment of its first snapshot: one that was older would tell
twice what was written in between.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from clickwarden.errors import DatabaseError
from clickwarden.kafka.findings import Finding
from clickwarden.sources.connectors import State

if TYPE_CHECKING:
    from psycopg import AsyncConnection

CONNECT_SECONDS = 10


class Where(NamedTuple):
    """A database as somebody is connected to it."""

    host: str
    port: int
    database: str
    user: str
    password: str


class Slot(NamedTuple):
    """How far somebody has read PostgreSQL's log.

    Attributes:
        active: whether somebody reads just now.
        status: reserved, extended, unreserved, or lost: then what is missing is gone for good.
        behind: bytes of the log that have not been read, None where it is lost.
        kept: bytes of the log that are kept for it, None where it is lost.
        room: bytes that may still be written until it is lost, None where that has no bound.
        confirmed: position in the log up to which all is in Kafka; None before the first.
        snapshot: whether its reader is reading tables by Debezium, as it does before it first reads the slot.
    """

    active: bool
    status: str
    behind: int | None
    kept: int | None
    room: int | None = None
    confirmed: int | None = None
    snapshot: bool = False


def faults(
    name: str, state: State | None, slot: Slot | None, silence: float = 0.0, unheard: str = ""
) -> list[Finding]:
    """Why changes do not come, or will not; each with what to do. Empty where they do.

    Connect's word is not enough: it says RUNNING while PostgreSQL is away, when the slot is lost, and for a
    while when its task is dead. Nor is PostgreSQL's: the slot of such a task is read on for as long.

    Args:
        name: of the connector.
        state: what Connect says of it; None where it does not answer, which is no fault by itself.
        slot: what PostgreSQL says of its slot; None where there is none.
        silence: seconds without a heartbeat, if there should have been one.
        unheard: why none can be heard; empty where they can.
    """
    found = []
    if state is not None and "FAILED" in (state.connector, *state.tasks):
        found.append(
            fault(
                f"connector {name} has failed",
                f"Connect gave {name} up: {state.trace or 'it says no reason'}.",
                "Mend that, and register again",
            )
        )
    elif state is not None and not state.runs:
        tasks = ", ".join(state.tasks) or "none"
        found.append(
            fault(
                f"connector {name} does not run",
                f"Connect does not run {name}: it is {state.connector}, its tasks {tasks}.",
                "Wait, if it has just been started, or register again",
            )
        )
    if slot is None:
        found.append(
            fault(
                f"connector {name} has no slot",
                f"In PostgreSQL there is no slot of {name}, so that nothing is kept of what changes.",
                "Register again, or remove it",
            )
        )
    elif slot.status == "lost":
        found.append(
            fault(
                f"the slot of connector {name} is lost",
                f"The slot of {name} is lost: it was not read for too long (max_slot_wal_keep_size), and "
                "what changed since is gone.",
                "Remove and register read the table anew, but what was deleted meanwhile is never told",
            )
        )
    elif not slot.active and not slot.snapshot:
        found.append(
            fault(
                f"nobody reads the slot of connector {name}",
                f"In PostgreSQL nobody reads the slot of {name} now; the log is kept until somebody does.",
                "Start Kafka Connect, if it does not run; its log says why, if it does",
            )
        )
    elif silence and not slot.snapshot and not found:
        found.append(
            fault(
                f"connector {name} sends no heartbeats",
                f"Connector {name} has sent no heartbeat for {silence:.0f} s, though its slot is read: "
                f"{unheard or 'its task may be dead of a row that is too large'}.",
                "Look into the log of Kafka Connect, mend what it says, and register again; the worker "
                "needs the right to read the heartbeats' topic",
            )
        )
    return found


def fault(summary: str, consequence: str, cure: str, command: str = "", *, blinds: bool = True) -> Finding:
    """What keeps from coming what is written to tables, or nearly so."""
    return Finding("capture", summary, consequence, cure, hides=False, command=command, blinds=blinds)


@asynccontextmanager
async def connected(address: str, **given: Any) -> AsyncIterator["AsyncConnection"]:
    """A connection by a libpq address; passwords are in the file of libpq.

    What PostgreSQL refuses inside becomes a DatabaseError, too.

    Raises:
        DatabaseError: psycopg is not installed, or PostgreSQL does not answer, or refuses.
    """
    try:
        import psycopg
    except ImportError:
        raise DatabaseError(
            "capturing from PostgreSQL needs psycopg: pip install 'psycopg[binary]' (the extra "
            "clickwarden[capture])"
        ) from None
    try:
        given = {"connect_timeout": CONNECT_SECONDS, "autocommit": True} | given
        async with await psycopg.AsyncConnection.connect(address, **given) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise DatabaseError(
            f"PostgreSQL at {_plain(address)}: {_said(error)}; start it with 'faust -A app postgres', or "
            "name another (--database postgresql://OWNER@HOST:PORT/NAME, CLICKWARDEN_CAPTURE_DATABASE), and "
            "passwords in the file that PGPASSFILE names (~/.pgpass)"
        ) from error
    except psycopg.Error as error:
        raise DatabaseError(f"PostgreSQL at {_plain(address)}: {_said(error)}") from error


def where(connection: "AsyncConnection") -> Where:
    """Where a connection leads, and as whom."""
    info = connection.info
    return Where(info.host, info.port, info.dbname, info.user, info.password)


async def check(
    owner: "AsyncConnection", tables: Sequence[str], keys: Mapping[str, Sequence[str]], slot: str
) -> None:
    """See that changes of the tables can be read, all of them, and say what they were.

    Args:
        owner: who owns the tables.
        tables: each as ``schema.table``.
        keys: columns by which a table's records are to be keyed.
        slot: the one that will be used; one of that name needs no free place.

    Raises:
        DatabaseError: one cannot, with the statements that mend it.
    """
    level = await _one(owner, "SHOW wal_level")
    if level != "logical":
        raise DatabaseError(
            f"wal_level is {level}, so that PostgreSQL's log does not say what a change was: ALTER SYSTEM "
            "SET wal_level = 'logical', and restart PostgreSQL (who hosts it has a parameter for that)"
        )
    most = int(await _one(owner, "SHOW max_replication_slots"))
    taken = await _one(owner, "SELECT count(*) FROM pg_replication_slots WHERE slot_name <> %s", slot)
    if taken >= most:
        raise DatabaseError(
            f"all {most} slots of PostgreSQL are taken (max_replication_slots): SELECT * FROM "
            "pg_replication_slots says by whom, and pg_drop_replication_slot(NAME) drops one that nobody "
            "reads; or ALTER SYSTEM SET max_replication_slots to more, and restart it"
        )
    for table in tables:
        await _check_table(owner, table, keys.get(table, ()))


async def _check_table(owner: "AsyncConnection", table: str, keys: Sequence[str]) -> None:
    found = await (
        await owner.execute(
            "SELECT relkind::text, relreplident::text FROM pg_class WHERE oid = to_regclass(%s)", [table]
        )
    ).fetchone()
    if found is None:
        raise DatabaseError(f"there is no table {table}; write SCHEMA.TABLE, as public.transactions")
    kind, identity = found
    if kind != "r":
        raise DatabaseError(
            f"{table} is no ordinary table (relkind {kind}); capture those that it is made of"
        )
    if identity != "f":
        raise DatabaseError(
            f"{table} does not say what a row was before a change, and Debezium would make it up: "
            f"ALTER TABLE {table} REPLICA IDENTITY FULL"
        )
    columns = await owner.execute(
        "SELECT attname::text FROM pg_attribute "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
        [table],
    )
    there = [name for (name,) in await columns.fetchall()]
    for key in keys:
        if key not in there:
            raise DatabaseError(f"{table} has no column {key}; its columns are {', '.join(there)}")


async def publish(owner: "AsyncConnection", tables: Sequence[str], role: str, name: str) -> None:
    """Let the role read the tables, and publish them; nothing happens where that is so.

    Args:
        owner: who owns the tables, and may make things in the database.
        tables: each as ``schema.table``.
        role: who reads.
        name: of the publication, which is of these tables and no others afterwards.

    Raises:
        DatabaseError: there is no such role, or it may not read changes; or the owner may not do this.
    """
    from psycopg import errors, sql

    able = await _one(
        owner, "SELECT rolreplication AND rolcanlogin OR rolsuper FROM pg_roles WHERE rolname = %s", role
    )
    if not able:
        verb = "CREATE" if able is None else "ALTER"
        raise DatabaseError(
            f"PostgreSQL has no role {role} that may read changes. Who administers it makes one: "
            f"{verb} ROLE {role} LOGIN REPLICATION PASSWORD '…'; or name another with --role"
        )
    listed = sql.SQL(", ").join(sql.Identifier(*table.split(".")) for table in tables)
    schemas = {table.partition(".")[0] for table in tables}
    published = await owner.execute(
        "SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = %s", [name]
    )
    there = {table for (table,) in await published.fetchall()}
    exists = await _one(owner, "SELECT true FROM pg_publication WHERE pubname = %s", name)
    statements = [sql.SQL("GRANT SELECT ON {} TO {}").format(listed, sql.Identifier(role))]
    for schema in sorted(schemas):
        if not await _one(owner, "SELECT has_schema_privilege(%s, %s, 'USAGE')", role, schema):
            grant = sql.SQL("GRANT USAGE ON SCHEMA {} TO {}")
            statements.append(grant.format(sql.Identifier(schema), sql.Identifier(role)))
    if not exists:
        statements.append(sql.SQL("CREATE PUBLICATION {} FOR TABLE {}").format(sql.Identifier(name), listed))
    elif there != set(tables):
        statements.append(sql.SQL("ALTER PUBLICATION {} SET TABLE {}").format(sql.Identifier(name), listed))
    for statement in statements:
        try:
            await owner.execute(statement)
        except errors.InsufficientPrivilege as error:
            raise DatabaseError(
                f"{owner.info.user} may not do what is needed ({_said(error)}); have somebody do it who may: "
                f"{statement.as_string(owner)}"
            ) from error


async def unpublish(owner: "AsyncConnection", name: str) -> None:
    """Drop a publication; harmless where there is none."""
    from psycopg import sql

    await owner.execute(sql.SQL("DROP PUBLICATION IF EXISTS {}").format(sql.Identifier(name)))


async def slot_of(asking: "AsyncConnection", name: str, role: str | None = None) -> Slot | None:
    """How far a slot has been read; None where there is none.

    Any role may ask. Whether tables are being read it learns of itself, of roles that it is a member of, and
    as a member of pg_read_all_stats.

    Args:
        asking: to any database of the server.
        name: of the slot.
        role: who reads it; who asks, where it is none.
    """
    found = await asking.execute(
        "SELECT active, wal_status, pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint, "
        "pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint, safe_wal_size, "
        "(confirmed_flush_lsn - '0/0')::bigint, "
        "EXISTS (SELECT FROM pg_stat_activity WHERE usename = coalesce(%s, current_user) "
        "AND datname = database AND xact_start IS NOT NULL AND application_name LIKE 'Debezium %%') "
        "FROM pg_replication_slots WHERE slot_name = %s",
        [role, name],
    )
    row = await found.fetchone()
    if row is None:
        return None
    active, status, behind, kept, room, confirmed, snapshot = row
    lost = status == "lost"
    return Slot(active, status, None if lost else behind, None if lost else kept, room, confirmed, snapshot)


async def drop_slot(reader: "AsyncConnection", name: str) -> None:
    """Drop a slot, or PostgreSQL's log would be kept for it for ever; harmless where there is none.

    Whoever still reads it is disconnected.
    """
    await reader.execute(
        "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots "
        "WHERE slot_name = %s AND active_pid IS NOT NULL",
        [name],
    )
    await reader.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [name]
    )


async def _one(connection: "AsyncConnection", statement: str, *values: object) -> Any:
    row = await (await connection.execute(statement.encode(), values)).fetchone()
    return row[0] if row else None


def _said(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _plain(address: str) -> str:
    """An address without password, and without what libpq is told beside it."""
    return re.sub(r"(//[^:@/]*):[^@/]*@", r"\1@", address).partition("?")[0]
