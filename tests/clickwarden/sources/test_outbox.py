"""The queue on disk: what it keeps, and what it refuses."""

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clickwarden.errors import OutboxError
from clickwarden.settings import Settings
from clickwarden.sources.outbox import MIB, KeyValue, Outbox

Open = Callable[..., Outbox]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Open]:
    """Opens the outbox; it is closed when the test ends."""
    opened: list[Outbox] = []

    def open_(**given: Any) -> Outbox:
        opened.append(Outbox(Settings(data_dir=tmp_path, **given)))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def records(count: int, first: int = 0, size: int = 10) -> list[KeyValue]:
    return [(b"user-%d" % number, b"%0*d" % (size, number)) for number in range(first, first + count)]


def everything(outbox: Outbox) -> list[KeyValue]:
    return outbox.read(0, 2**40)[1]


def until_full(outbox: Outbox) -> tuple[list[KeyValue], str]:
    """What it took, and how it refused the rest."""
    kept: list[KeyValue] = []
    while True:
        more = records(2500, first=len(kept), size=200)
        try:
            outbox.append(more)
        except OutboxError as error:
            return kept, str(error)
        kept += more


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to let a file of ours grow beyond it, as a full disk does."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_it_gives_back_what_it_was_given_in_order_and_in_parts(outbox: Open) -> None:
    box = outbox()
    given = records(4500)
    for first in range(0, 4500, 1500):
        box.append(given[first : first + 1500])
    taken: list[KeyValue] = []
    position, part = box.read(0, 1)
    while part:
        assert len(part) <= 1000
        taken += part
        position, part = box.read(position, 1)
    assert taken == given == everything(box)


def test_what_is_forgotten_is_gone_and_its_positions_are_not_given_again(outbox: Open) -> None:
    box = outbox()
    box.append(records(1500))
    position, _ = box.read(0, 1)
    assert box.forget(position) == 1000
    assert box.forget(position) == 0
    assert everything(box) == records(500, first=1000)
    last, _ = box.read(0, 2**40)
    assert box.forget(last) == 500
    box.close()
    box = outbox()
    assert (box.found, box.last) == (0, last)
    box.append(records(1))
    assert box.read(0, 1) == (last + 1, records(1))


def test_it_is_found_as_it_was_left_under_the_same_name(outbox: Open) -> None:
    box = outbox()
    name = box.name
    box.append(records(1200))
    box.close()
    box = outbox()
    assert (box.name, box.found, everything(box)) == (name, 1200, records(1200))
    assert outbox(clicks_topic="other").name != name


def test_it_survives_the_death_of_its_process(outbox: Open, tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from clickwarden.sources.outbox import Outbox; "
        "from clickwarden.settings import Settings; box = Outbox(Settings(data_dir=Path(sys.argv[1]))); "
        "box.append([(b'u', b'1')] * 1500); box.forget(1); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)]).returncode == -9
    assert everything(outbox()) == [(b"u", b"1")] * 500


def test_a_second_producer_is_told_to_go_elsewhere(outbox: Open, tmp_path: Path) -> None:
    outbox()
    with pytest.raises(OutboxError, match=r"CLICKWARDEN_DATA_DIR=.*another producer has it open"):
        outbox()
    program = (
        "import sys; from pathlib import Path; from clickwarden.sources.outbox import Outbox; "
        "from clickwarden.settings import Settings; Outbox(Settings(data_dir=Path(sys.argv[1])))"
    )
    other = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert "another producer has it open; stop that one, or choose another folder" in other.stderr


def test_a_full_quota_is_an_error_and_costs_nothing_that_was_kept(outbox: Open, tmp_path: Path) -> None:
    box = outbox(outbox_quota=2)
    kept, refusal = until_full(box)
    assert "CLICKWARDEN_OUTBOX_QUOTA=2: " in refusal
    assert "raise the quota, or free disk space" in refusal
    assert MIB < len(kept) * 200 < 2 * MIB
    assert sum(file.stat().st_size for file in (tmp_path / "outbox").iterdir()) < 8 * MIB
    assert everything(box) == kept
    assert box.forget(box.read(0, 2**40)[0]) == len(kept)
    box.append(records(500))
    assert everything(box) == records(500)


def test_a_full_disk_is_an_error_and_costs_nothing_that_was_kept(outbox: Open) -> None:
    box = outbox()
    box.append(before := records(500, size=200))
    with files_at_most(2 * MIB):
        kept, refusal = until_full(box)
    assert "CLICKWARDEN_DATA_DIR=" in refusal
    assert 0 < len(kept) * 200 < 2 * MIB
    assert everything(box) == before + kept
    box.append(more := records(5000, size=200))
    box.close()
    assert everything(outbox()) == before + kept + more


def test_room_is_given_back_to_the_disk(outbox: Open, tmp_path: Path) -> None:
    box = outbox()
    box.append(records(20_000, size=200))
    box.forget(box.read(0, 2**40)[0])
    box.close()
    (file,) = (tmp_path / "outbox").iterdir()
    assert file.stat().st_size < 64 * 1024


def test_a_file_that_is_none_of_ours_is_refused(outbox: Open, tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "clicks.db").write_bytes(b"not ours" * 1000)
    with pytest.raises(OutboxError, match=r"clicks\.db cannot be used: file is not a database"):
        outbox()


def test_a_newer_version_is_refused(outbox: Open, tmp_path: Path) -> None:
    outbox().close()
    with sqlite3.connect(tmp_path / "outbox" / "clicks.db") as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    with pytest.raises(OutboxError, match="version 2, this program knows 1"):
        outbox()


def test_a_folder_that_cannot_be_made_is_named(outbox: Open, tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file")
    with pytest.raises(OutboxError, match=r"outbox.*File exists"):
        outbox()
