"""``capture``: from a table of PostgreSQL to its topic, and to the page, by Debezium.

The writer, the reader of the topic and the listener to the page's stream are one process, and PostgreSQL is
on the same machine: one clock measures all ends.
"""

import asyncio
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
import numpy as np
import psutil
import psycopg
from confluent_kafka import Consumer
from numpy.typing import NDArray
from rich.console import Console

from bench.results import Goal, at_least, at_most, report
from bench.worker import Worker, deployment
from clickwarden import zstd
from clickwarden.errors import ClickwardenError
from clickwarden.kafka.topics import declare
from clickwarden.models import artefact, training
from clickwarden.models.dataset import read
from clickwarden.models.pipeline import Pipeline
from clickwarden.sandbox import shop
from clickwarden.sandbox.connect import Connect
from clickwarden.sandbox.orders import COLUMNS, Orders
from clickwarden.sandbox.postgres import Postgres
from clickwarden.sources import captured, debezium
from clickwarden.sources.connectors import Connectors

TABLE = "public.transactions"
SHIPPED = Path(__file__).parents[1] / "pipelines" / "fraud"
PARTITIONS, CARDS, RUN = 4, 5000, 100
CONNECT = "org.apache.kafka.connect.cli.ConnectDistributed"
#: What does not come in so long is missing, seconds.
PATIENCE = 120.0
#: Rows a second of which the latency is measured.
RATE = 500
#: Of these, frauds a second; and seconds that only customers order, which makes the cards' histories.
FRAUDS, WARM_UP = 4, 10
FILL = (
    "INSERT INTO transactions (card_id, amount) "
    f"SELECT 'card-' || i %% {CARDS}, (i %% 10000) / 100.0 FROM generate_series(1, %s) i"
)
ORDER = (
    f"INSERT INTO transactions ({', '.join(COLUMNS)}) "
    f"VALUES ({', '.join(['%s'] * len(COLUMNS))}) RETURNING tx_id"
)


class Came(NamedTuple):
    """Some records of the topic.

    Attributes:
        ids: of their rows.
        committed: when, epoch seconds by PostgreSQL.
        seen: when they were in our hands, epoch seconds.
        ordered: whether the rows of each card came in the order of their ids.
    """

    ids: NDArray[np.int64]
    committed: NDArray[np.float64]
    seen: NDArray[np.float64]
    ordered: bool

    def are(self, first: int, last: int) -> bool:
        """Whether they are the rows of these ids and all between, each once, in order."""
        return self.ordered and np.array_equal(np.sort(self.ids), np.arange(first, last + 1))


class _Envelope(msgspec.Struct):
    class _Row(msgspec.Struct):
        tx_id: int
        card_id: str

    class _Source(msgspec.Struct):
        ts_us: int

    after: _Row
    source: _Source


