"""CPU time by step, where one step may run within another."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch


class Stopwatch:
    """CPU seconds of this thread, by step; those of a step within it are not an outer step's."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._within: list[float] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """What is done in this context is a step."""
        self._within.append(0.0)
        began = time.thread_time()
        try:
            yield
        finally:
            taken = time.thread_time() - began
            self.seconds[name] += taken - self._within.pop()
            if self._within:
                self._within[-1] += taken

    @contextmanager
    def wrapped(self, name: str, methods: Sequence[tuple[type, str]]) -> Iterator[None]:
        """In this context every call of one of these methods is a step.

        Raises:
            AttributeError: a class has no such method.
        """
        with ExitStack() as patches:
            for owner, method in methods:
                timed = self._timed(name, getattr(owner, method))
                patches.enter_context(patch.object(owner, method, timed))
            yield

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.step(name):
                return function(*args, **kwargs)

        return timed
