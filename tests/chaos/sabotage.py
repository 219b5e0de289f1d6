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
from unittest.mock import patch

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
    from agents import anomalies
    from agents.snapshots import KEY
    from clickwarden.detection import snapshot
    from clickwarden.detection.anomaly import Anomaly
    from tables.snapshots import snapshots

    emit, dump, put = anomalies.emit, snapshot.dump, snapshots.put
    held: dict[int, list[tuple[list[Anomaly], Any, Any, float]]] = {}
    forgotten: dict[int, list[tuple[list[Anomaly], Any, Any, float]]] = {}

    async def hold(found: list[Anomaly], settings: Any, deliveries: Any, now: float) -> None:
        held.setdefault(found[0].partition, []).append((found, settings, deliveries, now))

    def dump_and_forget(detection: Any) -> bytes:
        forgotten[detection.partition] = held.pop(detection.partition, [])
        return dump(detection)

    async def put_first(partition: int, rows: Any) -> None:
        await put(partition, rows)
        if not any(key.startswith(KEY) and value for key, value in rows.items()):
            return  # what belongs to a snapshot, before and behind it
        emissions = forgotten.pop(partition)
        if any(anomaly.status == "closed" for found, *_ in emissions for anomaly in found):
            os.kill(os.getpid(), signal.SIGKILL)
        for found, settings, deliveries, now in emissions:
            await emit(found, settings, deliveries, now)
            await deliveries.acknowledged(deliveries.sent)

    patch.object(anomalies, "emit", hold).start()
    patch.object(snapshot, "dump", dump_and_forget).start()
    patch.object(snapshots, "put", put_first).start()


def unfenced() -> None:
    """The worker speaks on and never ends by itself, though its partitions may be another's by now."""
    from app.membership import Membership
    from app.pulse import Pulse

    patch.object(Membership, "is_certain", True).start()
    patch.object(Membership, "expel", lambda *_: None).start()
    patch.object(Pulse, "check", lambda *_: None).start()


def seek_to_committed_offset() -> None:
    """What was counted is committed at once, and read on from there, whatever the snapshot knows."""
    from agents.partitions import Partition, Partitions
    from app.main import app

    count = Partition.take

    async def count_and_commit(self: Partition, *arguments: Any) -> None:
        await count(self, *arguments)
        if self.detection.next_offset is not None:
            app.consumer.durable(self.tp, self.detection.next_offset)

    patch.object(Partition, "take", count_and_commit).start()
    patch.object(Partitions, "position", lambda self, tp: None).start()


def soon_over() -> None:
    """No sabotage, but of a test's patience: an incident has ended as soon as its windows are over."""
    from clickwarden.alerts import stories

    patch.object(stories, "QUIET_SECONDS", 1).start()
