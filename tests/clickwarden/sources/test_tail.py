"""A file that is followed: each line once, however it is rotated."""

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clickwarden.errors import ClickwardenError
from clickwarden.formats.lines import Block
from clickwarden.settings import Settings
from clickwarden.sources import tail

AT = "18/May/2015:08:05:43 +0000"


def line(user: int) -> str:
    return f'10.0.{user // 256}.{user % 256} - - [{AT}] "GET / HTTP/1.1" 200 17 "-" "-"\n'


class Follower:
    def __init__(self, path: Path) -> None:
        self.bad: list[int] = []
        self.following: Iterator[Block] = tail.follow(path, Settings())

    def news(self) -> list[int]:
        """The users of what is new."""
        users: list[int] = []
        while (block := next(self.following)).lines:
            self.bad += [number for number, _ in block.bad]
            for user in block.clicks.users:
                high, low = map(int, user.split(".")[2:])
                users.append(256 * high + low)
        return users


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def test_lines_come_when_they_are_whole(log: Path) -> None:
    log.write_text(line(1))
    follower = Follower(log)
    assert follower.news() == [1]
    assert follower.news() == []
    with log.open("a") as file:
        file.write(line(2) + line(3)[:20])
        file.flush()
        assert follower.news() == [2]
        file.write(line(3)[20:])
    assert follower.news() == [3]


def test_a_file_that_is_moved_away_is_read_to_its_end_and_beyond(log: Path) -> None:
    log.write_text(line(1))
    follower = Follower(log)
    assert follower.news() == [1]
    with log.open("a") as old:
        old.write(line(2)[:20])
        old.flush()
        log.rename(log.with_name("access.log.1"))
        assert follower.news() == []
        old.write(line(2)[20:] + line(3))
        old.flush()
        log.write_text(line(4))
        assert follower.news() == [2, 3, 4]
        old.write(line(5))  # the server has not yet opened the new one everywhere
        old.flush()
        with log.open("a") as new:
            new.write(line(6))
        assert follower.news() == [5, 6]
        log.with_name("access.log.2.gz").write_bytes(
            gzip.compress(log.with_name("access.log.1").read_bytes())
        )
        log.with_name("access.log.1").unlink()
        old.write(line(7))
    assert follower.news() == [7]
    assert follower.bad == []


def test_an_old_file_is_let_go_when_it_has_been_quiet(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "QUIET", -1.0)
    before = len(os.listdir("/proc/self/fd"))
    log.touch()
    follower = Follower(log)
    assert follower.news() == []
    for rotation in range(20):
        with log.open("a") as file:
            file.write(line(rotation) + "unfinished")
        log.rename(log.with_name(f"access.log-{rotation}"))
        log.touch()
        assert follower.news() == [rotation]
        assert follower.news() == []
    assert follower.bad == [2] * 20
    assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_files_that_came_and_went_in_between_are_read(log: Path) -> None:
    log.write_text(line(1))
    os.utime(log, (1000, 1000))
    log.with_name("access.log.json").write_text("another log's\n")
    follower = Follower(log)
    assert follower.news() == [1]
    log.rename(log.with_name("access.log.2"))
    log.write_text(line(2))
    log.rename(log.with_name("access.log.1"))
    log.write_text(line(3))
    assert follower.news() == [2, 3]
    assert follower.bad == []


def packed(path: Path) -> None:
    path.with_name("access.log.1.gz").write_bytes(gzip.compress(path.read_bytes()))


def copied(path: Path) -> None:
    path.with_name("access.log.1").write_bytes(path.read_bytes())


@pytest.mark.parametrize("copy", [copied, packed])
def test_a_file_that_is_copied_and_cut_loses_nothing(log: Path, copy: Callable[[Path], None]) -> None:
    log.write_text("".join(map(line, range(2000))))
    log.with_name("access.log.2").write_text("".join(map(line, range(5000, 9000))))  # an older one
    follower = Follower(log)
    assert follower.news() == list(range(2000))
    with log.open("a") as file:
        file.write(line(2000) + line(2001)[:10])
        file.flush()
        assert follower.news() == [2000]
        file.write(line(2001)[10:] + line(2002))
        file.flush()
        copy(log)
        os.truncate(log, 0)
        file.write(line(2003))
        file.flush()
        assert follower.news() == [2001, 2002, 2003]
        assert follower.news() == []
    assert follower.bad == []


def test_a_file_that_was_cut_and_has_outgrown_itself_is_read_from_its_beginning(log: Path) -> None:
    log.write_text("".join(map(line, range(10))))
    follower = Follower(log)
    assert follower.news() == list(range(10))
    with log.open("r+") as file:
        file.truncate()
        file.write("".join(map(line, range(100, 200))))
    assert follower.news() == list(range(100, 200))


def test_a_hole_where_a_file_was_cut_is_no_line(log: Path) -> None:
    with log.open("w") as file:  # not for appending: it goes on at its old place
        file.write("".join(map(line, range(10))))
        file.flush()
        follower = Follower(log)
        assert follower.news() == list(range(10))
        os.truncate(log, 0)
        file.write(line(11))
        file.flush()
        assert follower.news() == [11]
    assert follower.bad == []


def test_a_file_that_is_not_there_is_waited_for(log: Path) -> None:
    follower = Follower(log)
    assert follower.news() == []
    log.write_text("\ufeffstarted\n")
    assert follower.news() == []  # a first line may be anything
    with log.open("a") as file:
        file.write(line(1) + line(2))
    assert follower.news() == [1, 2]
    assert follower.bad == [1]


def test_what_is_no_log_is_refused_at_once_where_it_is_there(log: Path) -> None:
    log.write_text("nonsense\n")
    with pytest.raises(ClickwardenError, match="neither an access log"):
        Follower(log).news()
    log.unlink()
    follower = Follower(log)
    assert follower.news() == []
    log.write_text("nonsense\n" * 100)
    with pytest.raises(ClickwardenError, match="neither an access log"):
        follower.news()


@pytest.mark.parametrize("content", [gzip.compress(b"x"), b"PAR1", b"Obj\1"], ids=["gzip", "Parquet", "Avro"])
def test_a_packed_file_and_a_table_are_not_followed(log: Path, content: bytes) -> None:
    log.write_bytes(content)
    with pytest.raises(ClickwardenError, match="cannot be followed"):
        Follower(log).news()
    with pytest.raises(ClickwardenError, match="cannot be read"):
        Follower(log.parent).news()


def test_a_pipe_is_followed_to_its_end(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    with open(ours) as pipe, open(theirs, "w", buffering=1) as file:
        monkeypatch.setattr("sys.stdin", pipe)
        follower = Follower(Path("-"))
        file.write(line(1))
        assert follower.news() == [1]
        assert follower.news() == []
        file.write(line(2) + line(3).strip())
        file.close()
        assert next(follower.following).clicks.users == ["10.0.0.2"]
        assert next(follower.following).clicks.users == ["10.0.0.3"]
        assert next(follower.following, None) is None
