"""``scan --follow``: who is abnormal is said while the log grows, and nothing is lost when it is rotated."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

T = 1_431_936_300  # 2015-05-18T08:05:00Z, start of a window of 60 s
LINE = '{} - - [18/May/2015:08:{:02d}:{:02d} +0000] "GET /p/{} HTTP/1.1" 200 17 "-" "-"\n'
COMMAND = (sys.executable, "-m", "faust", "-A", "app", "scan", "--follow", "--json")


def lines(user: str, count: int, second: int) -> str:
    return "".join(LINE.format(user, *divmod(5 * 60 + second, 60), n) for n in range(count))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "rules.toml").write_text('[[rule]]\nname = "bot"\nwindow = 60\nthreshold = 50\n')
    others = {name: value for name, value in os.environ.items() if not name.startswith("CLICKWARDEN_")}
    given = {"RULES": str(tmp_path / "rules.toml"), "IDLE_TIMEOUT": "0.5", "LATENESS": "0"}
    return others | {f"CLICKWARDEN_{name}": value for name, value in given.items()}


class Following:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def next(self) -> tuple[str, str, int]:
        """Status, user and count of the next anomaly, waited for."""
        assert self.process.stdout is not None
        anomaly: dict[str, Any] = json.loads(self.process.stdout.readline())
        return anomaly["status"], anomaly["user_id"], anomaly["count"]

    def interrupt(self) -> str:
        """Ctrl-C; what it says at the end."""
        self.process.send_signal(signal.SIGINT)
        out, said = self.process.communicate(timeout=60)
        assert (self.process.returncode, out) == (130, "")
        return said


@contextmanager
def following(path: Path, environment: dict[str, str]) -> Iterator[Following]:
    command = (*COMMAND, str(path))
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Following(process)
        finally:
            process.kill()


def test_an_attack_is_told_while_the_log_is_rotated(tmp_path: Path, environment: dict[str, str]) -> None:
    log = tmp_path / "access.log"
    with following(log, environment) as command:
        log.write_text(lines("203.0.113.7", 51, 10))
        assert command.next() == ("ongoing", "203.0.113.7", 51)
        with log.open("a") as old:
            log.rename(tmp_path / "access.log.1")
            log.write_text(lines("203.0.113.7", 5, 12))
            old.write(lines("203.0.113.7", 4, 11))
            old.flush()
            with log.open("a") as new:
                new.write(lines("203.0.113.9", 51, 70))
            told = {command.next(), command.next()}
        assert told == {("ongoing", "203.0.113.9", 51), ("closed", "203.0.113.7", 60)}
        said = command.interrupt()
    assert f"Following {log}, until Ctrl-C; no file is whole" in said
    assert "111 lines, 0 skipped; 2 incidents in 2 windows" in said


def test_silence_closes_a_window_and_a_late_line_corrects_it(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    log = tmp_path / "access.log"
    log.write_text(lines("203.0.113.7", 60, 59))
    with following(log, environment) as command:
        assert command.next()[:2] == ("ongoing", "203.0.113.7")
        assert command.next() == ("closed", "203.0.113.7", 60)
        with log.open("a") as file:
            file.write(lines("203.0.113.7", 3, 58))
        corrections = [command.next()]
        while corrections[-1][2] < 63:
            corrections.append(command.next())
        assert corrections[-1] == ("corrected", "203.0.113.7", 63)
        assert "63 lines, 0 skipped; 1 incident in 1 window; 3 late" in command.interrupt()


def test_lines_that_cannot_be_counted_are_said_while_it_follows(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    log = tmp_path / "access.log"
    log.write_text(lines("203.0.113.7", 10, 0))
    with following(log, environment) as command, log.open("a") as file:
        assert command.process.stderr is not None
        command.process.stderr.readline()
        file.write("nonsense\n" * 20)
        file.flush()
        assert "BLIND: 20 of the 30 records" in command.process.stderr.readline()


def test_a_pipe_ends_by_itself_and_closes_what_is_open(environment: dict[str, str]) -> None:
    done = subprocess.run(
        (*COMMAND, "-"), input=lines("203.0.113.7", 60, 0), env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(anomaly["status"], anomaly["count"]) for anomaly in found] == [("ongoing", 51), ("closed", 60)]


def test_people_are_shown_an_attack_when_it_begins_and_when_it_is_over(environment: dict[str, str]) -> None:
    with open(environment["CLICKWARDEN_RULES"], "a") as rules:
        rules.write("slide = 10\n")
    done = subprocess.run(
        [*COMMAND[:-1], "-"],
        input=lines("203.0.113.7", 60, 0),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    shown = [line.split() for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert [(words[0], words[4], words[5]) for words in shown] == [
        ("ongoing", "203.0.113.7", "51"),
        ("closed", "203.0.113.7", "60"),
    ]
    assert "the worst of 6 windows from 2015-05-18 08:04:10Z to 08:06:00Z" in done.stdout
    assert "60 lines, 0 skipped; 1 incident in 6 windows" in done.stderr


def test_only_one_file_is_followed(tmp_path: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        (*COMMAND, "a", "b"), env=environment, capture_output=True, text=True, cwd=tmp_path.parent
    )
    assert done.returncode == 1
    assert "--follow goes with one file, or with - for a pipe" in done.stderr
