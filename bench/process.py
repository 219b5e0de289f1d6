"""A process of its own for whatever is measured, and what it used."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import psutil

from clickwarden.errors import ClickwardenError

#: How often a condition is looked at: the error of every duration measured from outside.
POLL_SECONDS = 0.1
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

    Its stdout can be read line by line; stderr goes to ``log``. It runs in
    ``folder``, ours where none is named.
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str], folder: Path | None = None
    ) -> None:
        self._command = command
        self._log = log
        self._environment = environment
        self._folder = folder

    def __enter__(self) -> Self:
        """Start it."""
        self.started = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,  # a terminal's Ctrl-C is ours to pass on
                text=True,
            )
        return self

    def __exit__(self, *error: object) -> None:
        """Stop it, and whatever it has started."""
        children = [] if self._process.poll() is not None else self._all()[1:]
        self._process.terminate()
        try:
            self._process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        _, left = psutil.wait_procs(children, timeout=STOP_SECONDS)
        for child in left:
            child.kill()

    def said(self, word: str) -> Mark:
        """Wait until it prints this line; returns the moment.

        Raises:
            ClickwardenError: it ended instead.
        """
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == word:
                return self.mark()
        raise self._died()

    def check_alive(self) -> None:
        """Raise ClickwardenError, with the end of its log, if it has ended."""
        if self._process.poll() is not None:
            raise self._died()

    def tail(self) -> str:
        """The end of its log."""
        return "\n  ".join(["its log ends:", *self._log.read_text(errors="replace").splitlines()[-LOG_TAIL:]])

    def mark(self) -> Mark:
        """The moment now, and the CPU seconds used until now."""
        times = [process.cpu_times() for process in self._all()]
        return Mark(time.monotonic(), sum(spent.user + spent.system for spent in times))

    def peak(self) -> int:
        """Most memory it has held at once, bytes (of several processes, the sum of their peaks)."""
        statuses = [Path(f"/proc/{process.pid}/status").read_text() for process in self._all()]
        return sum(int(status.partition("VmHWM:")[2].split()[0]) * 1024 for status in statuses)

    def _all(self) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            raise self._died() from None

    def _died(self) -> ClickwardenError:
        return ClickwardenError(f"{self._command[0]} ended with {self._process.wait()}; {self.tail()}")


def until(condition: Callable[[], bool], what: str, processes: Sequence[Process]) -> None:
    """Wait until the condition is true.

    Raises:
        ClickwardenError: one of the processes ended first, or it takes for ever.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        for process in processes:
            process.check_alive()
        if time.monotonic() > deadline:
            tails = "\n".join(process.tail() for process in processes)
            raise ClickwardenError(f"{what}: not within {PATIENCE_SECONDS:.0f} s; {tails}")
        time.sleep(POLL_SECONDS)


def mark(processes: Sequence[Process]) -> Mark:
    """The moment now, and the CPU seconds that all of them used until now."""
    cpu = sum(process.mark().cpu for process in processes)
    return Mark(time.monotonic(), cpu)
