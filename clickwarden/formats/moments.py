"""When, as logs write it."""

import re
from datetime import UTC, datetime
from math import isfinite, nan

from clickwarden.formats.timestamps import EARLIEST, LATEST
from clickwarden.times import epoch

#: Moments that are remembered; beyond that all are forgotten, and read again.
REMEMBERED = 100_000
#: A number from here on is in milliseconds, microseconds, nanoseconds; in the unit before, the year 5138.
UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))

_CLF = re.compile(r"(\d\d/[A-Z][a-z]{2}/\d{4})[: ](\d\d:\d\d):(\d\d)(?:[.,](\d+))?(?: ?([+-]\d\d:?\d\d|Z))?")
_NUMBER = re.compile(r"\d{9,}(?:\.\d+)?")


class Moments(dict[str, float]):
    """Epoch seconds by what a log writes; NaN for what is no moment from 1971 on.

    Read are an access log's time stamp (``10/Mar/2026:14:20:00 +0000``, also
    with a fraction), ISO-8601, and a number of seconds, milli-, micro- or
    nanoseconds. Where no zone is named it is UTC.

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
        except (ValueError, OverflowError):
            moment = nan
        self[stamp] = moment = moment if isfinite(moment) and EARLIEST <= moment <= LATEST else nan
        return moment

    def _read(self, stamp: str) -> float:
        if self._pattern:
            moment = datetime.strptime(stamp, self._pattern)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if found := _CLF.fullmatch(stamp):
            day, minute, second, fraction, zone = found.groups()
            key = day, minute, zone or "Z"
            if key not in self._minutes:
                self._minutes[key] = datetime.strptime(" ".join(key), "%d/%b/%Y %H:%M %z").timestamp()
            return self._minutes[key] + int(second) + float(f"0.{fraction or 0}")
        if _NUMBER.fullmatch(stamp):
            return seconds(float(stamp))
        return epoch(stamp)


def seconds(number: float) -> float:
    """Epoch seconds of a number whose unit its size tells."""
    return next((number / unit for least, unit in UNITS if number >= least), number)
