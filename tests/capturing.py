"""PostgreSQL, Kafka Connect and the commands, for the tests that capture tables."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from clickwarden.sandbox import shop
from clickwarden.sandbox.connect import Connect
from clickwarden.sandbox.postgres import Postgres


class Stack:
    """What captures, beside a Kafka."""

    def __init__(self, postgres: Postgres, connect: Connect) -> None:
        self.postgres = postgres
        self.connect = connect

    def command(self, action: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """``faust -A app connect ACTION``, on these."""
        database = (
            [] if action == "status" else ["--database", self.postgres.address(shop.OWNER, shop.DATABASE)]
        )
        where = ("--url", self.connect.url, "--data", str(self.connect.data))
        return self.run("connect", action, *where, *database, *options, **environment)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """``faust -A app …``, which finds the passwords."""
        return subprocess.run(
            [sys.executable, "-m", "faust", "-A", "app", *arguments],
            env=os.environ | {"PGPASSFILE": str(self.postgres.passwords)} | environment,
            capture_output=True,
            text=True,
        )

    def verify(self, *options: str) -> tuple[int, dict[str, Any]]:
        """Exit code and verdict of ``verify --table public.transactions``."""
        reader = self.postgres.address(shop.READER, shop.DATABASE)
        table = ("--table", "public.transactions", "--database", reader)
        broker = f"kafka://{self.connect.bootstrap}"
        done = self.run("verify", *table, "--json", *options, CLICKWARDEN_BROKER=broker)
        sys.stderr.write(done.stderr)  # which pytest shows for a test that failed
        return done.returncode, json.loads(done.stdout or "{}")

    def status(self) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and lines of ``status --json``."""
        done = self.command("status", "--json")
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


class Topic:
    """The records of a topic, in the order of each partition, read as workers do."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def take(self, count: int) -> list[ConsumerRecord[bytes, bytes]]:
        """The next so many."""
        return [await self._consumer.getone() for _ in range(count)]

    async def rest(self, seconds: float = 1.0) -> list[ConsumerRecord[bytes, bytes]]:
        """Those that are there already, or come within so long."""
        found = await self._consumer.getmany(timeout_ms=int(seconds * 1000))
        return [record for records in found.values() for record in records]


@asynccontextmanager
async def reading(bootstrap: str, topic: str) -> AsyncIterator[Topic]:
    """A topic from its beginning."""
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        metadata_max_age_ms=500,
    ) as consumer:
        yield Topic(consumer)


def told(record: ConsumerRecord[bytes, bytes]) -> dict[str, Any] | None:
    """What a record says, as JSON; None of a tombstone."""
    return None if record.value is None else json.loads(record.value)
