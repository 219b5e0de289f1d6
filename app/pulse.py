"""The worker's pulse: a stalled process must not speak when it wakes up."""

import asyncio
import math
import os
import sys
from time import monotonic

BEAT_SECONDS = 0.5
#: sysexits.h: EX_SOFTWARE.
EXIT_CODE = 70


class Pulse:
    """Ends a process that was stopped or stalled for longer than ``limit`` seconds.

    Kafka gives a silent worker's partitions to another. Frozen (SIGSTOP, a
    suspended machine) it knows nothing of that when it wakes up, and what it
    had in hand would come behind what the other has said since. Whatever
    speaks to Kafka calls :meth:`check` first.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._last = math.inf  # before the first beat there is nothing to be late for

    @property
    def begun(self) -> bool:
        """Whether it beats."""
        return math.isfinite(self._last)

    async def beat(self) -> None:
        """Show that the event loop turns, for as long as it does."""
        self._last = monotonic()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self.check()
            self._last = monotonic()

    def check(self) -> None:
        """Exit at once, without a word to Kafka, if the last beat is too long ago."""
        gap = monotonic() - self._last
        if gap > self._limit:
            print(
                f"clickwarden: the worker stood still for {gap:.1f} s, longer than half of "
                f"CLICKWARDEN_SESSION_TIMEOUT; its partitions may belong to another by now: exiting",
                file=sys.stderr,
                flush=True,
            )
            os._exit(EXIT_CODE)
