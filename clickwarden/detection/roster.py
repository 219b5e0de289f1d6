"""The users whom some pane of a rule has for a suspect."""

from collections.abc import Collection
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.batch import Batch


class Roster:
    """Numbers for them, so that those of a batch are looked up once for all panes of a rule."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        """How many users have a number; the next one is this."""
        return len(self._numbers)

    def number(self, user_id: str) -> int:
        """The number of a user."""
        return self._numbers.setdefault(user_id, len(self._numbers))

    def find(self, users: Collection[str]) -> NDArray[np.intp]:
        """The number of each of these users; -1 where there is none."""
        return np.fromiter(map(self._numbers.get, users, repeat(-1)), np.intp, len(users))

    def numbers_of(self, batch: Batch) -> NDArray[np.intp]:
        """The number of each distinct user of a batch, by its number there; -1 where there is none."""
        users, known = batch.users, len(self)
        if known >= len(users):
            return self.find(users)
        found = np.fromiter(map(batch.numbers.get, self._numbers, repeat(-1)), np.intp, known)
        numbers = np.full(len(users) + 1, -1, np.intp)
        numbers[found] = np.arange(known)
        return numbers[:-1]  # the last is of those who are not found
