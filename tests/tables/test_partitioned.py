"""The local copy of a table, damaged on disk."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from faust.types import TP

from app import room
from tables import partitioned
from tables.partitioned import ROCKSDB_OPTIONS, PartitionedTable
from tables.snapshots import snapshots


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "snapshots-0.db"


@pytest.fixture
def table(copy: Path, monkeypatch: pytest.MonkeyPatch) -> PartitionedTable:
    """A table whose local copy of its one partition is not open."""
    table: PartitionedTable = snapshots.clone(options=dict(ROCKSDB_OPTIONS))
    monkeypatch.setattr(table.data, "partition_path", lambda partition: copy)
    return table


def fill(table: PartitionedTable) -> None:
    database = table.data.rocksdb_options.open(table.data.partition_path(0))
    for number in range(500):
        database[b"%d" % number] = Random(number).randbytes(1000)
    database.flush()
    database.close()


def damage(path: Path, first: int) -> None:
    content = bytearray(path.read_bytes())
    content[first : first + 4096] = Random(0).randbytes(len(content[first : first + 4096]))
    path.write_bytes(content)


def recover(table: PartitionedTable, key: bytes, value: bytes) -> None:
    """Take a row from the changelog."""
    tp = TP(table.changelog_topic_name, 0)
    record = SimpleNamespace(tp=tp, partition=0, offset=0, key=key, value=value)
    table.data.apply_changelog_batch([SimpleNamespace(message=record)], to_key=bytes, to_value=bytes)


@pytest.mark.parametrize("place", [0.3, 1.0], ids=["a block", "the end"])
def test_a_damaged_file_is_set_aside_and_the_copy_begins_anew(
    table: PartitionedTable, copy: Path, place: float
) -> None:
    fill(table)
    for path in copy.glob("*.sst"):
        damage(path, int(place * (path.stat().st_size - 4096)))
    assert table.rows(0) == {}
    assert copy.with_suffix(".damaged").is_dir()
    recover(table, b"1", b"again")
    assert table.rows(0) == {b"1": b"again"}


def test_a_whole_copy_is_kept(table: PartitionedTable, copy: Path) -> None:
    fill(table)
    assert len(table.rows(0)) == 500
    assert not copy.with_suffix(".damaged").exists()


STEPS: dict[str, Callable[[PartitionedTable], object]] = {
    "opening": lambda table: table.rows(0),
    "looking": lambda table: table.rows(0),
    "recovering": lambda table: recover(table, b"1", b"again"),
    "writing": lambda table: table.data.write(0, {b"1": b"again"}, 0),
}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("IO error: Too many open files: While open a file for random read: 12.sst", "raise 'ulimit -n'"),
        ("IO error: No space left on device: While appending to file: 12.log", "make some and start again"),
        ("[Errno 122] Disk quota exceeded", "make some and start again"),
    ],
)
@pytest.mark.parametrize("step", STEPS)
def test_a_machine_without_room_ends_the_worker_and_is_no_damage(
    table: PartitionedTable, copy: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: str, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Exception(error)

    def ended(why: str, code: int) -> None:
        raise SystemExit(f"{code}: {why}")

    fill(table)
    monkeypatch.setattr(room, "end", ended)
    if step == "opening":
        monkeypatch.setattr(type(table.data.rocksdb_options), "open", fail)
    elif step == "looking":
        monkeypatch.setattr(partitioned, "_damage", lambda _: error)
    else:
        monkeypatch.setattr(table.data, "_dbs", {0: SimpleNamespace(write=fail)})
    with pytest.raises(SystemExit) as exit:
        STEPS[step](table)
    assert str(exit.value).startswith("1: ")
    assert said in str(exit.value)
    assert sorted(path.name for path in copy.parent.iterdir()) == [copy.name]
