"""How far over a threshold: the steps at which it is told anew, and from which on it is more severe."""

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

#: Times the threshold.
STEPS = (2, 5, 20)


def reached(count: int, threshold: int) -> int:
    """How many of the :data:`STEPS` a count in a window has reached.

    >>> [reached(count, 50) for count in (51, 100, 249, 250, 999, 1000)]
    [0, 1, 1, 2, 2, 3]
    """
    return bisect_right(STEPS, count // max(1, threshold))


def all_reached(counts: NDArray[np.int64], threshold: int) -> NDArray[np.intp]:
    """The same of each of some counts."""
    steps: NDArray[np.intp] = np.searchsorted(STEPS, counts // max(1, threshold), side="right")
    return steps


def times(count: int, threshold: int) -> int:
    """How many times the threshold a count is, as far as there is a step: 1 below the first.

    >>> [times(count, 50) for count in (51, 100, 249, 250, 999, 1000)]
    [1, 2, 2, 5, 5, 20]
    """
    return (1, *STEPS)[reached(count, threshold)]
