"""When a click happened: by a number's magnitude, by ISO-8601, or by a pattern of the settings."""

import math
import re
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from clickwarden.errors import ClickError
from clickwarden.times import epoch

#: From here on a number is epoch milliseconds, microseconds, nanoseconds (in the unit before it would be the
#: year 5138), and how many of them make a second.
MILLISECONDS_FROM, MICROSECONDS_FROM, NANOSECONDS_FROM = 1e11, 1e14, 1e17
UNITS = ((NANOSECONDS_FROM, 1e9), (MICROSECONDS_FROM, 1e6), (MILLISECONDS_FROM, 1e3))

#: No click is earlier, epoch seconds: a number that would be in 1970 counts something else.
EARLIEST = 31_536_000
#: No click is later, epoch seconds: years have four digits.
LATEST = 250_000_000_000

#: Other ways to write a time, and what says so; of several that fit the first is the likeliest.
PATTERNS = (
    (r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", "%d/%b/%Y:%H:%M:%S %z"),
    (r"[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", "%a, %d %b %Y %H:%M:%S GMT"),
    (r"[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "%a, %d %b %Y %H:%M:%S %z"),
    (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", "%Y/%m/%d %H:%M:%S"),
    (r"\d{14}", "%Y%m%d%H%M%S"),
    (r"\d\d?/\d\d?/\d{4} \d\d?:\d\d:\d\d", "%m/%d/%Y %H:%M:%S"),
    (r"\d\d?/\d\d?/\d{4} \d\d?:\d\d:\d\d", "%d/%m/%Y %H:%M:%S"),
    (r"\d\d?/\d\d?/\d{4} \d\d?:\d\d:\d\d [AP]M", "%m/%d/%Y %I:%M:%S %p"),
    (r"\d\d?/\d\d?/\d{4} \d\d?:\d\d", "%m/%d/%Y %H:%M"),
    (r"\d\d?/\d\d?/\d{4} \d\d?:\d\d", "%d/%m/%Y %H:%M"),
    (r"\d\d?/\d\d?/\d{4} \d\d?:\d\d [AP]M", "%m/%d/%Y %I:%M %p"),
    (r"\d\d?\.\d\d?\.\d{4} \d\d?:\d\d:\d\d", "%d.%m.%Y %H:%M:%S"),
    (r"\d\d?\.\d\d?\.\d{4}, \d\d?:\d\d:\d\d", "%d.%m.%Y, %H:%M:%S"),
    (r"\d\d?\.\d\d?\.\d{4} \d\d?:\d\d", "%d.%m.%Y %H:%M"),
    (r"\d\d?-\d\d?-\d{4} \d\d?:\d\d:\d\d", "%d-%m-%Y %H:%M:%S"),
    (r"\d\d?-\d\d?-\d{4} \d\d?:\d\d", "%d-%m-%Y %H:%M"),
    (r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}", "%a %b %d %H:%M:%S %Y"),
    (r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d UTC \d{4}", "%a %b %d %H:%M:%S UTC %Y"),
    (r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [+-]\d{4} \d{4}", "%a %b %d %H:%M:%S %z %Y"),
    (r"[A-Z][a-z]{2} \d\d?, \d{4} \d\d?:\d\d:\d\d [AP]M", "%b %d, %Y %I:%M:%S %p"),
    (r"\d{4}-\d\d-\d\d-\d\d[.:]\d\d[.:]\d\d(\.\d+)?", "%Y-%m-%d-%H.%M.%S.%f"),
    (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{1,6}", "%Y/%m/%d %H:%M:%S.%f"),
)

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?", re.ASCII)
#: ISO-8601 writes 20260310 for a date, which as a number would be in 1970.
_DATE = re.compile(r"\d{8}", re.ASCII)
#: A zone as others write it behind the time: " UTC", " +0000", " +0000 UTC", "+01:00[Europe/Berlin]".
_ZONE = re.compile(
    r" ?(?:z|utc|gmt|(?P<offset>[+-]\d\d:?\d\d))(?: (?:utc|gmt))?(?:\[[\w/+-]+\])?$", re.ASCII | re.I
)


def seconds(timestamp: float | str, pattern: str = "") -> float:
    """Epoch seconds of a click's ``timestamp``.

    Args:
        timestamp: a number, or text: a number, ISO-8601 in its usual spellings, or what the pattern says.
            What names no zone is UTC.
        pattern: as :meth:`datetime.strptime` has them; empty for none.

    >>> seconds(1431936343), seconds(1431936343000), seconds("1431936343000000")
    (1431936343.0, 1431936343.0, 1431936343.0)
    >>> seconds("2015-05-18T08:05:43Z"), seconds("2015-05-18 08:05:43,5 +0000")
    (1431936343.0, 1431936343.5)
    >>> seconds("18/May/2015:08:05:43 +0000", "%d/%b/%Y:%H:%M:%S %z")
    1431936343.0

    Raises:
        ClickError: it is no point in time from 1971 on.
    """
    try:
        value = scaled(float(timestamp)) if not isinstance(timestamp, str) else _of_text(timestamp, pattern)
    except (ValueError, OverflowError) as error:
        raise ClickError("bad_timestamp", str(error)) from None
    if not math.isfinite(value) or value < EARLIEST:
        raise ClickError("bad_timestamp", f"{timestamp!r}")
    return value


def patterns_of(text: str) -> list[str]:
    """The patterns by which a text is a time, the likeliest first; none for one that needs no pattern.

    >>> patterns_of("03/04/2026 12:00"), patterns_of("03/14/2026 12:00"), patterns_of("2026-03-04T12:00")
    (['%m/%d/%Y %H:%M', '%d/%m/%Y %H:%M'], ['%m/%d/%Y %H:%M'], [])
    """
    return [pattern for shape, pattern in PATTERNS if re.fullmatch(shape, text) and _reads(pattern, text)]


def _reads(pattern: str, text: str) -> bool:
    try:
        datetime.strptime(text, pattern)
    except ValueError:
        return False
    return True


def scaled(number: float) -> float:
    """Epoch seconds of a number, by its magnitude."""
    for least, a_second in UNITS:
        if number >= least:
            return number / a_second
    return number


def scale(numbers: NDArray[np.float64]) -> None:
    """Make numbers, in place, epoch seconds by their magnitudes."""
    if numbers.max(initial=0) >= MILLISECONDS_FROM:
        a_second = np.ones(len(numbers))
        for least, unit in reversed(UNITS):
            a_second[numbers >= least] = unit
        numbers /= a_second


def _of_text(text: str, pattern: str) -> float:
    text = text.strip(" ")
    if pattern:
        try:
            moment = datetime.strptime(text, pattern)
        except ValueError:
            pass
        else:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if _NUMBER.fullmatch(text) and not _DATE.fullmatch(text):
        return scaled(float(text))
    try:
        return epoch(text)
    except ValueError:
        return epoch(_ZONE.sub(lambda found: found["offset"] or "Z", text))
