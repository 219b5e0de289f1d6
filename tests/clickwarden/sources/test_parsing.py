"""Files read in a process of their own: the same blocks, the same errors, and no process left behind."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clickwarden.errors import ClickwardenError
from clickwarden.formats.lines import Block
from clickwarden.formats.recognition import Reading
from clickwarden.settings import Settings
from clickwarden.sources import files, parsing

LINES = 20_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.ndjson"
    with path.open("w") as file:
        for number in range(LINES):
            file.write(json.dumps({"user_id": "ann", "event": "view", "timestamp": 1.6e9 + number}) + "\n")
            if number % 100 == 0:
                file.write("{}\n")
    return path


def children() -> set[int]:
    tasks = Path("/proc/self/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def blocks(path: Path) -> Iterator[Block]:
    yield from parsing.read_all([path], Settings(_env_file=None), Reading(), None)


def test_it_reads_what_would_be_read_here(log: Path) -> None:
    ours = list(files.read_all([log], Settings(_env_file=None)))
    theirs = list(blocks(log))
    assert len(theirs) > 1
    for one, other in zip(ours, theirs, strict=True):
        assert one.clicks.times.tolist() == other.clicks.times.tolist()
        assert (one.clicks.users, one.bad, one.read) == (other.clicks.users, other.bad, other.read)


def test_what_cannot_be_read_is_said_in_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(ClickwardenError, match="is a zip archive: unpack it first"):
        list(blocks(tmp_path / "zip"))


def test_a_process_that_is_killed_is_missed(log: Path) -> None:
    before = children()
    reading = blocks(log)
    next(reading)
    (started,) = children() - before
    assert os.getpgid(started) != os.getpgrp()  # a terminal's Ctrl-C is not for both
    os.kill(started, signal.SIGKILL)
    with pytest.raises(ClickwardenError, match="was ended"):
        list(reading)
    assert children() == before


def test_who_stops_reading_leaves_no_process(log: Path) -> None:
    before = children()
    with closing(parsing.read_all([log], Settings(_env_file=None), Reading(), None)) as reading:
        next(reading)
        assert children() != before
    assert children() == before
