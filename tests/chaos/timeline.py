"""The time line: what happened when, on the screen and in a file."""

import time
from pathlib import Path


class Chronicle:
    """Lines of text with the seconds since the beginning."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began = time.monotonic()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def note(self, text: str) -> None:
        """Write a line."""
        line = f"{self.now:7.1f} s  {text}"
        print(line, flush=True)
        with self._path.open("a") as file:
            file.write(line + "\n")
