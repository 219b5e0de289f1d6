"""Answers that many ask for."""

from collections.abc import Callable
from time import monotonic

import msgspec


class Fresh:
    """An answer as JSON, made once for all who ask within some seconds."""

    def __init__(self, make: Callable[[], object], seconds: float) -> None:
        self._make = make
        self._seconds = seconds
        self._encoded = b""
        self._until = 0.0

    def __call__(self) -> bytes:
        """The answer, made anew if it is too old."""
        if monotonic() >= self._until:
            self._encoded = msgspec.json.encode(self._make())
            self._until = monotonic() + self._seconds
        return self._encoded

    def forget(self) -> None:
        """Make the answer anew for the next who asks, whom an old one would mislead."""
        self._until = 0.0
