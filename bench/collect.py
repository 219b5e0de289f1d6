"""``collect``: clicks a second that one core takes over HTTP, puts on the disk and sends to Kafka.

The collector is alone on the first core; who sends, and Kafka, are on the others. Each of many connections
sends its next request when the one before is answered, as fast as it can.
"""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast
from urllib.request import Request, urlopen
from uuid import uuid4

import uvloop
from rich.console import Console

from bench.process import Process, until
from bench.results import at_least, report
from clickwarden.kafka.reader import reader, to_end
from clickwarden.settings import Settings

CONNECTIONS = 100
USERS = 2000
#: Clicks in a request.
SIZES = (1, 50)
TOKEN = "0123456789abcdef" * 2
PORT = 6068
ACKNOWLEDGED = "clickwarden_collect_acknowledged_total "


class _Run(NamedTuple):
    """Clicks that were acknowledged; seconds and CPU seconds until then, and until Kafka had them all."""

    clicks: int
    seconds: float
    cpu: float


class _Sender(asyncio.Protocol):
    """A connection that sends its next request when the one before is answered."""

    def __init__(self, requests: Iterator[bytes], ended: asyncio.Event) -> None:
        self._requests = requests
        self._ended = ended
        self.answered = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Count an answer, and ask again."""
        if not (data.startswith(b"HTTP/1.1 204") and data.endswith(b"\r\n\r\n")):
            self.done.set_exception(ValueError(data[:200]))
            self._transport.close()
            return
        self.answered += 1
        if self._ended.is_set():
            self._transport.close()
        else:
            self._transport.write(next(self._requests))

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        if not self.done.done():
            self.done.set_result(None)


def measure(bootstrap: str, folder: Path, seconds: int, runs: int) -> bool:
    """Send for so many seconds, with each size of request; report; whether Kafka got each click once."""
    console = Console(stderr=True, highlight=False)
    taken: dict[int, list[_Run]] = {size: [] for size in SIZES}
    right = True
    with _one_core_left() as core:
        for number, size in itertools.product(range(runs), SIZES):
            console.print(f"Run {number + 1} of {runs}: {size} a request", style="dim")
            run, arrived = _run(bootstrap, folder / f"{number}-{size}", core, size, seconds)
            taken[size].append(run)
            right &= arrived == run.clicks
    rows = [
        {
            "clicks a request": str(size),
            "clicks/s": f"{max(run.clicks / run.seconds for run in done):,.0f}",
            "CPU µs a click": f"{min(1e6 * run.cpu / run.clicks for run in done):.1f}",
            "clicks a CPU second": f"{_best(done):,.0f}",
        }
        for size, done in taken.items()
    ]
    goals = [at_least(f"clicks a CPU second, {size} a request", 5000, _best(taken[size])) for size in SIZES]
    title = f"{CONNECTIONS} connections for {seconds} s, the collector on one core; the best of {runs} runs"
    figures = {
        "runs": {size: [run._asdict() for run in done] for size, done in taken.items()},
        "right": right,
    }
    report("collect", title, rows, goals, figures)
    return right


@contextmanager
def _one_core_left() -> Iterator[int]:
    """A core that this process, which sends, keeps away from where there is another."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    try:
        yield cores[0]
    finally:
        os.sched_setaffinity(0, cores)


def _best(runs: Sequence[_Run]) -> float:
    return max(run.clicks / run.cpu for run in runs)


def _run(bootstrap: str, folder: Path, core: int, size: int, seconds: int) -> tuple[_Run, int]:
    """What was acknowledged, and how many clicks Kafka has."""
    folder.mkdir()
    given = {
        "broker": f"kafka://{bootstrap}",
        "clicks_topic": f"clicks-{uuid4().hex[:8]}",
        "data_dir": str(folder),
        "collect_port": str(PORT),
        "collect_token": TOKEN,
    }
    settings = Settings(_env_file=None, **given)  # type: ignore[arg-type]
    environment = os.environ | {f"CLICKWARDEN_{name.upper()}": value for name, value in given.items()}
    command = ["taskset", "-c", str(core), sys.executable, "-m", "faust", "-A", "app", "collect"]
    with Process(command, folder / "log", environment) as collector:
        until(_answers, "the collector answers", [collector])
        before = uvloop.run(_send(size, 1)) * size  # it has met its topic, and every line of code was run
        until(lambda: _acknowledged() == before, "Kafka has the first clicks", [collector])
        begin = collector.mark()
        clicks = uvloop.run(_send(size, seconds)) * size
        sent = collector.mark()
        until(lambda: _acknowledged() == before + clicks, "Kafka has all clicks", [collector])
        cpu = collector.mark().cpu - begin.cpu
        arrived = asyncio.run(_arrived(settings)) - before
    return _Run(clicks, sent.time - begin.time, cpu), arrived


def _answers() -> bool:
    try:
        return bool(urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5).status == 200)
    except OSError:
        return False


def _acknowledged() -> float:
    """Clicks that the collector says Kafka has."""
    request = Request(f"http://127.0.0.1:{PORT}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with urlopen(request, timeout=30) as answer:
        (line,) = (line for line in answer.read().decode().splitlines() if line.startswith(ACKNOWLEDGED))
    return float(line.split()[1])


async def _send(size: int, seconds: float) -> int:
    """How many requests were answered."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    requests = itertools.cycle(_requests(size))
    senders = [
        (await loop.create_connection(lambda: _Sender(requests, ended), "127.0.0.1", PORT))[1]
        for _ in range(CONNECTIONS)
    ]
    loop.call_later(seconds, ended.set)
    await asyncio.gather(*(sender.done for sender in senders))
    return sum(sender.answered for sender in senders)


def _requests(size: int) -> list[bytes]:
    """Requests of as many users, which name no time."""
    head = f"POST /clicks HTTP/1.1\r\nHost: collect\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: "
    made = []
    for first in range(USERS):
        clicks = [
            {"user_id": f"user-{(first + number) % USERS}", "event": "view", "product_id": f"product-{first}"}
            for number in range(size)
        ]
        body = json.dumps(clicks if size > 1 else clicks[0]).encode()
        made.append(f"{head}{len(body)}\r\n\r\n".encode() + body)
    return made


async def _arrived(settings: Settings) -> int:
    async with reader(settings, settings.clicks_topic) as consumer:
        return sum([len(run) async for _, run in to_end(consumer)])
