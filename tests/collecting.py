"""Collectors in processes of their own, and what they put into the topic."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

from clickwarden.kafka.reader import reader, to_end
from clickwarden.settings import PREFIX, Settings
from tests.site import environment_of, faust

START_SECONDS = 60.0
ACKNOWLEDGED = "clickwarden_collect_acknowledged_total "


def own(bootstrap: str, folder: Path, **more: Any) -> Settings:
    """Settings with topics and a port that nobody else has."""
    name = uuid4().hex[:8]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Settings(
        broker=f"kafka://{bootstrap}",
        clicks_topic=f"c-{name}",
        anomalies_topic=f"a-{name}",
        data_dir=folder / "data",
        collect_port=port,
        **more,
    )


async def arrived(settings: Settings) -> list[dict[str, Any]]:
    """The clicks in the topic, each user's in order."""
    async with reader(settings, settings.clicks_topic) as consumer:
        return [json.loads(record.value) async for _, run in to_end(consumer) for record in run]


def acknowledged(settings: Settings) -> int:
    """Clicks that Kafka has, as a collector says."""
    headers = {"Authorization": f"Bearer {settings.collect_token.get_secret_value()}"}
    request = Request(f"http://127.0.0.1:{settings.collect_port}/metrics", headers=headers)
    with urlopen(request, timeout=10) as answer:
        (line,) = (line for line in answer.read().decode().splitlines() if line.startswith(ACKNOWLEDGED))
    return int(float(line.split()[1]))


@contextmanager
def command(settings: Settings, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """``collect`` in a process of its own, which answers; it is killed at the end."""
    given = environment_of(settings) | {f"{PREFIX}COLLECT_TOKEN": settings.collect_token.get_secret_value()}
    with faust("collect", *arguments, environment=given, folder=folder) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _answers(settings.collect_port):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
