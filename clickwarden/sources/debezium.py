"""The settings of Debezium's connector for PostgreSQL, each with its reason."""

from collections.abc import Mapping, Sequence

#: Messages of this prefix are written into PostgreSQL's log, and into no topic.
HEARTBEAT = "clickwarden-heartbeat"
#: The largest row that is told: 1 MiB, Kafka's, would end the connector for good.
ROW_BYTES = 8 * 1024 * 1024
CLASS = "io.debezium.connector.postgresql.PostgresConnector"


def settings(
    name: str,
    tables: Sequence[str],
    *,
    host: str,
    port: int,
    database: str,
    role: str,
    password: str,
    prefix: str,
    keys: Mapping[str, Sequence[str]],
    partitions: int,
    replication: int,
) -> dict[str, str]:
    """Of a connector that reads these tables.

    Args:
        name: of the publication and of the slot, too.
        tables: each as ``schema.table``; its topic is ``prefix.schema.table``.
        host: of PostgreSQL; with ``port`` and ``database`` what is read.
        port: of PostgreSQL.
        database: that has the tables.
        role: that reads them.
        password: what stands for it in Connect; not the password itself, which REST and a topic would tell.
        prefix: of the topics, of no other connector's.
        keys: columns of a table by which its records are keyed, so that what is of one card stays in order;
            the primary key, where it names none.
        partitions: of a topic that is missing.
        replication: copies that Kafka keeps of it.
    """
    keyed = ";".join(f"{table}:{','.join(columns)}" for table, columns in keys.items())
    given: dict[str, object] = {
        "connector.class": CLASS,
        "tasks.max": 1,  # a log is read by one
        "database.hostname": host,
        "database.port": port,
        "database.dbname": database,
        "database.user": role,
        "database.password": password,
        "topic.prefix": prefix,
        "table.include.list": ",".join(tables),
        **({"message.key.columns": keyed} if keyed else {}),
        # ---- PostgreSQL's side
        "plugin.name": "pgoutput",  # by default one that PostgreSQL does not have
        "publication.name": name,
        "publication.autocreate.mode": "disabled",  # by default one of all tables, by a superuser
        "slot.name": name,
        "slot.drop.on.stop": "false",  # else what is committed meanwhile is lost
        # First what is there. If the slot is lost later, it fails: when_needed would read everything again,
        # and what was deleted in between would never be told.
        "snapshot.mode": "initial",
        "offset.mismatch.strategy": "trust_offset",  # it checks that the slot is the one it read
        # ---- what a record says
        "decimal.handling.mode": "string",  # 12.30 is "12.30"; by default base64 of bytes without their scale
        "extended.headers.enabled": "false",  # 180 bytes on each record
        "skipped.operations": "none",  # by default nobody is told of a TRUNCATE
        # ---- how soon: so long it sleeps when it found nothing; by default 500
        "poll.interval.ms": 100,
        # ---- Kafka's side
        "topic.creation.default.partitions": partitions,
        "topic.creation.default.replication.factor": replication,
        # The time at which Kafka received it: what is from the future is judged by that.
        "topic.creation.default.message.timestamp.type": "LogAppendTime",
        # Three sizes that have to agree, or a large row, or many, end the connector.
        "topic.creation.default.max.message.bytes": ROW_BYTES,
        "producer.override.max.request.size": ROW_BYTES,
        "max.queue.size.in.bytes": 2 * ROW_BYTES,
        "max.batch.size": 1024,
        "producer.override.compression.type": "lz4",
        # ---- each change once, for who reads what is committed
        "exactly.once.support": "required",
        # For so long the open transaction of a killed worker hides what is behind it; by default 60 s.
        "producer.override.transaction.timeout.ms": 10_000,
        # ---- a quiet table must not hold PostgreSQL's log: a message in the log moves the slot on. It takes
        # no table and no right.
        "heartbeat.interval.ms": 5000,
        "heartbeat.action.query": f"SELECT pg_logical_emit_message(false, '{HEARTBEAT}', '')",
        "message.prefix.exclude.list": HEARTBEAT,
        # ---- behind an error of the network: again, for ever. No row is left out.
        "errors.max.retries": -1,
        "errors.tolerance": "none",
    }
    return {key: str(value) for key, value in given.items()}
