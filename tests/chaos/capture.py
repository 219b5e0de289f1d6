"""Kill Connect, Kafka, PostgreSQL and the worker under load; then hold table, topic and anomalies together.

A table of payments is read by a snapshot, in whose midst Connect is killed first, and then written to: rows
come, are corrected, move to another card and go. The seed decides what is killed when. At the end the topic
must tell of each row once (`verify --table`), and each abnormal one must have been told of, and no other
(`verify PIPELINE`).
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from clickwarden.models.pipeline import Pipeline
from clickwarden.sandbox import shop
from clickwarden.sandbox.broker import Broker
from clickwarden.sandbox.connect import Connect
from clickwarden.sandbox.postgres import Postgres
from tests.capturing import Stack
from tests.chaos.timeline import Chronicle
from tests.pipelines import define, payments, train
from tests.site import Site, Worker, environment_of

KINDS = ("Connect", "Kafka", "PostgreSQL", "worker")
TABLE, PREFIX = "public.payments", "chaos"
PARTITIONS = 4
#: Rows of the table before it is captured, and of one commit.
SHARE, BATCH = 0.1, 100
#: Between two kills, at most, and how long what was killed is away, at most, seconds.
PAUSE, AWAY = 4.0, 3.0
#: Debezium tries each 10 s, behind a transaction that was open for 10 s.
WAIT_SECONDS = 300.0
INSERT = "INSERT INTO payments VALUES (%(id)s, %(card)s, %(at)s, %(amount)s, %(shop)s) ON CONFLICT DO NOTHING"


class Broken(Exception):
    """A promise is broken."""


class Writer(threading.Thread):
    """Writes to the table, so far as it is let, and again where it cannot know whether it has.

    Attributes:
        due: rows that are to be there.
        written: that are.
    """

    def __init__(self, stack: Stack, rows: list[dict[str, Any]], chance: Random) -> None:
        super().__init__(daemon=True)
        self.due = self.written = 0
        self._stack = stack
        self._rows = rows
        self._chance = chance

    def run(self) -> None:
        """Write until all is written."""
        while self.written < len(self._rows):
            batch = self._rows[self.written : self.written + BATCH]
            if self.written >= self.due:
                time.sleep(0.01)
                continue
            corrected, moved, gone = ([row["id"] for row in self._chance.sample(batch, 3)] for _ in range(3))
            while True:
                with suppress(psycopg.OperationalError), self.connected() as connection:
                    with connection.transaction(), connection.cursor() as cursor:
                        cursor.executemany(INSERT, batch)
                    # Of their own, so that a row which moves or goes has come.
                    connection.execute("UPDATE payments SET amount = 1 WHERE id = ANY (%s)", [corrected])
                    connection.execute("UPDATE payments SET card = 'moved' WHERE id = ANY (%s)", [moved])
                    connection.execute("DELETE FROM payments WHERE id = ANY (%s)", [gone])
                    break
                time.sleep(0.2)
            self.written += len(batch)

    def connected(self) -> "psycopg.Connection[Any]":
        """To the table, as its owner."""
        return psycopg.connect(self._stack.postgres.url(shop.OWNER, shop.DATABASE), autocommit=True)


class Siege:
    """The parts, and what befalls them."""

    def __init__(self, folder: Path, seed: int, kills: int, rows: int) -> None:
        self.timeline = Chronicle(folder / "timeline")
        self.random = Random(seed)
        self.killed = dict.fromkeys(KINDS, 0)
        self.deaths = self.vain = self.registered = 0
        self._folder, self._seed, self._kills = folder, seed, kills
        self.broker = Broker(folder / "kafka", port=0)
        values = payments(rows, seed=seed, cards=max(40, rows // 500))
        self._rows = [row for value in values if value != b"{" and "card" in (row := json.loads(value))]

    def run(self) -> dict[str, Any]:
        """Hold it, and return what was found."""
        with ExitStack() as running:
            running.callback(self.broker.kill)
            self.broker.start()
            postgres = Postgres(self._folder / "postgres", port=0)
            connect = Connect(self._folder / "connect", self.broker.bootstrap, group="chaos", port=0)
            running.callback(postgres.kill)
            running.callback(connect.kill)
            postgres.start()
            connect.start()
            asyncio.run(shop.open_at(postgres))
            self.stack = Stack(postgres, connect)
            self.writer = Writer(self.stack, self._rows, Random(self._seed))
            self._fill()
            self.site, self.pipeline = self._site(self._folder)
            self._capture()
            self.worker = self.site.start()
            running.callback(lambda: self.worker.kill())
            self.writer.start()
            self._besiege()
            return self._verify()

    def _fill(self) -> None:
        with self.writer.connected() as owner:
            owner.execute(
                "CREATE TABLE payments (id text PRIMARY KEY, card text, at float8, amount numeric, shop text)"
            )
            owner.execute("ALTER TABLE payments REPLICA IDENTITY FULL")
            first = int(len(self._rows) * SHARE) // BATCH * BATCH
            with owner.transaction(), owner.cursor() as cursor:
                cursor.executemany(INSERT, self._rows[:first])
            self.writer.due = self.writer.written = first
            self.timeline.note(f"{first:,} rows before the capture")

    def _site(self, folder: Path) -> tuple[Site, Pipeline]:
        definition = folder / "payments"
        define(definition, f"{PREFIX}.{TABLE}")
        file = definition / "pipeline.toml"
        file.write_text(file.read_text().replace("version = 1", 'version = 1\nformat = "debezium"'))
        pipeline = Pipeline.load(definition)
        train(pipeline)
        watching = {
            "connect_url": self.stack.connect.url,
            "capture_database": self.stack.postgres.address(shop.READER, shop.DATABASE),
        }
        os.environ["PGPASSFILE"] = str(self.stack.postgres.passwords)
        site = Site(
            self.broker.bootstrap, folder, pipelines=str(definition), partitions=PARTITIONS, **watching
        )
        return site, pipeline

    def _register(self) -> str:
        """Register the table, or start its task again; what is wrong with that, else nothing."""
        options = (TABLE, "--key", "card", "--prefix", PREFIX, "--name", PREFIX)
        done = self.stack.command("register", *options, CLICKWARDEN_PARTITIONS=str(PARTITIONS))
        return done.stderr if done.returncode else ""

    def _capture(self) -> None:
        """Register the table, and kill Connect while its rows are read."""
        if wrong := self._register():
            raise Broken(wrong)
        self.stack.connect.kill()
        self.timeline.note("Connect killed in the midst of the snapshot, or close to it")
        self.stack.connect.start()

    def _besiege(self) -> None:
        order = [kind for kind in KINDS for _ in range(self._kills)]
        self.random.shuffle(order)
        for number, kind in enumerate(order, 1):
            self.writer.due = int(len(self._rows) * (SHARE + (1 - SHARE) * number / len(order)))
            time.sleep(self.random.uniform(0, PAUSE))  # the moment is what is drawn
            away = self.random.uniform(0, AWAY)
            began = time.monotonic()
            self._kill(kind, away)
            self.killed[kind] += 1
            self.timeline.note(
                f"{number}/{len(order)} {kind} killed, away {away:.1f} s, started in "
                f"{time.monotonic() - began - away:.1f} s; {self.writer.written:,} rows"
            )
            self._tend()
            self._sees()
        self.writer.due = len(self._rows)
        self._until(lambda: self.writer.written == len(self._rows), "all is written")

    def _kill(self, kind: str, away: float) -> None:
        if kind == "worker":
            self.worker.kill()
            time.sleep(away)
            self.worker = self.site.launch()
            return
        server: Any = {
            "Connect": self.stack.connect,
            "Kafka": self.broker,
            "PostgreSQL": self.stack.postgres,
        }[kind]
        server.kill()
        time.sleep(away)
        server.start()

    def _tend(self) -> None:
        """Start the worker again, where it has died of what befell the others."""
        if self.worker.alive:
            return
        code, log = self.worker.failed()
        if code == 1 and "Kafka does not answer" in log.rstrip().rpartition("\n")[2]:
            self.timeline.note("the worker was just starting when Kafka was killed")
            self.vain += 1
        else:
            self.timeline.note(f"the worker died, exit code {code}")
            self.deaths += 1
        self.worker = self.site.launch()

    def _until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            self._tend()
            if time.monotonic() > deadline:
                raise Broken(f"not within {WAIT_SECONDS:.0f} s: {what}")
            time.sleep(0.1)

    def _sees(self) -> bool:
        """Whether changes come, by the worker's word; does what it says where Connect gave the task up.

        That happens to a task that is just starting when PostgreSQL is killed: Connect does not try again.
        """
        blinding = _blinding(self.worker)
        if blinding is not None and any("has failed" in summary for summary in blinding):
            self.timeline.note(f"registered again: {'; '.join(blinding)}")
            self.registered += 1
            self._register()
        return blinding == []

    def _verify(self) -> dict[str, Any]:
        self._until(self._sees, "the worker is no longer blind")
        table = self._run(
            *("verify", "--table", TABLE, "--topic", f"{PREFIX}.{TABLE}", "--slot", PREFIX, "--json"),
        )
        self._until(lambda: not self.site.behind(self.pipeline.topic), "all is scored")
        scored = self._run("verify", str(self.pipeline.folder), "--json")
        return {"table": table, "scored": scored}

    def _run(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "faust", "-A", "app", *arguments],
            env=os.environ | environment_of(self.site.settings),
            capture_output=True,
            text=True,
        )
        if not done.stdout:
            raise Broken(f"{' '.join(arguments)}: {done.stderr}")
        return {"code": done.returncode, **json.loads(done.stdout)}


def _blinding(worker: Worker) -> list[str] | None:
    """What the worker says that keeps changes from coming; None where it says nothing yet."""
    with suppress(OSError):
        now = worker.ask("/api/v1/now")[1]
        if now["health"]["captures"]:
            return [finding["summary"] for finding in now["health"]["findings"] if finding["blinds"]]
    return None


def main() -> None:
    """Hold the siege; exit code 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.capture", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="drawn if left out")
    parser.add_argument("--kills", type=int, default=5, help="of each of the four (5)")
    parser.add_argument("--rows", type=int, default=50_000, help="of the table, with those that go (50000)")
    given = parser.parse_args()
    again = f"make capture SEED={given.seed} KILLS={given.kills} ROWS={given.rows}"
    print(again, flush=True)
    folder = Path(tempfile.mkdtemp(prefix="clickwarden-capture-"))
    siege = Siege(folder, **vars(given))
    try:
        found = siege.run()
    except Broken as error:
        sys.exit(f"broken: {error}; logs in {folder}; {again}")
    table, scored = found["table"], found["scored"]
    rows = {
        name: table[name] for name in ("rows", "missing", "extra", "twice", "unborn", "repeated", "vanished")
    }
    frauds = {name: scored[name] for name in ("expected", "reported", "missing", "invented", "conflicting")}
    print(
        f"killed: {siege.killed}; starts in vain: {siege.vain}; registered again: {siege.registered}; "
        f"deaths unbidden: {siege.deaths}"
    )
    print(f"rows: {rows}", f"records: {table['records']}", f"anomalies: {frauds}", sep="\n")
    if table["code"] or scored["code"] or not scored["expected"] or siege.deaths:
        sys.exit(
            f"a promise is broken, exit codes {table['code']} and {scored['code']}; logs in {folder}; {again}"
        )
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
