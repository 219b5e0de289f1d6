"""A Clickwarden for one experiment: topics, tables and a page's port of its own."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from clickwarden.kafka import topics
from clickwarden.settings import PREFIX, Settings

#: Seconds a worker has to stop.
STOP_SECONDS = 30.0


class Deployment:
    """One worker at a time, and the commands, on the Kafka at ``bootstrap``.

    Args:
        bootstrap: Kafka's bootstrap servers, ``host:port,…``.
        folder: an empty or missing one; its name becomes part of the topics'.
        settings: others than the defaults.
    """

    def __init__(self, bootstrap: str, folder: Path, **settings: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        given: dict[str, Any] = {
            "broker": f"kafka://{bootstrap}",
            "app_id": folder.name,
            "clicks_topic": f"{folder.name}.clicks",
            "anomalies_topic": f"{folder.name}.anomalies",
            "data_dir": folder / "data",
            "worker_id": "worker",
            "standbys": 0,
            "web_port": _free_port(),
        } | settings
        self.settings = Settings(**given)
        self.log = folder / "worker.log"
        self._environment = os.environ | {PREFIX + name.upper(): str(value) for name, value in given.items()}

    async def declare(self) -> None:
        """Create the topics."""
        await topics.declare(self.settings)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the worker; what it logs is added to ``log``."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command("worker", "-l", "info"),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker that is stopped on exit."""
        process = self.start()
        try:
            yield process
        finally:
            stop(process)

    def run(self, *arguments: str) -> str:
        """What one of our commands prints.

        Raises:
            RuntimeError: it failed.
        """
        done = subprocess.run(
            self._command(*arguments),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(
                f"{arguments[0]} ended with exit code {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done.stdout

    def verdict(self) -> dict[str, Any]:
        """What ``verify --json`` prints, faults or not."""
        done = subprocess.run(
            self._command("verify", "--json"),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
        )
        verdict: dict[str, Any] = json.loads(done.stdout)
        return verdict

    async def all_final(self) -> None:
        """Wait until whatever an exact recount finds is reported with the figures of a closed window."""
        while True:
            verdict = await asyncio.to_thread(self.verdict)
            if verdict["final"] >= verdict["expected"]:
                return
            await asyncio.sleep(1)

    async def status(self) -> dict[str, Any] | None:
        """What the worker says of itself (:class:`agents.status.Status`); None where it does not answer."""
        url = f"http://127.0.0.1:{self.settings.web_port}/api/v1/status"
        timeout = aiohttp.ClientTimeout(total=1)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
                answer: dict[str, Any] = await response.json()
                return answer
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def answers(self) -> None:
        """Wait until the worker answers."""
        while True:
            if await self.status() is not None:
                return
            await asyncio.sleep(0.2)

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "faust", "-A", "app", *arguments]


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a worker: SIGTERM, and SIGKILL where that does not help."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
