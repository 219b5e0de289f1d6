"""One worker in a process of its own, and how far it has come."""

import json
import os
import socket
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, TopicPartition

from app.settings import PREFIX, Settings
from bench.process import Process

#: What the benchmark sets; the other settings are the reader's own.
OURS = (
    "broker",
    "app_id",
    "data_dir",
    "clicks_topic",
    "anomalies_topic",
    "partitions",
    "web_port",
    "standbys",
)


def deployment(bootstrap: str, partitions: int, folder: Path) -> Settings:
    """Settings of a deployment that nobody else uses, on this machine."""
    name = f"bench-{uuid4().hex[:12]}"
    return Settings(
        broker=f"kafka://{bootstrap}",
        app_id=name,
        data_dir=folder / name,
        clicks_topic=f"{name}-clicks",
        anomalies_topic=f"{name}-anomalies",
        partitions=partitions,
        web_port=_free_port(),
        standbys=0,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Worker(Process):
    """``faust -A app worker``; everything said of clicks is of all partitions together."""

    def __init__(self, settings: Settings) -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        ours = {PREFIX + name.upper(): str(getattr(settings, name)) for name in OURS}
        command = (sys.executable, "-m", "faust", "-A", "app", "worker", "-l", "info")
        super().__init__(command, settings.data_dir / "worker.log", os.environ | ours)
        self._settings = settings
        self._group = Consumer(
            {
                "bootstrap.servers": settings.bootstrap,
                "group.id": settings.app_id,
                "enable.auto.commit": False,
            }
        )

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._group.close()

    def alive(self) -> bool:
        """Whether its page answers."""
        return str(self._status()["state"]) != "starting"

    def ready(self) -> bool:
        """Whether it counts every partition."""
        status = self._status()
        return status["state"] == "ready" and len(status["partitions"]) == self._settings.partitions

    def counted(self) -> int:
        """Clicks counted."""
        return sum(partition["next_offset"] or 0 for partition in self._status()["partitions"])

    def committed(self) -> int:
        """Clicks that a successor would not count again: snapshot and offset are durable."""
        topic, partitions = self._settings.clicks_topic, range(self._settings.partitions)
        positions = self._group.committed([TopicPartition(topic, each) for each in partitions], timeout=10)
        return sum(max(0, position.offset) for position in positions)

    def _status(self) -> dict[str, Any]:
        connection = HTTPConnection(self._settings.web_bind, self._settings.web_port, timeout=10)
        try:
            connection.request("GET", "/api/v1/status")
            status: dict[str, Any] = json.load(connection.getresponse())
        except (OSError, HTTPException):
            return {"state": "starting", "partitions": []}
        finally:
            connection.close()
        return status
