"""A process of its own for whatever is measured, and what it used."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import psutil

from app.errors import ClickwardenError

#: How often a condition is looked at: the error of every duration measured from outside.
POLL_SECONDS = 0.05
#: A condition that does not come true in so long never will.
PATIENCE_SECONDS = 300.0
#: What does not end by itself in so long is killed.
STOP_SECONDS = 20.0
#: A worker that crashes says why long before its last line.
LOG_TAIL = 100


class Mark(NamedTuple):
    """A moment (seconds of the monotonic clock) and the CPU seconds used until then."""

    time: float
    cpu: float


class Process:
    """A program, with its descendants, from entry to exit of the context.

    Its stdout can be read line by line; stderr goes to ``log``.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._log = log
        self._environment = environment

    def __enter__(self) -> Self:
        self.started = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # a terminal's Ctrl-C is ours to pass on
                text=True,
            )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def line(self) -> str:
        """The next line it prints; waits for it.

        Raises:
            ClickwardenError: it ended instead.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        return line.rstrip()

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition is true.

        Raises:
            ClickwardenError: the process ended first, or it takes for ever.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if self._process.poll() is not None:
                raise self._died()
            if time.monotonic() > deadline:
                raise ClickwardenError(f"{what}: not within {PATIENCE_SECONDS:.0f} s; {self._tail()}")
            time.sleep(POLL_SECONDS)

    def mark(self) -> Mark:
        """Now."""
        times = [process.cpu_times() for process in self._all()]
        return Mark(time.monotonic(), sum(each.user + each.system for each in times))

    def peak(self) -> int:
        """Most memory it has held at once, bytes (of several processes, the sum of their peaks)."""
        statuses = [Path(f"/proc/{process.pid}/status").read_text() for process in self._all()]
        return sum(int(status.partition("VmHWM:")[2].split()[0]) * 1024 for status in statuses)

    def _all(self) -> list[psutil.Process]:
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def _died(self) -> ClickwardenError:
        return ClickwardenError(f"{self._command[0]} ended with {self._process.wait()}; {self._tail()}")

    def _tail(self) -> str:
        return "\n  ".join(["its log ends:", *self._log.read_text(errors="replace").splitlines()[-LOG_TAIL:]])
