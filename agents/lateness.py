"""What the worker's log says of clicks that come late."""

import logging
import math
from time import monotonic

from faust.types import TP

from clickwarden.detection.detection import Detection
from clickwarden.settings import Settings

log = logging.getLogger(__name__)

#: Late clicks are told of so often.
TELL_SECONDS = 60.0


class Lateness:
    """Tells how many clicks of a partition came late since it told of some.

    Args:
        tp: the partition's name in Kafka.
        detection: of the partition.
        settings: that bound how late a click may come.

    Attributes:
        by_silence: late clicks that would have been in time, had not wall clock closed their window.
    """

    def __init__(self, tp: TP, detection: Detection, settings: Settings) -> None:
        self.by_silence = 0
        self._tp = tp
        self._detection = detection
        self._settings = settings
        self._told_late, self._told_uncounted = detection.late, detection.uncounted
        self._told_by_silence = 0
        self._told_at = -math.inf

    def tell(self) -> None:
        """Log what is new, if it is long enough ago that something was."""
        late = self._detection.late - self._told_late
        uncounted = self._detection.uncounted - self._told_uncounted
        by_silence = self.by_silence - self._told_by_silence
        if not late or monotonic() - self._told_at <= TELL_SECONDS:
            return
        self._told_late, self._told_uncounted = self._detection.late, self._detection.uncounted
        self._told_by_silence = self.by_silence
        self._told_at = monotonic()
        if late > uncounted:
            counted = late - uncounted
            log.info("%s: %s clicks came when their window was closed, and are counted", self._tp, counted)
        if by_silence:
            log.warning(
                "%s: %s clicks were late only because wall clock had closed their window behind a silence; "
                "where whatever sends them pauses, CLICKWARDEN_IDLE_TIMEOUT=%g s has to be longer than that",
                self._tp,
                by_silence,
                self._settings.idle_timeout,
            )
        if uncounted:
            log.warning(
                "%s: %s clicks came too late to be counted; they are in %s. A closed window takes clicks for "
                "CLICKWARDEN_LATE_LIMIT=%g s",
                self._tp,
                uncounted,
                self._settings.late_topic,
                self._settings.late_limit,
            )
