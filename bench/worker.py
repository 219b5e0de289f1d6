"""Workers in processes of their own, and how far they have come."""

import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bench.process import Mark, Process, mark, until
from clickwarden.settings import PREFIX, Settings

#: Kafka has none yet for the group, or is about to.
NO_COORDINATOR = (
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
    KafkaError._TIMED_OUT,
)
#: What the benchmark sets; the other settings are the reader's own.
OURS = (
    "broker",
    "app_id",
    "data_dir",
    "clicks_topic",
    "anomalies_topic",
    "partitions",
    "rules",
    "web_port",
    "standbys",
)


def deployment(bootstrap: str, partitions: int, folder: Path, **others: object) -> Settings:
    """Settings of a deployment that nobody else uses, on this machine."""
    name = f"bench-{uuid4().hex[:12]}"
    settings = Settings(
        broker=f"kafka://{bootstrap}",
        app_id=name,
        data_dir=folder / name,
        clicks_topic=f"{name}-clicks",
        anomalies_topic=f"{name}-anomalies",
        partitions=partitions,
        standbys=0,
    )
    return settings.model_copy(update=others)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Worker(Process):
    """``faust -A app worker``."""

    def __init__(self, settings: Settings) -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        ours = [*OURS, *({"channels", "pipelines"} & settings.model_fields_set)]
        environment = {PREFIX + name.upper(): str(getattr(settings, name)) for name in ours}
        command = (sys.executable, "-m", "faust", "-A", "app", "worker", "-l", "info")
        super().__init__(command, settings.data_dir / "worker.log", os.environ | environment)
        self._settings = settings

    @property
    def web_port(self) -> int:
        """The port of its page."""
        port: int = self._settings.web_port
        return port

    def status(self) -> dict[str, Any]:
        """What it says of itself (:class:`agents.status.Status`)."""
        connection = HTTPConnection(self._settings.web_bind, self._settings.web_port, timeout=10)
        try:
            connection.request("GET", "/api/v1/status")
            status: dict[str, Any] = json.load(connection.getresponse())
        except (OSError, HTTPException):
            return {"state": "starting", "partitions": []}
        finally:
            connection.close()
        return status


class Crew:
    """The workers of one deployment; everything said of clicks is of all of them together."""

    def __init__(self, settings: Settings, size: int = 1) -> None:
        self._settings = settings
        folders = [settings.data_dir / f"worker-{number}" for number in range(1, size + 1)]
        self.workers = [
            Worker(settings.model_copy(update={"data_dir": folder, "web_port": _free_port()}))
            for folder in folders
        ]
        self._running = ExitStack()
        self._group = Consumer(
            {
                "bootstrap.servers": settings.bootstrap,
                "group.id": settings.app_id,
                "enable.auto.commit": False,
            }
        )

    def __enter__(self) -> Self:
        """Start the workers."""
        with ExitStack() as starting:
            for worker in self.workers:
                starting.enter_context(worker)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the workers."""
        self._running.close()
        self._group.close()

    @property
    def started(self) -> float:
        """When the last one was started."""
        return self.workers[-1].started

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition is true; see :func:`bench.process.until`."""
        until(condition, what, self.workers)

    def mark(self) -> Mark:
        """The moment now, and the CPU seconds that the workers used until now."""
        return mark(self.workers)

    def peak(self) -> int:
        """Most memory each has held, bytes, added up."""
        return sum(worker.peak() for worker in self.workers)

    def ready(self) -> bool:
        """Whether every partition is counted, and everybody has some."""
        statuses = [worker.status() for worker in self.workers]
        shares = [len(status["partitions"]) for status in statuses]
        return (
            all(status["state"] == "ready" for status in statuses)
            and sum(shares) == self._settings.partitions
            and min(shares) > 0
        )

    def answers(self) -> bool:
        """Whether the page of every worker answers."""
        return all(worker.status()["state"] != "starting" for worker in self.workers)

    def counted(self) -> int:
        """Clicks counted."""
        statuses = [worker.status() for worker in self.workers]
        return sum(partition["next_offset"] or 0 for status in statuses for partition in status["partitions"])

    def committed(self) -> int:
        """Clicks that a successor would not count again: snapshot and offset are durable."""
        topic, partitions = self._settings.clicks_topic, range(self._settings.partitions)
        places = [TopicPartition(topic, partition) for partition in partitions]
        try:
            positions = self._group.committed(places, timeout=10)
        except KafkaException as failed:
            if failed.args[0].code() not in NO_COORDINATOR:
                raise
            return 0
        return sum(max(0, position.offset) for position in positions)
