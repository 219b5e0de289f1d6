"""``faust -A app connect``: tables of PostgreSQL into topics, by Debezium in Kafka Connect."""

import asyncio
import logging
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import click
import msgspec
from faust.cli import AppCommand, argument, option
from rich.console import Console

from app.main import settings
from clickwarden.errors import BrokerError, DatabaseError, SettingsError
from clickwarden.kafka import topics
from clickwarden.sandbox import connect as server
from clickwarden.sandbox import shop
from clickwarden.sandbox.postgres import Postgres
from clickwarden.settings import PREFIX
from clickwarden.sources import captured, debezium
from clickwarden.sources.captured import Slot, connected, faults
from clickwarden.sources.connectors import Connectors, State
from commands.command import Action, group
from commands.serving import serve

console = Console(highlight=False, markup=False, soft_wrap=True)

#: As slots of PostgreSQL may be called.
NAME = re.compile(r"[a-z0-9_]{1,63}")
TABLE = re.compile(r"\w+\.\w+")
#: How long it may take until a connector has its slot, or has failed.
SETTLED_SECONDS = 60.0

DATA = option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=settings.data_dir / "connect",
    show_default=True,
    help="Folder of Connect's log, its plug-in and the passwords of databases.",
)
#: Where commands ask it, if nobody says.
WHERE = settings.connect_url or f"http://127.0.0.1:{server.PORT}"
URL = option(
    "--url",
    default=WHERE,
    show_default=True,
    help="Where Connect's REST answers.",
)
DATABASE = option(
    "--database",
    default="",
    metavar="URL",
    help="postgresql://OWNER@HOST:PORT/NAME, as who owns the tables; passwords are in the file that "
    "PGPASSFILE names (~/.pgpass). Default: what 'faust -A app postgres' runs.",
)


