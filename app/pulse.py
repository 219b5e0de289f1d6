"""The worker's pulse: a stalled process must not speak when it wakes up."""

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

BEAT_SECONDS = 0.5
#: sysexits.h: EX_SOFTWARE.
EXIT_CODE = 70
#: Of whatever Kafka, or a setting, refuses.
REFUSED = 1
STDOUT, STDERR = 1, 2
#: Goes on while the machine is suspended, where the system knows such a clock.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds since an arbitrary moment, those in which the machine slept included."""
    return time.clock_gettime(CLOCK)


def end(why: str, code: int) -> NoReturn:
    """Exit at once, without a word to Kafka."""
    # Past sys.stderr, which is Faust's, whose lock a stalled thread may hold;
    # and what stalls it may be a pipe that nobody reads.
    with suppress(OSError):
        output = _last_word()
        os.set_blocking(output, False)
        os.write(output, f"clickwarden: {why}: exiting\n".encode())
    os._exit(code)


def _last_word() -> int:
    """Where to say why: what other threads still say goes nowhere, and so not behind it."""
    try:
        output, nowhere = os.dup(STDERR), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # no descriptor is left
        return STDERR
    for each in STDOUT, STDERR:
        os.dup2(nowhere, each)
    return output


class Pulse:
    """Ends a process that was stopped or stalled for longer than ``limit`` seconds.

    Kafka gives a silent worker's partitions to another. Frozen (SIGSTOP, a
    suspended machine) it knows nothing of that when it wakes up, and what it
    had in hand would come behind what the other has said since. Whatever
    speaks to Kafka calls :meth:`check` first. A thread does so too, for an
    event loop that never wakes up.

    Args:
        limit: seconds.
        more: what else may have to end the process; asked at each check.
    """

    def __init__(self, limit: float, *more: Callable[[], None]) -> None:
        self._limit = limit
        self._more = more
        self._last = math.inf  # before the first beat there is nothing to be late for

    @property
    def begun(self) -> bool:
        """Whether it beats."""
        return math.isfinite(self._last)

    async def beat(self) -> None:
        """Show that the event loop turns, for as long as it does."""
        self._last = now()
        threading.Thread(target=self._watch, name="pulse", daemon=True).start()
        try:
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                self.check()
                self._last = now()
        finally:
            self._last = math.inf

    def _watch(self) -> None:
        while self.begun:
            time.sleep(BEAT_SECONDS)
            self.check()

    def check(self) -> None:
        """Exit at once, without a word to Kafka, if the last beat is too long ago."""
        gap = now() - self._last
        if gap > self._limit:
            end(
                f"the worker stood still for {gap:.1f} s, longer than half of CLICKWARDEN_SESSION_TIMEOUT; "
                "its partitions may belong to another by now",
                EXIT_CODE,
            )
        for check in self._more:
            check()
