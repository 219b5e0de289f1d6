"""Parsing: large files read in a process of its own, ahead of whoever counts them.

A Python process runs one thread at a time, and two thirds of what a line costs is to parse it.

A program: ``python -m clickwarden.sources.parsing FD``, with a socket at that descriptor. It ends with
whoever has started it, however that ends.
"""

import gc
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from clickwarden.errors import ClickwardenError
from clickwarden.formats.lines import Block
from clickwarden.formats.recognition import Reading
from clickwarden.settings import Settings
from clickwarden.sources import files

#: Of fewer bytes, the process takes longer to start than it saves.
LARGE_BYTES = 32 * 1024 * 1024


def read_all(
    paths: Sequence[Path], settings: Settings, reading: Reading, size: int | None
) -> Generator[Block, None, None]:
    """As :func:`clickwarden.sources.files.read_all`, of files of so many bytes; None where nobody knows.

    Raises:
        ClickwardenError: a file cannot be read, or the process was ended.
    """
    if size is not None and size < LARGE_BYTES:
        yield from files.read_all(paths, settings, reading)
        return
    near, far = socket.socketpair()
    with far:
        command = (sys.executable, "-m", __name__, str(far.fileno()))
        # A terminal's Ctrl-C is the other's to answer, also while this one starts.
        process = subprocess.Popen(command, pass_fds=[far.fileno()], process_group=0)
    try:
        with near, near.makefile("rwb") as connection:
            pickle.dump((paths, settings, reading), connection)
            connection.flush()
            yield from _answers(connection)
    finally:
        process.kill()
        process.wait()


def _answers(connection: Any) -> Iterator[Block]:
    while True:
        try:
            answer: Block | ClickwardenError | None = pickle.load(connection)
        except (EOFError, ConnectionError, pickle.UnpicklingError):
            raise ClickwardenError("the process that reads the files was ended; start again") from None
        if answer is None:
            return
        if isinstance(answer, ClickwardenError):
            raise answer
        yield answer


def _read(connection: Any) -> Iterator[Block | ClickwardenError | None]:
    paths, settings, reading = pickle.load(connection)
    try:
        yield from files.read_all(paths, settings, reading)
    except ClickwardenError as error:
        yield error
    else:
        yield None


def main() -> None:
    """Read the files that are named, until they end, or whoever has named them has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for both, and is the other's to answer
    gc.freeze()
    gc.set_threshold(200_000, 100, 100)
    with (
        suppress(ConnectionError),
        socket.socket(fileno=int(sys.argv[1])) as other,
        other.makefile("rwb") as connection,
    ):
        for answer in _read(connection):
            pickle.dump(answer, connection, pickle.HIGHEST_PROTOCOL)
            connection.flush()


if __name__ == "__main__":
    main()