class Reader:
    """Reads the topic in a thread, from its beginning, as workers do."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"bench-{time.time_ns()}",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
                "topic.metadata.refresh.interval.ms": 200,
                "allow.auto.create.topics": False,
            }
        )
        self._consumer.subscribe([topic])
        self._came: list[tuple[bytes, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._ended.is_set():
            for message in self._consumer.consume(5000, timeout=0.02):
                value = message.value()
                if not message.error() and value is not None:
                    self._came.append((value, time.time()))
        self._consumer.close()

    def take(self, count: int) -> Came:
        """The next so many, or as many as come."""
        deadline = time.monotonic() + PATIENCE
        while len(self._came) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        came, self._came = self._came[:count], self._came[count:]
        decode = msgspec.json.Decoder(_Envelope).decode
        records = [decode(value) for value, _ in came]
        last: dict[str, int] = {}
        ordered = True
        for record in records:
            ordered = ordered and record.after.tx_id > last.get(record.after.card_id, 0)
            last[record.after.card_id] = record.after.tx_id
        return Came(
            np.array([record.after.tx_id for record in records], np.int64),
            np.array([record.source.ts_us for record in records]) / 1e6,
            np.array([seen for _, seen in came]),
            ordered,
        )

    def close(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()


class Stack:
    """PostgreSQL and Connect, started together as the demo does."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.postgres = Postgres(folder / "postgres", port=0)
        self.connect = Connect(folder / "connect", bootstrap, group=f"bench-{time.time_ns()}", port=0)

    def start(self) -> None:
        """Start both, with a shop."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda server: server.start(), (self.postgres, self.connect)))
        asyncio.run(shop.open_at(self.postgres))

    def stop(self) -> None:
        """Stop both."""
        self.connect.stop()
        self.postgres.stop()

    async def capture(self, prefix: str) -> None:
        """Capture the table anew; returns when its slot is read, or the table is."""
        password = self.postgres.password_of(shop.READER)
        secret = self.connect.secrets / prefix
        secret.touch(mode=0o600)
        secret.write_text(password)
        reading = self.postgres.url(shop.READER, shop.DATABASE)
        owning = self.postgres.url(shop.OWNER, shop.DATABASE)
        async with (
            Connectors(self.connect.url) as connectors,
            captured.connected(owning) as owner,
            captured.connected(reading) as reader,
        ):
            await captured.publish(owner, [TABLE], shop.READER, prefix)
            wanted = debezium.settings(
                prefix,
                [TABLE],
                host="127.0.0.1",
                port=self.postgres.port,
                database=shop.DATABASE,
                role=shop.READER,
                password=f"${{directory:{self.connect.secrets}:{prefix}}}",
                prefix=prefix,
                keys={TABLE: ["card_id"]},
                partitions=PARTITIONS,
                replication=1,
            )
            await connectors.put(prefix, wanted)
            deadline = time.monotonic() + PATIENCE
            while (slot := await captured.slot_of(reader, prefix)) is None or not (
                slot.active or slot.snapshot
            ):
                state = await connectors.state(prefix)
                if "FAILED" in (state.connector, *state.tasks) or time.monotonic() > deadline:
                    raise ClickwardenError(f"{prefix} does not read: {state}")
                await asyncio.sleep(0.02)

    async def release(self, prefix: str) -> None:
        """Capture it no more."""
        async with (
            Connectors(self.connect.url) as connectors,
            captured.connected(self.postgres.url(shop.READER, shop.DATABASE)) as reader,
        ):
            await connectors.remove(prefix)
            await captured.drop_slot(reader, prefix)

    def memory(self) -> int:
        """Bytes that both take, what is shared counted once (PSS)."""
        first = int((self.postgres.data / "cluster" / "postmaster.pid").read_text().split()[0])
        javas = (each for each in psutil.Process().children(recursive=True) if each.name() == "java")
        found = {each.pid: each for each in javas if CONNECT in each.cmdline()}
        server = psutil.Process(first)
        found |= {each.pid: each for each in (server, *server.children(recursive=True))}
        taken = 0
        for each in found.values():
            with suppress(psutil.NoSuchProcess):  # a connection's has ended
                taken += int(each.memory_full_info().pss)
        return taken

    @contextmanager
    def writing(self) -> Iterator["psycopg.Connection[Any]"]:
        """A connection of who owns the table."""
        with psycopg.connect(self.postgres.url(shop.OWNER, shop.DATABASE), autocommit=True) as connection:
            yield connection


def measure(bootstrap: str, folder: Path, rows: int, seconds: int) -> bool:
    """Capture so many rows, and what is written then; report; whether each came once, in order."""
    console = Console(stderr=True, highlight=False)
    stack = Stack(bootstrap, folder)
    begun = time.monotonic()
    try:
        stack.start()
        asyncio.run(stack.capture("first"))
        started = time.monotonic() - begun
        console.print(f"streaming after {started:.1f} s", style="dim")
        idle = stack.memory()
        asyncio.run(stack.release("first"))
        rates, full, right = _rates(stack, rows, console)
        delays, pace, all_came = _records(stack, seconds, console)
        told, all_told = _anomalies(stack, folder, seconds, console)
    finally:
        stack.stop()
    _report(rows, seconds, started, (idle, full), rates, pace, delays, told, right and all_came and all_told)
    return right and all_came and all_told


def _rates(stack: Stack, rows: int, console: Console) -> tuple[dict[str, float], int, bool]:
    """Rows a second of the snapshot, of one COPY and of many commits; memory; whether each came, in order."""
    rates: dict[str, float] = {}
    right = []
    with stack.writing() as owner:
        owner.execute(FILL, [rows])
        (newest,) = owner.execute("SELECT max(tx_id) FROM transactions").fetchone() or (0,)
        reader = Reader(stack.bootstrap, f"rates.{TABLE}")
        asyncio.run(stack.capture("rates"))

        def note(name: str, count: int, since: float) -> None:
            nonlocal newest
            came = reader.take(count)
            right.append(came.are(newest - count + 1, newest))
            rates[name] = len(came.ids) / float(came.seen.max() - (since or came.seen.min()))
            console.print(
                f"{name}: {rates[name]:,.0f} rows/s, {'right' if right[-1] else 'WRONG'}", style="dim"
            )
            newest += count

        note("snapshot", rows, 0)
        part = max(RUN, rows // 10 // RUN * RUN)
        newest += part - rows
        with owner.cursor() as cursor, cursor.copy("COPY transactions (card_id, amount) FROM STDIN") as copy:
            for number in range(part):
                copy.write_row((f"card-{number % CARDS}", "1.25"))
        note("one COPY", part, 0)
        begun = time.time()
        for _ in range(part // RUN):
            owner.execute(FILL, [RUN])
        note(f"commits of {RUN} rows", part, begun)
        reader.close()
        memory = stack.memory()
    asyncio.run(stack.release("rates"))
    return rates, memory, all(right)


def _records(stack: Stack, seconds: int, console: Console) -> tuple[NDArray[np.float64], float, bool]:
    """Milliseconds from each commit to its record; commits a second; whether each came once, in order."""
    with stack.writing() as owner:
        owner.execute("TRUNCATE transactions")
        reader = Reader(stack.bootstrap, f"delays.{TABLE}")
        asyncio.run(stack.capture("delays"))
        count = RATE * seconds
        begun = time.monotonic()
        for number in range(count):
            owner.execute(FILL, [1])
            time.sleep(max(0.0, begun + (number + 1) / RATE - time.monotonic()))
        took = time.monotonic() - begun
        came = reader.take(count)
        reader.close()
    asyncio.run(stack.release("delays"))
    found = np.sort(came.seen - came.committed) * 1000
    console.print(f"{count / took:,.0f} commits/s, p50 {np.percentile(found, 50):.0f} ms", style="dim")
    return found, count / took, came.ordered and len(set(came.ids.tolist())) == len(came.ids) == count


def _anomalies(
    stack: Stack, folder: Path, seconds: int, console: Console
) -> tuple[NDArray[np.float64], bool]:
    """Milliseconds from the commit of a fraud to its anomaly on the page's stream; whether all were told."""
    with stack.writing() as owner:
        owner.execute("TRUNCATE transactions")
    asyncio.run(stack.capture("told"))
    settings = deployment(stack.bootstrap, PARTITIONS, folder)
    settings = settings.model_copy(update={"pipelines": str(folder / "fraud"), "web_port": _free_port()})
    sample = _learn(folder / "fraud")
    asyncio.run(declare(settings))
    orders = Orders(sample, time.time(), Random(7))
    frauds: dict[str, float] = {}
    with Worker(settings) as worker:
        deadline = time.monotonic() + PATIENCE
        while worker.status()["state"] != "ready" and time.monotonic() < deadline:
            worker.check_alive()
            time.sleep(0.1)
        listener = Listener(settings.web_port)
        with stack.writing() as owner:
            begun = time.monotonic()
            for number in range(RATE * (WARM_UP + seconds)):
                steals = number >= RATE * WARM_UP and not number % (RATE // FRAUDS)
                order = orders.stolen(time.time()) if steals else orders.usual(time.time())
                (row_id,) = owner.execute(ORDER, order).fetchone() or (0,)
                if steals:
                    frauds[str(row_id)] = time.time()
                time.sleep(max(0.0, begun + (number + 1) / RATE - time.monotonic()))
        heard = listener.hear(frauds)
    asyncio.run(stack.release("told"))
    told = np.sort([(heard[row_id] - frauds[row_id]) * 1000 for row_id in heard])
    console.print(f"{len(told):,} of {len(frauds):,} frauds told", style="dim")
    return told, len(told) == len(frauds)


def _learn(folder: Path) -> list[dict[str, Any]]:
    """The pipeline of card transactions, of the captured table, with a model of the sample returned."""
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("model"))
    path = folder / "pipeline.toml"
    topic = f'topic = "told.{TABLE}"\nformat = "debezium"'
    lines = path.read_text().splitlines()
    path.write_text("\n".join(topic if line.startswith("topic") else line for line in lines))
    data = folder / "sample.ndjson"
    data.write_bytes(zstd.decompress((folder / "sample.ndjson.zst").read_bytes()))
    pipeline = Pipeline.load(folder)
    dataset = read(data, pipeline, None, lambda count: None)
    limit = training.limit(pipeline, dataset)
    parts = training.split(dataset)
    found = training.train("iforest", pipeline.feature_names, parts, limit, budgeted=True, seed=1)
    manifest = training.manifest_of(found, pipeline, dataset, limit, 1, time.time())
    artefact.save(pipeline, found.model, manifest, {})
    return [json.loads(line) for line in data.read_bytes().splitlines()]


