"""Features of a record by itself."""

import math

import numpy as np
import xxhash
from numpy.typing import NDArray

from clickwarden.models.fields import NO_TIME
from clickwarden.models.kinds import Feature
from clickwarden.models.records import Words
from clickwarden.models.windows import NO_TEXT

#: Hashes of values that are remembered.
_KNOWN_MAX = 200_000
_DAY = 1440
#: Sine and cosine of each minute of the day.
_CLOCK = np.array(
    [(math.sin(math.tau * minute / _DAY), math.cos(math.tau * minute / _DAY)) for minute in range(_DAY)],
    np.float32,
)
#: The float above zero whose logarithm is looked for, in halves around 1.
_HALF = math.sqrt(0.5)
#: The logarithm of 2 in two parts, of which multiples of the first are exact.
_LN2_HIGH, _LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
#: Terms of the series of the logarithm.
_TERMS = 12


class Hashes:
    """32 bits of each text, never 0."""

    def __init__(self) -> None:
        self._known: dict[str | None, int] = {None: NO_TEXT}

    def of(self, column: Words) -> NDArray[np.uint32]:
        """uint32[n]; NO_TEXT for what is missing."""
        known = self._known
        if len(known) > _KNOWN_MAX:
            known.clear()
            known[None] = NO_TEXT
        for word in column.words:
            if word is not None and word not in known:
                found = xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass")) & 0xFFFF_FFFF
                known[word] = found or 1
        hashes: NDArray[np.uint32] = np.array([known[word] for word in column.words], np.uint32)[column.which]
        return hashes


def log1p(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of 1 + the size of each value, with its sign; NaN stays.

    By basic operations alone, which IEEE 754 rounds in one way; what a mathematical library makes of the
    last bit differs between machines.

    >>> log1p(np.array([0.0, 1.0, -1.0, 1e-12, 1e300])).round(6).tolist()
    [0.0, 0.693147, -0.693147, 0.0, 690.775528]
    """
    size = np.abs(values)
    whole = 1.0 + size
    mantissa, exponent = np.frexp(whole)
    low = mantissa < _HALF
    mantissa = np.where(low, mantissa * 2.0, mantissa)
    exponent = (exponent - low).astype(np.float64)
    part = (mantissa - 1.0) / (mantissa + 1.0)
    square = part * part
    series = np.zeros(len(values))
    for term in range(_TERMS, -1, -1):
        series = series * square + 1.0 / (2 * term + 1)
    logarithm = exponent * _LN2_HIGH + (2.0 * part * series + exponent * _LN2_LOW)
    lost = whole - 1.0
    near = np.where(lost == 0, size, logarithm * (size / np.where(lost == 0, 1.0, lost)))
    return np.copysign(np.where(size < 1.0, near, logarithm), values)


def clock(moments: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32[n, 2], sine and cosine of the minute of the day in UTC; NaN where there is no moment."""
    found: NDArray[np.float32] = _CLOCK[moments // 60_000 % _DAY]
    found[moments == NO_TIME] = np.nan
    return found


def one_hot(feature: Feature, column: Words) -> NDArray[np.float32]:
    """float32[n, words + 1], 1 in the column of the word, or in the last; nothing where it is missing."""
    places: dict[str | None, int] = {word: place for place, word in enumerate(feature.vocabulary)}
    other = len(places)
    places[None] = other + 1
    words = np.zeros((len(column.words), other + 2), np.float32)
    words[np.arange(len(words)), [places.get(word, other) for word in column.words]] = 1
    found: NDArray[np.float32] = words[column.which, :-1]
    return found


def hashed(feature: Feature, hashes: NDArray[np.uint32]) -> NDArray[np.float32]:
    """float32[n, columns], 1 in the column that the hash falls into; nothing where it is missing."""
    found = np.zeros((len(hashes), feature.columns), np.float32)
    found[np.arange(len(hashes)), hashes % np.uint32(feature.columns)] = 1
    found[hashes == NO_TEXT] = 0
    return found
