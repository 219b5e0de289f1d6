"""``faust -A app demo``: all of it in one go, on this machine."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import click
from faust.cli import option
from rich.console import Console

from app.main import settings
from clickwarden.errors import BrokerError, ClickwardenError
from clickwarden.kafka import topics
from clickwarden.sandbox import broker
from clickwarden.sandbox.connect import Connect
from clickwarden.sandbox.postgres import Postgres
from clickwarden.settings import PREFIX, WILDCARDS
from commands import captured
from commands.command import AsyncCommand

#: Seconds a part has to end before it is killed.
STOP_SECONDS = 20.0
LOG_TAIL = 15
#: Parts that may end by themselves, and those whose words are for the log.
ENDING, QUIET = ("simulate", "train", "connect"), ("worker", "train")


class Demo(AsyncCommand):
    """Start Kafka, the worker, shoppers and an attack, and show what is found.

    Nothing has to be running. The page's address is printed as soon as it
    answers, the anomalies as they come. Everything is kept in a temporary
    folder; Ctrl-C ends it all and removes it.
    """

    options = [  # noqa: RUF012
        option(
            "--duration",
            type=click.FloatRange(min=0),
            default=0.0,
            show_default=True,
            help="Seconds of traffic after which to stop. 0: Ctrl-C stops it.",
        ),
        option(
            "--capture",
            is_flag=True,
            help="In place of clicks, orders in PostgreSQL: captured by Debezium, and scored by a model that "
            "learns first what is usual. Needs the extras capture, learn and serve.",
        ),
    ]

    async def run(self, duration: float, capture: bool) -> None:
        """Run all of it until the time is over or a part ends."""
        console = Console(markup=False, highlight=False, soft_wrap=True)
        with TemporaryDirectory(prefix="clickwarden-demo-") as name, _kafka(Path(name), console) as kafka:
            folder = Path(name)
            overrides: dict[str, Any] = {
                "broker": f"kafka://{kafka.bootstrap}",
                "security_protocol": "PLAINTEXT",
                "replication": 1,
                "standbys": 0,
                "data_dir": folder / "worker",
                "web_port": _port(settings.web_port, console),
            }
            await topics.declare(settings.model_copy(update=overrides))
            environment = {PREFIX + name.upper(): str(value) for name, value in overrides.items()}
            parts = _Parts(folder, environment, console)
            try:
                parts.start("kafka", _watch(kafka))
                host = "127.0.0.1" if settings.web_bind in WILDCARDS else settings.web_bind
                page = f"http://{host}:{overrides['web_port']}/"
                if capture:
                    await self._show_captured(parts, page, duration, kafka, overrides["data_dir"], console)
                else:
                    await self._show(parts, page, duration, console)
            except ClickwardenError:
                kafka.check_alive()  # without it the others fall too, and perhaps first
                raise
            finally:
                # An interrupted shutdown would leave something running.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                console.print("Stopping")
                await parts.stop()
        console.print("Everything is stopped, and its data removed")

    async def _show_captured(
        self,
        parts: "_Parts",
        page: str,
        duration: float,
        kafka: broker.Broker,
        data: Path,
        console: Console,
    ) -> None:
        pipeline, sample = captured.pipeline(data.parent)
        parts.environment[f"{PREFIX}PIPELINES"] = str(pipeline)
        learning = parts.command("train", str(pipeline), "--data", str(sample))
        async with captured.running(data, kafka.bootstrap, learning, console) as (database, connect):
            register = ("register", captured.TABLE, "--key", "card_id", "--url", connect.url)
            parts.start("postgres", _watch(database))
            parts.start("connect", _watch(connect))
            await parts.first(parts.command("connect", *register))
            parts.environment |= captured.watching(database, connect)
            await self._open(parts, page, console)
            console.print("What is found shows there and here; Ctrl-C ends it all")
            await parts.first(captured.trade(database, captured.orders(sample), duration, console))

    async def _open(self, parts: "_Parts", page: str, console: Console) -> None:
        """Start the worker, and show what it finds."""
        console.print("Starting the worker")
        parts.start("worker", parts.command("worker", "-l", "info"))
        await parts.first(_answers(f"{page}health"))
        console.print(f"The page is at {page}")
        parts.start("alerts", parts.command("alerts", "--follow"))

    async def _show(self, parts: "_Parts", page: str, duration: float, console: Console) -> None:
        await self._open(parts, page, console)
        traffic = parts.command("simulate", "--duration", str(duration))
        console.print("What is found shows there and here: ongoing at once, closed with the minute's end")
        console.print("The true count is certainly between the two in brackets")
        console.print("Ctrl-C ends it all")
        await parts.first(traffic)


class _Parts:
    """The processes of the demo. Each logs to a file of its own."""

    def __init__(self, folder: Path, environment: dict[str, str], console: Console) -> None:
        self._folder = folder
        self.environment = os.environ | environment
        self._console = console
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, part: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(part, name=name))

    async def first(self, goal: Coroutine[Any, Any, None]) -> None:
        """Wait for the goal, unless a part ends before it: none should.

        Raises:
            ClickwardenError: a part, or what leads to the goal, has failed.
        """
        self.start("goal", goal)
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        self._tasks = [task for task in self._tasks if task not in done]
        for task in done:
            task.result()

    async def stop(self) -> None:
        for task in reversed(self._tasks):
            task.cancel()
            await asyncio.wait([task])

    async def command(self, name: str, *options: str) -> None:
        """Run one of our commands; what it prints goes to the console, the worker's to its log.

        Raises:
            ClickwardenError: it failed; with the end of its log.
        """
        path = self._folder / f"{name}.log"
        with path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "faust", "-A", "app", name, *options),
                stdin=DEVNULL,
                stdout=log if name in QUIET else PIPE,
                stderr=log,
                env=self.environment,
                start_new_session=True,  # the terminal's Ctrl-C is ours to pass on
            )
        try:
            if process.stdout:
                async for line in process.stdout:
                    self._console.print(line.decode(errors="replace").rstrip())
            code = await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        if code or name not in ENDING:
            lines = path.read_text(errors="replace").splitlines()
            raise ClickwardenError(
                "\n  ".join([f"{name} ended with exit code {code}; its log ends:", *lines[-LOG_TAIL:]])
            )


@contextmanager
def _kafka(folder: Path, console: Console) -> Iterator[broker.Broker]:
    """A broker on its usual ports, or on others where those are taken."""
    console.print(f"Starting Apache Kafka {broker.VERSION}")
    broker.jars()
    kafka = broker.Broker(folder / "broker")
    try:
        kafka.start()
    except BrokerError as error:
        console.print(f"{str(error).partition(';')[0]}; trying others")
        kafka = broker.Broker(folder / "broker", port=0)
        kafka.start()
    try:
        console.print(f"Kafka is at {kafka.bootstrap}")
        yield kafka
    finally:
        kafka.stop()


async def _watch(server: broker.Broker | Postgres | Connect) -> None:
    while True:
        server.check_alive()
        await asyncio.sleep(0.5)


async def _answers(address: str) -> None:
    """Wait until the worker answers; ``address`` is one that needs no token."""
    timeout = aiohttp.ClientTimeout(total=2)
    async with aiohttp.ClientSession(raise_for_status=True, timeout=timeout) as session:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(address):
                    return
            await asyncio.sleep(0.2)


def _port(wanted: int, console: Console) -> int:
    """The wanted port, or the next free one where that is taken."""
    for port in range(wanted, 2**16):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            if port != wanted:
                console.print(f"port {wanted} is taken; the page takes {port}")
            return port
    raise ClickwardenError(f"{PREFIX}WEB_PORT={wanted}: no port from there on is free")