class Listener:
    """Hears the page's stream in a thread, and notes when it told of which record."""

    def __init__(self, port: int) -> None:
        self._heard: dict[str, float] = {}
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._connection.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        with self._connection.makefile("rb") as lines:
            for line in lines:
                now = time.time()
                if line.startswith(b"data: ") and b'"scored":{' in line:
                    record = json.loads(line.removeprefix(b"data: "))["scored"]["record_id"]
                    self._heard.setdefault(record, now)

    def hear(self, wanted: dict[str, float]) -> dict[str, float]:
        """When it told of these, as far as it does."""
        deadline = time.monotonic() + PATIENCE / 10
        while not wanted.keys() <= self._heard.keys() and time.monotonic() < deadline:
            time.sleep(0.05)
        self._connection.close()
        return {name: self._heard[name] for name in wanted if name in self._heard}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _report(
    rows: int,
    seconds: int,
    started: float,
    memory: tuple[int, int],
    rates: dict[str, float],
    pace: float,
    delays: NDArray[np.float64],
    told: NDArray[np.float64],
    right: bool,
) -> None:
    ranks = {
        name: np.percentile(found, (50, 99)).tolist()
        for name, found in (("record", delays), ("anomaly", told))
    }
    idle, full = (size / 1e6 for size in memory)
    shown = {
        "command to streaming": f"{started:.1f} s",
        "memory, idle / after the load": f"{idle:.0f} / {full:.0f} MB",
        **{name: f"{rate:,.0f} rows/s" for name, rate in rates.items()},
        "commits a second": f"{pace:,.0f}",
        **{f"commit to {name}, p50 / p99": f"{p50:.0f} / {p99:.0f} ms" for name, (p50, p99) in ranks.items()},
        "each row once, in order": "yes" if right else "NO",
    }
    snapshot, copy, commits = rates.values()
    goals: list[Goal] = [
        at_most("command to streaming, s", 10, started),
        at_most("PostgreSQL and Connect, MB", 500, max(idle, full)),
        at_least("rows/s of the snapshot", 20_000, snapshot),
        at_least("rows/s of one COPY", 24_000, copy),
        at_least(f"rows/s in commits of {RUN}", 24_000, commits),
        at_most("commit to record, p50 ms", 100, ranks["record"][0]),
        at_most("commit to record, p99 ms", 220, ranks["record"][1]),
        at_most("commit to anomaly, p50 ms", 200, ranks["anomaly"][0]),
        at_most("commit to anomaly, p99 ms", 500, ranks["anomaly"][1]),
    ]
    title = f"A table of {rows:,} rows, then {RATE} commits/s for {seconds} s, twice; {PARTITIONS} partitions"
    figures = {"rates": rates, "started": started, "idle": idle, "full": full, "pace": pace}
    figures |= {name: {"p50": p50, "p99": p99} for name, (p50, p99) in ranks.items()}
    report(
        "capture", title, [{"what": name, "figure": figure} for name, figure in shown.items()], goals, figures
    )
