"""Sabotage: the protocol of a worker, broken on purpose, so that the oracle has something to see.

Nothing of the product is touched: a worker takes what is named here from its
environment, at its start.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Python runs a module of this name at its start.
HOOK = "sitecustomize.py"


def hook(folder: Path, name: str) -> dict[str, str]:
    """Environment in which a worker breaks the protocol in the way named."""
    (folder / HOOK).write_text(f"from tests.chaos import sabotage\n\nsabotage.Saboteur(sabotage.{name})\n")
    root = Path(__file__).parents[2]
    return {"PYTHONPATH": f"{folder}{os.pathsep}{root}"}


class Saboteur:
    """Strikes when the agents are about to be imported: Faust must come first, in its own way."""

    def __init__(self, strike: Callable[[], None]) -> None:
        self._strike = strike
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, *_: Any) -> None:
        """Find nothing, see everything."""
        if name == "agents.clicks":
            sys.meta_path.remove(self)
            self._strike()


def snapshot_before_anomalies() -> None:
    """The snapshot that forgets a window goes out before its anomalies, and then the worker dies."""
    from agents import anomalies, partitions
    from app.main import app, settings
    from clickwarden.detection.snapshot import compress
    from tables.snapshots import KEY, snapshots

    emit = anomalies.emit

    async def hold(found: Any, _: Any, deliveries: Any) -> None:
        held = deliveries.__dict__.setdefault("held", [])
        held += found

    async def save(self: partitions.Partition, packed: Any) -> None:
        held = self._deliveries.__dict__.pop("held", [])
        await snapshots.put(self.detection.partition, {KEY: compress(packed.dumped)})
        app.consumer.durable(self.tp, packed.position)
        if any(anomaly.status == "closed" for anomaly in held):
            os.kill(os.getpid(), signal.SIGKILL)
        await emit(held, settings, self._deliveries)
        await self._deliveries.acknowledged(self._deliveries.sent)

    anomalies.emit = hold
    partitions.Partition._save = save  # type: ignore[method-assign]


def seek_to_committed_offset() -> None:
    """What was counted is committed at once, and read on from there, whatever the snapshot knows."""
    from agents import partitions
    from app.main import app

    count = partitions.Partition.count

    async def count_and_commit(self: partitions.Partition, *arguments: Any) -> None:
        await count(self, *arguments)
        if self.detection.next_offset is not None:
            app.consumer.durable(self.tp, self.detection.next_offset)

    partitions.Partition.count = count_and_commit  # type: ignore[method-assign]
    partitions.Partitions.position = lambda self, tp: None  # type: ignore[method-assign]
