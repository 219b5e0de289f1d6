"""Records a second, measured over the last few seconds."""

from collections import deque
from collections.abc import Mapping

#: How far back is looked, in samples of a second.
SAMPLES = 6


class Throughput:
    """Differences of running totals, by partition.

    A partition counts while it is there in the whole span, so that one that
    is assigned with the totals of its past is no burst.

    >>> throughput = Throughput()
    >>> for second in range(3):
    ...     throughput.sample(second, {0: 1000 * second, 1: 7})
    >>> throughput.sample(3, {0: 3000, 2: 1_000_000})
    >>> throughput.rate
    1000.0
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Mapping[int, int]]] = deque(maxlen=SAMPLES)

    def sample(self, time: float, totals: Mapping[int, int]) -> None:
        """Note the totals by partition at a moment, seconds of any steady clock."""
        self._samples.append((time, totals))

    @property
    def rate(self) -> float | None:
        """Records a second; None before the second sample."""
        if len(self._samples) < 2:
            return None
        (since, before), (until, now) = self._samples[0], self._samples[-1]
        # A partition that came back from a snapshot may count some records again.
        counted = sum(max(0, now[partition] - before[partition]) for partition in now.keys() & before.keys())
        return counted / (until - since)
