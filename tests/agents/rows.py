"""Rows of one partition, and the death of who writes them."""

from collections.abc import Mapping


class Table:
    """A table of one partition: its rows, as Kafka has them."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}

    def rows(self, _: int) -> dict[bytes, bytes]:
        return dict(self.kept)

    async def put(self, _: int, rows: Mapping[bytes, bytes | None]) -> None:
        for key, value in rows.items():
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value


class Killed(Exception):
    """Stands for SIGKILL."""


class Mortal(Table):
    """A table whose writer is killed after so many puts."""

    def __init__(self, table: Table, puts: int) -> None:
        self.kept = table.kept
        self._puts = puts

    async def put(self, partition: int, rows: Mapping[bytes, bytes | None]) -> None:
        if not self._puts:
            raise Killed
        self._puts -= 1
        await super().put(partition, rows)
