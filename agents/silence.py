"""How long a partition has brought nothing, and how far that lets its event time go on."""

import math
from collections.abc import Sequence
from time import monotonic

from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule

#: Silence after which a single newest click is believed.
MOMENT_SECONDS = 0.5
#: The longest pause between two pieces of a stream that is taken for one, seconds.
PIECE_SECONDS = 300.0


class Silence:
    """Since when a partition has brought nothing.

    Args:
        detection: of the partition.
        idle_timeout: seconds of silence after which nothing is on its way any more.
    """

    def __init__(self, detection: Detection, idle_timeout: float) -> None:
        self._detection = detection
        self._idle_timeout = idle_timeout
        self._since = monotonic()

    def begin(self) -> None:
        """Begin now: something came, or nobody could know whether something did."""
        self._since = monotonic()

    def seconds(self, rules: Sequence[Rule]) -> float | None:
        """By how many seconds it lets event time go on; None where it says nothing.

        After a moment the newest click may be the time, though no other has
        come to agree: nobody has come to disagree.
        """
        silence = monotonic() - self._since
        if silence >= self._patience(rules):
            return silence
        return 0.0 if silence >= MOMENT_SECONDS and self._detection.leaps else None

    def _patience(self, rules: Sequence[Rule]) -> float:
        """Seconds of silence after which nothing is on its way any more.

        Where clicks came unevenly, some later than others by more than from one
        window to the next, a collector ships them in pieces: the next piece may take as
        long as the last one did.
        """
        spread = self._detection.delays.spread
        uneven = spread > min((rule.step for rule in rules), default=math.inf)
        return self._idle_timeout + (min(spread, PIECE_SECONDS) if uneven else 0.0)
