"""The compose demo as its own project, and what is asked of it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from time import monotonic, sleep
from typing import Any

from tests.docker.engine import Engine

Ran = CompletedProcess[str]

#: Not the name a demo of somebody's would have: this one is removed with what it has stored.
PROJECT = "clickwarden-check"
TOKEN = "chosen-for-the-check"
PAGE, PROMETHEUS = 6066, 9090
SERVICES = ("kafka", "worker", "simulator", "alerts")
#: No shopper clicks more than three times in ten seconds, and some do all the time.
BUSY = b"""
[[rule]]
name = "busy-shopper"
description = "More than most shoppers do in ten seconds"
category = "bot"
window = 10
threshold = 2
"""
#: Runs in a container of ours: what is answered to who has the token, or has none.
ASK = """
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen
headers = {"Authorization": "Bearer " + sys.argv[2]} if sys.argv[2] else {}
try:
    with urlopen(Request("http://127.0.0.1:" + sys.argv[1], headers=headers), timeout=3) as answer:
        print(answer.status, answer.read().decode())
except HTTPError as error:
    print(error.code, error.read().decode())
"""


class Demo:
    """The demo in an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def compose(self, *arguments: str, token: str | None = TOKEN, stdin: bytes = b"") -> Ran:
        """Run a command of ``docker compose``, with the token in place of an .env."""
        environment = {"CLICKWARDEN_WEB_TOKEN": token or ""}
        # Named, for without the file the order in which services stop is that of the containers' labels.
        file = ("--file", f"{self.engine.checkout}/docker-compose.yml", "--env-file", "/dev/null")
        options = ("--project-name", PROJECT, "--ansi", "never", "--progress", "plain")
        command = ("compose", *options, *file, *arguments)
        return self.engine.docker(*command, environment=environment, stdin=stdin)

    def faust(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run one of our commands in the worker's container."""
        return self.compose("exec", "-T", "worker", "faust", "-A", "app", *arguments, stdin=stdin)

    def ask(self, path: str, *, port: int = PAGE, token: str = TOKEN) -> tuple[int, str]:
        """Status and body of what a port of the engine's machine answers; 0 where nobody does."""
        options = ("--rm", "--network", "host", "--cap-drop", "ALL")
        done = self.engine.docker("run", *options, "clickwarden", "python", "-c", ASK, f"{port}{path}", token)
        status, _, body = done.stdout.partition(" ")
        return (int(status), body) if status.isdecimal() else (0, done.stdout)

    def hear(self, path: str) -> str:
        """What the worker answers in its own container; nothing, if it does not."""
        done = self.compose("exec", "-T", "worker", "python", "-c", ASK, f"{PAGE}{path}", TOKEN)
        return done.stdout if done.stdout.startswith("200 ") else ""

    def is_ready(self) -> bool:
        """Whether the worker counts."""
        return '"ready"' in self.hear("/ready")

    def logs(self, *services: str) -> list[str]:
        """What these services have said, a line each."""
        return self.compose("logs", "--no-color", "--no-log-prefix", *services).stdout.splitlines()

    def state(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        found = self.engine.docker("inspect", f"{PROJECT}-{service}-1")
        states: list[dict[str, Any]] = json.loads(found.stdout) if not found.returncode else [{}]
        return states[0]

    def restarts(self, service: str) -> int:
        """How often the engine has started a service again."""
        return int(self.state(service)["RestartCount"])

    def serves(self) -> bool:
        """Whether Kafka does, by its health check."""
        return bool(self.state("kafka")["State"]["Health"]["Status"] == "healthy")

    def kill(self, service: str) -> None:
        """SIGKILL to its first process, not by the engine: for that it would not be started again."""
        pid = self.state(service)["State"]["Pid"]
        options = ("--rm", "--pid", "host", "--user", "root", "--privileged")
        killing = f"import os; os.kill({pid}, 9)"
        self.engine.docker("run", *options, "clickwarden", "python", "-c", killing)

    def is_settled(self) -> bool:
        """Whether all clicks that are in Kafka are counted."""
        lags = [line for line in self.hear("/metrics").splitlines() if line.startswith("clickwarden_lag")]
        return bool(lags) and all(float(line.split()[-1]) == 0 for line in lags)

    def is_right(self) -> bool:
        """Whether every count is, by the oracle; what it says is printed where one is not.

        Nobody clicks meanwhile: who crosses a threshold by a click that is read no more looks invented.
        """
        self.compose("stop", "simulator")
        settled = within(30, self.is_settled)
        done = self.faust("verify")
        self.compose("start", "simulator")
        if done.returncode:
            print(done.stdout, flush=True)
        return settled and not done.returncode


def within(seconds: float, holds: Callable[[], object]) -> bool:
    """Whether something holds before so many seconds have gone."""
    deadline = monotonic() + seconds
    while not (so := bool(holds())) and monotonic() < deadline:
        sleep(0.3)
    return so


@contextmanager
def demo(engine: Engine) -> Iterator[Demo]:
    """The demo, of which nothing is there before, and nothing is left."""
    made = Demo(engine)
    profiles = ("--profile", "*")
    made.compose(*profiles, "down", "--volumes", "--remove-orphans")
    try:
        yield made
    finally:
        made.compose(*profiles, "down", "--volumes", "--remove-orphans")


def rules(checkout: Path) -> bytes:
    """The rules of the repository, and one that shoppers break."""
    return (checkout / "rules.toml").read_bytes() + BUSY