class Serve(AppCommand):  # type: ignore[misc]
    """What it does where no action is named."""

    abstract = True

    options = [  # noqa: RUF012
        DATA,
        option(
            "--port",
            type=click.IntRange(0, 65_000),
            default=server.PORT,
            show_default=True,
            help="Port of its REST, which listens on 127.0.0.1 alone. 0: any that is free.",
        ),
    ]

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Run until a signal comes or it dies."""
        if settings.security_protocol != "PLAINTEXT":
            sys.exit(
                f"clickwarden: {PREFIX}SECURITY_PROTOCOL={settings.security_protocol}: this Connect is for "
                "a Kafka without TLS and passwords; beside another, run the cluster's own Kafka Connect with "
                "the settings of docs/capture.md"
            )
        worker = server.Connect(
            self.kwargs["data"],
            settings.bootstrap,
            group=f"{settings.app_id}-connect",
            replication=settings.replication,
            port=self.kwargs["port"],
        )

        def start() -> None:
            asyncio.run(_reach_kafka())
            server.jars()
            with console.status(f"Starting {server.NAME}"):
                worker.start()
            console.print(f"{server.NAME} with Debezium {server.DEBEZIUM} is ready at {worker.url}")
            where = "" if worker.url == WHERE else f" --url {worker.url}"
            console.print(f"  capture  faust -A app connect register SCHEMA.TABLE --key COLUMN{where}")
            console.print(f"  look     faust -A app connect status{where}")
            console.print(f"  log      {worker.log}")
            console.print("  stop it  Ctrl-C, before Kafka")

        serve(worker, "Kafka Connect", console, start)


connect = group(
    "connect",
    """Bring tables of PostgreSQL into topics: Kafka Connect with Debezium.

    Without an action it runs Kafka Connect on this machine until Ctrl-C; the
    first start downloads it (about 50 MB). Actions work on one that runs.
    """,
    alone=Serve,
)


class Register(Action):
    """Capture tables: what is in them, and then each change.

    Each TABLE is SCHEMA.TABLE, and becomes the topic PREFIX.SCHEMA.TABLE. What
    PostgreSQL needs for it is done in SQL, by who owns the tables: the role
    that reads may read them, and a publication names them. A table that does
    not say what its rows were before a change is refused, with the statement
    that mends it. Said again, it changes settings, and starts what has failed.
    """

    group, action = connect, "register"
    options = [  # noqa: RUF012
        argument("tables", nargs=-1, required=True, metavar="TABLE..."),
        option(
            "--key",
            default="",
            metavar="COLUMN",
            help="Column of the tables by which records are keyed: what is of one value stays in order, as "
            "the key of a pipeline, or the user of clicks, must. Default: the primary key.",
        ),
        option(
            "--name", default=shop.PUBLICATION, show_default=True, help="Of connector, slot and publication."
        ),
        option("--prefix", default="debezium", show_default=True, help="What the topics' names begin with."),
        option("--role", default=shop.READER, show_default=True, help="Role of PostgreSQL that reads."),
        DATABASE,
        DATA,
        URL,
    ]

    async def run(
        self,
        tables: Sequence[str],
        key: str,
        name: str,
        prefix: str,
        role: str,
        database: str,
        data: Path,
        url: str,
    ) -> None:
        """Prepare PostgreSQL, make the connector, and see that it begins."""
        _check_names(tables, name)
        keys = {table: [key] for table in tables} if key else {}
        address = database or _development()
        async with Connectors(url) as connectors, connected(address) as owner:
            await _check_free(connectors, name, prefix, tables)
            await captured.check(owner, tables, keys, name)
            await captured.publish(owner, tables, role, name)
            async with connected(address, user=role) as reader:
                where = captured.where(reader)
                wanted = debezium.settings(
                    name,
                    tables,
                    host=where.host,
                    port=where.port,
                    database=where.database,
                    role=role,
                    password=_put_secret(data, name, where.password),
                    prefix=prefix,
                    keys=keys,
                    partitions=settings.partitions,
                    replication=settings.replication,
                )
                await connectors.put(name, wanted)
                if "FAILED" in (await connectors.state(name)).tasks:
                    await connectors.restart(name)
                state, slot = await _settled(connectors, reader, name)
        if wrong := faults(name, state, slot):
            raise BrokerError(f"{name} is registered, but: {' '.join(fault.text for fault in wrong)}")
        for table in tables:
            console.print(f"{table} is captured into {prefix}.{table}: what is there first, then each change")


class Status(Action):
    """What is captured, how far behind, and what is wrong.

    Exit code: 0 all is well; 1 something is not. With --json a line is a
    connector: name, state, tasks, tables, topics, slot (active, status, behind
    and kept in bytes of PostgreSQL's log, snapshot), wrong.
    """

    group, action = connect, "status"
    options = [option("--json", "as_json", is_flag=True, help="One JSON object a line."), DATA, URL]  # noqa: RUF012

    async def run(self, as_json: bool, data: Path, url: str) -> None:
        """Ask Connect, and PostgreSQL itself."""
        wrong = False
        async with Connectors(url) as connectors:
            names = await connectors.names()
            for name in names:
                config, state = await connectors.settings(name), await connectors.state(name)
                slot, faulty = await _judged(name, config, state, data)
                wrong = wrong or bool(faulty)
                if as_json or self.json:
                    _write(name, config, state, slot, faulty)
                else:
                    _show(name, config, state, slot, faulty)
        if not names and not (as_json or self.json):
            console.print("Nothing is captured; faust -A app connect register SCHEMA.TABLE")
        if wrong:
            sys.exit(1)


class Remove(Action):
    """Capture no more: remove connector, slot and publication.

    A slot that was left behind would have PostgreSQL keep its log for ever.
    The topics stay, and so do the tables and roles.
    """

    group, action = connect, "remove"
    options = [  # noqa: RUF012
        option(
            "--name", default=shop.PUBLICATION, show_default=True, help="Of connector, slot and publication."
        ),
        DATABASE,
        DATA,
        URL,
    ]

    async def run(self, name: str, database: str, data: Path, url: str) -> None:
        """Remove the connector first, or it would make the slot anew."""
        async with Connectors(url) as connectors:
            config = await connectors.settings(name)
            if not config:
                there = ", ".join(await connectors.names()) or "none"
                raise SettingsError(f"Connect has no connector {name}; it has: {there}")
            await connectors.remove(name)
        try:
            async with connected(_address(config), **_login(config, data)) as reader:
                await captured.drop_slot(reader, name)
            async with connected(database or _development()) as owner:
                await captured.unpublish(owner, name)
        except DatabaseError as error:
            raise DatabaseError(
                f"{name} is removed from Connect, but perhaps not from PostgreSQL, whose log then grows: "
                f"SELECT pg_drop_replication_slot('{name}'); DROP PUBLICATION {name}; ({error})"
            ) from error
        _secret(data, name).unlink(missing_ok=True)
        console.print(f"{name} is removed, and its slot and publication; its topics stay")


async def _reach_kafka() -> None:
    """See that Kafka is there: Connect takes a minute to say that it is not."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # we say it once
    async with topics.administration(settings):
        pass


def _check_names(tables: Sequence[str], name: str) -> None:
    for table in tables:
        if not TABLE.fullmatch(table):
            raise SettingsError(f"{table!r} is no table: write SCHEMA.TABLE, letters, digits and _ alone")
    if not NAME.fullmatch(name):
        raise SettingsError(f"--name {name!r}: PostgreSQL has slots of small letters, digits and _ alone")


async def _check_free(connectors: Connectors, name: str, prefix: str, tables: Sequence[str]) -> None:
    """See that nobody else writes to the topics, and that this connector has not other tables already."""
    for other in await connectors.names():
        config = await connectors.settings(other)
        if other != name and config.get("topic.prefix") == prefix:
            raise SettingsError(
                f"--prefix {prefix} is that of the connector {other}, whose topics would be mixed up with "
                "these; choose another"
            )
        if other == name and set(_tables(config)) != set(tables):
            raise SettingsError(
                f"{name} captures {', '.join(_tables(config))}, and what is in a further table already would "
                "not be read; register that with another --name and --prefix, or remove this one first"
            )


async def _settled(connectors: Connectors, reader: Any, name: str) -> tuple[State, Slot | None]:
    """As soon as somebody reads the slot, or Connect gave up, or after a while."""
    deadline = monotonic() + SETTLED_SECONDS
    while True:
        state = await connectors.await_settled(name, SETTLED_SECONDS)
        slot = await captured.slot_of(reader, name)
        if not faults(name, state, slot) or not state.runs or monotonic() > deadline:
            return state, slot
        await asyncio.sleep(0.2)


async def _judged(
    name: str, config: dict[str, str], state: State, data: Path
) -> tuple[Slot | None, list[str]]:
    try:
        async with connected(_address(config), **_login(config, data)) as reader:
            slot = await captured.slot_of(reader, config["slot.name"])
    except DatabaseError as error:
        return None, [str(error)]
    return slot, [fault.text for fault in faults(name, state, slot)]


def _development() -> str:
    """Where the owner finds the shop in PostgreSQL for development."""
    running = Postgres.running_in((settings.data_dir / "postgres").absolute())
    if running is None:
        raise DatabaseError(
            f"no PostgreSQL for development runs in {settings.data_dir / 'postgres'}: start it with "
            "'faust -A app postgres', or name a database with --database postgresql://OWNER@HOST:PORT/NAME"
        )
    return running.url(shop.OWNER, shop.DATABASE)


def _address(config: dict[str, str]) -> str:
    return (
        f"postgresql://{config['database.user']}@{config['database.hostname']}:{config['database.port']}/"
        f"{config['database.dbname']}"
    )


def _login(config: dict[str, str], data: Path) -> dict[str, str]:
    with suppress(OSError):
        return {"password": _secret(data, config["slot.name"]).read_text()}
    return {}


def _secret(data: Path, name: str) -> Path:
    return data.absolute() / "secrets" / name


def _put_secret(data: Path, name: str, password: str) -> str:
    """Have Connect find the password, and return what stands for it."""
    file = _secret(data, name)
    if not file.parent.is_dir():
        raise SettingsError(f"there is no Kafka Connect in {data}: name the --data that it was started with")
    file.touch(mode=0o600)
    file.write_text(password)
    return f"${{directory:{file.parent}:{name}}}"


def _tables(config: dict[str, str]) -> list[str]:
    return config.get("table.include.list", "").split(",")


def _topics(config: dict[str, str]) -> list[str]:
    return [f"{config.get('topic.prefix')}.{table}" for table in _tables(config)]


def _show(name: str, config: dict[str, str], state: State, slot: Slot | None, wrong: list[str]) -> None:
    console.print(f"{name}  {'something is wrong' if wrong else 'reads'}")
    for table, topic in zip(_tables(config), _topics(config), strict=True):
        console.print(f"  table    {table} of {_address(config)} into {topic}")
    console.print(f"  Connect  {state.connector}, tasks {', '.join(state.tasks) or 'none'}")
    if slot is not None:
        figures = (
            "" if slot.kept is None else f", {_megabytes(slot.behind)} behind, {_megabytes(slot.kept)} kept"
        )
        reads = "active" if slot.active else "waits for the snapshot" if slot.snapshot else "not read"
        console.print(f"  slot     {reads}, {slot.status}{figures}")
    for fault in wrong:
        console.print(f"  wrong    {fault}")


def _write(name: str, config: dict[str, str], state: State, slot: Slot | None, wrong: list[str]) -> None:
    said = {
        "name": name,
        "state": state.connector,
        "tasks": state.tasks,
        "tables": _tables(config),
        "topics": _topics(config),
        "slot": None if slot is None else slot._asdict(),
        "wrong": wrong,
    }
    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")


def _megabytes(size: int | None) -> str:
    return f"{(size or 0) / 1e6:.1f} MB"
