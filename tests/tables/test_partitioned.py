"""The local copy of a table, damaged on disk."""

from pathlib import Path
from random import Random

import pytest

from tables.partitioned import LocalStore
from tables.snapshots import snapshots


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    store = snapshots._new_store()
    monkeypatch.setattr(store, "partition_path", lambda partition: tmp_path / f"snapshots-{partition}.db")
    return store


def fill(store: LocalStore) -> None:
    database = store._open_for_partition(0)
    for number in range(500):
        database[b"%d" % number] = Random(number).randbytes(1000)
    database.flush()
    database.close()


def damage(path: Path, first: int) -> None:
    content = bytearray(path.read_bytes())
    content[first : first + 4096] = Random(0).randbytes(len(content[first : first + 4096]))
    path.write_bytes(content)


@pytest.mark.parametrize("place", [0.3, 1.0], ids=["a block", "the end"])
def test_a_damaged_file_is_set_aside_and_the_copy_begins_anew(
    store: LocalStore, tmp_path: Path, place: float
) -> None:
    fill(store)
    for path in tmp_path.glob("*.db/*.sst"):
        damage(path, int(place * (path.stat().st_size - 4096)))
    database = store._open_for_partition(0)
    assert list(database.keys()) == []
    assert (tmp_path / "snapshots-0.damaged").is_dir()
    database[b"1"] = b"again"
    assert database[b"1"] == b"again"
    database.close()


def test_a_whole_copy_is_kept(store: LocalStore, tmp_path: Path) -> None:
    fill(store)
    database = store._open_for_partition(0)
    assert len(list(database.keys())) == 500
    assert not (tmp_path / "snapshots-0.damaged").exists()
    database.close()
