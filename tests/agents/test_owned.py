"""What an owner of a partition does before its state is taken up: nothing."""

from types import SimpleNamespace
from typing import Any

from faust.types import TP

from agents.owned import OwnedPartition
from clickwarden.kafka.runs import Run
from clickwarden.settings import Settings

APP: Any = SimpleNamespace(settings=Settings(_env_file=None))


class Noted(OwnedPartition[int]):
    """A partition that notes what it does; what it goes by has changed from the beginning."""

    taken = "noted"
    next_offset = None
    _in_force = 1

    def __init__(self) -> None:
        super().__init__(APP, TP("clicks", 0))
        self.done: list[str] = []

    async def _step(self, run: Run, begin: int) -> int:
        return run.next_offset

    async def _pack(self) -> int:
        return 0

    async def _save(self, packed: int) -> None:
        self.done.append("saved")

    async def _plan(self) -> bool:
        self.done.append("planned")
        return True

    async def _tell(self) -> None:
        self.done.append("told")

    def _advance(self, next_offset: int) -> None:
        pass


async def test_a_change_that_comes_before_the_state_is_taken_up_is_planned_with_it() -> None:
    partition = Noted()
    await partition.take_up()
    assert partition.done == []
    await partition.resume()
    assert partition.done == ["planned", "saved", "told"]
    await partition.take_up()
    assert partition.done == ["planned", "saved", "told"] * 2
