"""When, as logs write it."""

import re
from datetime import datetime
from math import nan

from clickwarden.errors import ClickError
from clickwarden.formats.timestamps import EARLIEST, LATEST, seconds

#: Moments that are remembered; beyond that all are forgotten, and read again.
REMEMBERED = 100_000
_CLF = re.compile(r"(\d\d/[A-Z][a-z]{2}/\d{4})[: ](\d\d:\d\d):(\d\d)(?:[.,](\d+))?(?: ?([+-]\d\d:?\d\d|Z))?")


class Moments(dict[str, float]):
    """Epoch seconds by what a log writes; NaN for what is no moment from 1971 on.

    Read are an access log's time stamp (``10/Mar/2026:14:20:00 +0000``, also
    with a fraction), and what is read in records
    (:func:`~clickwarden.formats.timestamps.seconds`). Where no zone is named
    it is UTC.

    Args:
        pattern: of :meth:`datetime.strptime`, for what is written in another way.

    >>> moments = Moments()
    >>> moments["10/Mar/2026:16:20:00.250 +0200"], moments["2026-03-10 14:20:00"], moments["1773152400000"]
    (1773152400.25, 1773152400.0, 1773152400.0)
    """

    def __init__(self, pattern: str = "") -> None:
        self._pattern = pattern
        self._minutes: dict[tuple[str, str, str], float] = {}

    def __missing__(self, stamp: str) -> float:
        """Read it, and remember."""
        if len(self) >= REMEMBERED:
            self.clear()
            self._minutes.clear()
        try:
            moment = self._read(stamp)
        except (ClickError, ValueError):
            moment = nan
        self[stamp] = moment = moment if EARLIEST <= moment <= LATEST else nan
        return moment

    def _read(self, stamp: str) -> float:
        if found := not self._pattern and _CLF.fullmatch(stamp):
            day, minute, second, fraction, zone = found.groups()
            key = day, minute, zone or "Z"
            if key not in self._minutes:
                self._minutes[key] = datetime.strptime(" ".join(key), "%d/%b/%Y %H:%M %z").timestamp()
            return self._minutes[key] + int(second) + float(f"0.{fraction or 0}")
        return seconds(stamp, self._pattern)
