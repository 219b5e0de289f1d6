"""What is read of a record: the fields of a pipeline, and what becomes of values that are odd.

A value that cannot be what its field is counts as missing. Nothing that a record holds raises.
"""

import math
import re
from typing import Any, Literal

import msgspec

from clickwarden.formats.timestamps import scaled
from clickwarden.times import epoch

#: A moment that is missing, in epoch milliseconds.
NO_TIME = -(2**63)
#: Moments are of the years 1 to 9999, in epoch milliseconds.
EARLIEST, LATEST = -62_135_596_800_000, 253_402_300_799_999
#: The longest text that is looked at, in characters; a longer one is cut there.
TEXT_MAX = 256
#: The most that a number on a grid may have, in steps of the grid, either way.
STEPS_MAX = 2**31 - 1
#: The finest and the coarsest grid.
GRID_MIN, GRID_MAX = 1e-9, 1e9

_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_BOOLS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
_EXACT = 2.0**53


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field of the records of a pipeline, as it stands in ``pipeline.toml``.

    Attributes:
        type: what its values are.
        grid: of a number: the step to which windows round it, so that sums are exact.
    """

    type: Literal["number", "integer", "text", "bool", "time"]
    grid: float | None = None

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            ValueError: the grid is none, or of what has none.
        """
        if self.grid is None:
            return
        if self.type != "number":
            raise ValueError("grid: only a number has one; take it out")
        if not GRID_MIN <= self.grid <= GRID_MAX:
            raise ValueError(f"grid: {self.grid:g} is not {GRID_MIN:g} to {GRID_MAX:g}; write a step as 0.01")

    @property
    def step(self) -> float | None:
        """The step to which windows round its values; None where it has none."""
        return 1.0 if self.type in ("integer", "bool") else self.grid


def number(value: Any) -> float:
    """A number of a record; NaN where it is none, or infinite.

    >>> number(3), number(" 2.5e1 "), number(True), number("1_000"), number("inf")
    (3.0, 25.0, 1.0, nan, nan)
    """
    if isinstance(value, str):
        if len(value) > TEXT_MAX or not _NUMBER.fullmatch(value):
            return math.nan
    elif not isinstance(value, (int, float)):
        return math.nan
    try:
        found = float(value)
    except OverflowError:
        return math.nan
    return found if math.isfinite(found) else math.nan


def boolean(value: Any) -> float:
    """Yes or no, as 1 and 0; NaN for what is neither.

    >>> boolean(True), boolean(0), boolean("False"), boolean("maybe")
    (1.0, 0.0, 0.0, nan)
    """
    if isinstance(value, str):
        return _BOOLS.get(value.strip().lower(), math.nan) if len(value) <= TEXT_MAX else math.nan
    return float(value) if isinstance(value, (bool, int, float)) and value in (0, 1) else math.nan


def text(value: Any) -> str | None:
    """Text of a record, or a number or a truth as JSON writes it; None where it is none, or empty.

    >>> text("DE"), text(17), text(17.0), text(True), text(""), text(["DE"])
    ('DE', '17', '17', 'true', None, None)
    """
    if isinstance(value, str):
        return value[:TEXT_MAX] or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if -(2**63) <= value < 2**64 else None
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
    return None


def moment(value: Any) -> int:
    """A moment of a record in epoch milliseconds; NO_TIME where it is none.

    A number is epoch seconds, or by its magnitude milliseconds, microseconds or nanoseconds; text is a number
    or ISO-8601, in UTC where it names no zone. What is before 1970 is negative.

    >>> moment(1431936343.25), moment(1431936343250), moment("2015-05-18T08:05:43.250Z"), moment(-1.5)
    (1431936343250, 1431936343250, 1431936343250, -1500)
    >>> moment(-1e308) == moment("-1e308") == moment(1e308) == NO_TIME
    True
    """
    if isinstance(value, bool):
        return NO_TIME
    seconds = number(value)
    if math.isnan(seconds):
        if not isinstance(value, str) or len(value) > TEXT_MAX:
            return NO_TIME
        try:
            seconds = epoch(value.strip())
        except (ValueError, OverflowError):
            return NO_TIME
    else:
        seconds = scaled(seconds)
    if not math.isfinite(seconds * 1000):
        return NO_TIME
    found = round(seconds * 1000)
    return found if EARLIEST <= found <= LATEST else NO_TIME
