"""Ctrl-C where nothing answers it: while a command is being made, and when it is done."""

import os
import signal
from types import FrameType
from typing import NoReturn

#: As a shell has it of what a SIGINT has ended.
INTERRUPTED = 130


def end_where_interrupted() -> None:
    """Have Ctrl-C end the process at once, without a word, until something else answers it."""
    signal.signal(signal.SIGINT, _end)


def _end(signum: int, frame: FrameType | None) -> NoReturn:
    os._exit(INTERRUPTED)
