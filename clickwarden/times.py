"""How a moment is written and read."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=4096)
def isotime(seconds: float) -> str:
    """ISO-8601 in UTC, to the millisecond where there is a fraction.

    >>> isotime(1431936300), isotime(1431936300.25)
    ('2015-05-18T08:05:00Z', '2015-05-18T08:05:00.250Z')
    """
    moment = datetime.fromtimestamp(seconds, UTC)
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def epoch(text: str) -> float:
    """Epoch seconds of a moment in ISO-8601; in UTC where it names no zone.

    >>> epoch("2015-05-18T08:05:00.250Z"), epoch("2015-05-18T08:05:00")
    (1431936300.25, 1431936300.0)

    Raises:
        ValueError, OverflowError: it is none.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
