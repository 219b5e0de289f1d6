"""Whose rows are a partition's state, when a worker that was taken for dead goes on writing."""

from contextlib import suppress
from typing import Any

import pytest

from agents.snapshots import SnapshotRows
from clickwarden.detection import snapshot
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.settings import Settings
from tests.agents.rows import Killed, Mortal, Table
from tests.clickwarden.detection.reference import Click, batch_of

T = 1_600_000_020  # start of a window of 60 s
SETTINGS = Settings(_env_file=None, lateness=5)
RULES = [Rule(name="bot", window=60, threshold=3, width=1024)]


class Owner:
    """What owns the partition in one generation of the group, and saves as a worker's partition does."""

    def __init__(self, table: Any, generation: int) -> None:
        self._rows = SnapshotRows(table, 0, generation)
        self.detection = self._rows.load(RULES, SETTINGS)

    @classmethod
    async def begin(cls, table: Table, generation: int) -> "Owner":
        """An owner that has written its first snapshot."""
        owner = cls(table, generation)
        await owner.save()
        return owner

    def count(self, *rows: Click) -> list[tuple[str, int]]:
        """Status and count of what is said of these clicks, which Kafka received when they happened."""
        found = self.detection.count(batch_of(rows))
        self.detection.advance((self.detection.next_offset or 0) + len(rows))
        return [(anomaly.status, anomaly.count) for anomaly in found.anomalies]

    async def save(self) -> None:
        closed = self.detection.closed
        new = [window for window in closed if window.outcome is not None and not window.stored]
        outcomes: dict[bytes, bytes | None] = {}
        for window in new:
            assert window.outcome is not None
            outcomes[snapshot.outcome_key(window.name)] = snapshot.dump_outcome(window.outcome)
            window.stored = True
        gone, closed.gone = dict.fromkeys(map(snapshot.outcome_key, closed.gone)), []
        await self._rows.save(snapshot.compress(snapshot.dump(self.detection)), outcomes, gone)


def at(second: float, user: str = "eve") -> Click:
    return (user, "view", None, T + second)


@pytest.fixture
def table() -> Table:
    return Table()


async def test_a_successor_goes_on_where_the_last_snapshot_was(table: Table) -> None:
    first = await Owner.begin(table, 1)
    assert first.count(*[at(1)] * 4, at(70, "bob")) == [("ongoing", 4), ("closed", 4)]
    await first.save()
    second = await Owner.begin(table, 2)
    assert second.detection.next_offset == 5
    assert second.count(at(2), at(80, "bob")) == [("corrected", 5)]
    await second.save()
    assert Owner(table, 3).detection.next_offset == 7


async def test_rows_of_those_before_go_and_all_that_is_left_is_needed(table: Table) -> None:
    owner = await Owner.begin(table, 1)
    for minute in range(3):
        owner.count(*[at(60 * minute)] * 4, at(60 * minute + 70, "bob"))
        await owner.save()
    assert len(table.kept) == 4
    for generation in 2, 3, 4:
        owner = await Owner.begin(table, generation)
        assert len(table.kept) == 4


async def test_a_snapshot_of_one_who_was_taken_for_dead_is_not_the_state(table: Table) -> None:
    dead = await Owner.begin(table, 1)
    successor = await Owner.begin(table, 2)
    successor.count(*[at(1)] * 9)
    await successor.save()
    dead.count(*[at(1)] * 2)
    await dead.save()
    assert Owner(table, 3).detection.next_offset == 9


async def test_what_one_who_was_taken_for_dead_has_counted_is_not_what_a_window_had(table: Table) -> None:
    dead = await Owner.begin(table, 1)
    dead.count(*[at(1)] * 4)
    await dead.save()
    successor = await Owner.begin(table, 2)
    assert successor.count(*[at(1)] * 5, at(70, "bob")) == [("ongoing", 6), ("closed", 9)]
    await successor.save()
    dead.detection.decide(600)  # it has read no further, and nothing seems to come
    dead.detection.close()
    await dead.save()
    heir = await Owner.begin(table, 3)
    assert heir.count(at(2), at(80, "bob")) == [("corrected", 10)]


async def test_what_one_who_was_taken_for_dead_has_forgotten_is_still_there(table: Table) -> None:
    dead = await Owner.begin(table, 1)
    dead.count(*[at(1)] * 4, at(70, "bob"))
    await dead.save()
    await Owner.begin(table, 2)
    dead.count(at(2000, "bob"))  # which its successor has not read yet
    await dead.save()
    assert [window.start for window in dead.detection.closed] == [T + 60]
    heir = Owner(table, 3)
    assert heir.count(at(2)) == []
    assert heir.count(at(80, "bob")) == [("corrected", 5)]


async def test_one_who_comes_back_in_the_same_generation_keeps_what_it_writes(table: Table) -> None:
    owner = await Owner.begin(table, 1)
    owner.count(*[at(1)] * 4, at(70, "bob"))
    await owner.save()
    for died_after in range(3):  # puts of the closed windows' rows, of the snapshot, of what goes
        for generation in (2 + died_after, 2 + died_after):
            mortal = Owner(Mortal(table, died_after), generation)
            with suppress(Killed):
                await mortal.save()
        heir = await Owner.begin(table, 2 + died_after)
        assert heir.detection.next_offset == 5
        later = Owner(table, 3 + died_after)
        assert later.count(at(2), at(80, "bob")) == [("corrected", 5)]


def test_a_snapshot_of_a_release_without_generations_is_the_state() -> None:
    detection = Detection(0, RULES, SETTINGS)
    detection.advance(7)
    table = Table()
    table.kept[b"snapshot"] = snapshot.compress(snapshot.dump(detection))
    assert Owner(table, 1).detection.next_offset == 7
