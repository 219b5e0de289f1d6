"""The worker's pulse: a stalled process must not speak when it wakes up."""

import asyncio
import math
import os
import threading
import time
from contextlib import suppress
from typing import NoReturn

BEAT_SECONDS = 0.5
#: sysexits.h: EX_SOFTWARE.
EXIT_CODE = 70
STDERR = 2
#: Goes on while the machine is suspended, where the system knows such a clock.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Pulse:
    """Ends a process that was stopped or stalled for longer than ``limit`` seconds.

    Kafka gives a silent worker's partitions to another. Frozen (SIGSTOP, a
    suspended machine) it knows nothing of that when it wakes up, and what it
    had in hand would come behind what the other has said since. Whatever
    speaks to Kafka calls :meth:`check` first. A thread does so too, for an
    event loop that never wakes up.
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
        self._last = time.clock_gettime(CLOCK)
        threading.Thread(target=self._watch, name="pulse", daemon=True).start()
        try:
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                self.check()
                self._last = time.clock_gettime(CLOCK)
        finally:
            self._last = math.inf

    def _watch(self) -> None:
        while self.begun:
            time.sleep(BEAT_SECONDS)
            self.check()

    def check(self) -> None:
        """Exit at once, without a word to Kafka, if the last beat is too long ago."""
        gap = time.clock_gettime(CLOCK) - self._last
        if gap > self._limit:
            self.end(
                f"the worker stood still for {gap:.1f} s, longer than half of CLICKWARDEN_SESSION_TIMEOUT; "
                "its partitions may belong to another by now"
            )

    def end(self, why: str) -> NoReturn:
        """Exit at once, without a word to Kafka."""
        # Past sys.stderr, which is Faust's, whose lock a stalled thread may hold;
        # and what stalls it may be a pipe that nobody reads.
        with suppress(OSError):
            os.set_blocking(STDERR, False)
            os.write(STDERR, f"clickwarden: {why}: exiting\n".encode())
        os._exit(EXIT_CODE)
