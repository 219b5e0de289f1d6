"""How long records wait from Kafka to their scores."""

from collections import deque

import msgspec
import numpy as np
from numpy.typing import NDArray

#: Records by which it is told, the newest ones.
RECORDS = 5_000


class Latency(msgspec.Struct, frozen=True):
    """Of the newest records of a partition, seconds from the time stamp in Kafka to score and anomaly sent.

    Attributes:
        median: half of them took no longer.
        p99: 99 in 100 did not.
    """

    median: float
    p99: float


class Delays:
    """The newest delays; a backlog, and a replay of old time stamps, are in them."""

    def __init__(self) -> None:
        self._known: deque[NDArray[np.float64]] = deque()
        self._size = 0

    def note(self, stamps: NDArray[np.float64], now: float) -> None:
        """Learn of records that were scored now.

        Args:
            stamps: float64[n], when Kafka has them from, epoch seconds.
            now: by Kafka's clock.
        """
        self._known.append(np.maximum(now - stamps, 0.0))
        self._size += len(stamps)
        while self._size - len(self._known[0]) >= RECORDS:
            self._size -= len(self._known.popleft())

    @property
    def latency(self) -> Latency | None:
        """What they come to; None before the first."""
        if not self._size:
            return None
        median, p99 = np.quantile(np.concatenate(self._known), (0.5, 0.99))
        return Latency(round(float(median), 4), round(float(p99), 4))
