"""Whose rows are a partition's state of a pipeline, when who writes them is killed in the middle."""

from contextlib import suppress
from typing import Any

from agents.segments import SegmentRows
from clickwarden.models import standing as standings
from clickwarden.models.features import Segment
from clickwarden.models.standing import SegmentRun, Standing
from tests.agents.rows import Killed, Mortal, Table


def rows_of(table: Any, generation: int, pipeline: str = "cards") -> SegmentRows:
    return SegmentRows(table, pipeline, 0, generation)


async def learn(rows: SegmentRows, data: bytes) -> None:
    """Take up the state, and make one segment more durable, with a standing that names it."""
    standing = standings.load(rows.newest) if rows.newest else Standing("hash")
    list(rows.segments(standing))
    number = await rows.add(Segment(data, 0))
    standing.segments.append(SegmentRun(rows.owner, number, number))
    await rows.save(standings.dump(standing), [])


def held(table: Table) -> list[bytes]:
    """The segments of the state."""
    rows = rows_of(table, 9)
    return [segment.data for segment in rows.segments(standings.load(rows.newest))]


async def test_one_who_comes_back_in_the_same_generation_keeps_what_it_writes() -> None:
    table = Table()
    await learn(rows_of(table, 1), b"first")
    for died_after in range(3):  # puts of the segment, of the standing, of what goes
        with suppress(Killed):
            await learn(rows_of(Mortal(table, died_after), 2 + died_after), b"lost, or not")
        before = held(table)
        await learn(rows_of(table, 2 + died_after), b"last")
        assert held(table) == [*before, b"last"]


async def test_another_pipeline_of_the_same_table_is_left_alone() -> None:
    table = Table()
    await learn(rows_of(table, 1), b"of cards")
    await learn(rows_of(table, 1, "flows"), b"of flows")
    await learn(rows_of(table, 2, "flows"), b"more")
    assert held(table) == [b"of cards"]


async def test_what_is_made_durable_before_the_segments_are_read_removes_none() -> None:
    table = Table()
    await learn(rows_of(table, 1), b"first")
    rows = rows_of(table, 2)
    await rows.save(rows.newest, [])
    assert held(table) == [b"first"]
