"""Disorder of known size: clicks held up on their way."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from clickwarden.detection.clicks import Clicks


def delayed(
    parts: Iterable[Clicks], within: float, seed: int
) -> Iterator[tuple[Clicks, NDArray[np.float64]]]:
    """The clicks in order of arrival, with the time of arrival of each.

    A click arrives when it happened plus a delay drawn from [0, within)
    seconds, so that none comes ``within`` or more behind the newest before it.
    One that the file has out of order happened, for this, with the one before.
    """
    random = np.random.default_rng(seed)
    newest = -math.inf
    held, arrivals = Clicks([], [], [], np.empty(0)), np.empty(0)
    for part in parts:
        happened = np.maximum.accumulate(np.append(newest, part.times))
        newest, happened = happened[-1], happened[1:]
        if not within:
            yield part, happened
            continue
        arrivals = np.append(arrivals, happened + random.uniform(0, within, len(happened)))
        held = Clicks.together([held, part])
        # Whatever follows arrives later than the newest happened.
        order = arrivals.argsort(kind="stable")
        here = int((arrivals <= newest).sum())
        yield held.pick(order[:here].tolist()), arrivals[order[:here]]
        held, arrivals = held.pick(order[here:].tolist()), arrivals[order[here:]]
    yield held, arrivals
