"""``faust -A app postgres``: it says where it is, and leaves nothing running."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

GONE_SECONDS = 20


class Command:
    """The command as a terminal runs it, in a process group of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.said = ""
        for line in process.stdout:
            self.said += line
            if "stop it" in line:
                break
        started = psutil.Process(process.pid).children(recursive=True)
        self.children = [child for child in started if child.name() == "postgres"]
        assert self.children

    def rest(self) -> str:
        """What it prints until it ends."""
        return self.process.communicate(timeout=GONE_SECONDS)[0]

    def left(self) -> list[psutil.Process]:
        """The processes that outlived it; ended here, so that a red test leaves none."""
        alive: list[psutil.Process] = psutil.wait_procs(self.children, timeout=GONE_SECONDS)[1]
        for process in alive:
            process.kill()
        return alive


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    with subprocess.Popen(
        [sys.executable, "-m", "faust", "-A", "app", "postgres", "--port", "0", "--data", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Command(process)
        finally:
            process.kill()


def test_what_it_says_leads_to_the_table_and_ctrl_c_ends_it(command: Command, tmp_path: Path) -> None:
    said = re.search(r"export PGPASSFILE=(\S+)\s+\S+psql (postgresql://\S+)", command.said)
    assert said is not None
    connection = psycopg.connect(said[2], passfile=said[1])
    assert connection.execute("SELECT count(*) FROM transactions").fetchone() == (0,)
    os.killpg(command.process.pid, signal.SIGINT)
    assert "Stopping PostgreSQL" in command.rest()
    connection.close()  # who is connected is not waited for
    assert command.process.returncode == 0
    assert not command.left()
    assert "database system is shut down" in (tmp_path / "server.log").read_text()


def test_nothing_outlives_a_killed_command(command: Command) -> None:
    command.process.kill()
    assert not command.left()


def test_a_server_that_dies_ends_the_command(command: Command) -> None:
    command.children[0].kill()
    said = command.rest()
    assert "PostgreSQL died" in said
    assert "server.log ends:" in said
    assert command.process.returncode == 1
    assert not command.left()
