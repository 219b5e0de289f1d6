"""Pieces of JSON that are no object and no list, as they were written."""

from types import NoneType
from typing import Any

import msgspec

from clickwarden.detection import clauses
from clickwarden.errors import ClickError
from clickwarden.formats.json import UNREADABLE

_KINDS = {
    b"{": "object",
    b"[": "array",
    b'"': "text",
    b"t": "bool",
    b"f": "bool",
    b"n": "null",
    b"": "nothing",
}
_SPACES = b" \t\r\n"
#: A whole number of more is none to Python.
DIGITS_MAX = 4300

_decode = msgspec.json.Decoder().decode


class Number(str):
    """A JSON number, as it was written."""

    @property
    def is_whole(self) -> bool:
        """Whether it was written without point and exponent."""
        return self.removeprefix("-").isdigit()


def kind_of(value: bytes) -> str:
    """What a piece of JSON, which is not looked into, is."""
    first = value[:1]
    return _KINDS.get(first if first not in _SPACES else value.lstrip(_SPACES)[:1], "number")


def scalar(value: bytes) -> Any:
    """What a piece of JSON is: text, a :class:`Number`, true or false; None for null.

    Raises:
        ClickError: it is a list or an object, or text that is none.
    """
    kind = "text" if value[:1] == b'"' else kind_of(value)
    if kind in ("array", "object"):
        raise ClickError("wrong_field", f"expected text or a number, got {kind}")
    try:
        return Number(value.decode()) if kind == "number" else _decode(value)
    except UNREADABLE as error:
        raise ClickError("not_json", str(error)) from None


def text_of(found: Any) -> str | None:
    """What stands in a field as conditions see it: see :func:`clickwarden.detection.clauses.text_of`."""
    if not isinstance(found, Number):
        return clauses.text_of(found)
    if found.is_whole:
        return None if len(found.removeprefix("-")) > DIGITS_MAX else "0" if found == "-0" else str(found)
    return clauses.text_of(float(found))


class _Texts(dict[Any, str | None]):
    def __missing__(self, found: Any) -> str | None:
        text = self[found] = text_of(found)
        return text


def texts_of(column: list[Any]) -> list[str | None]:
    """The same of what stands there in several clicks, as a parser that knows no :class:`Number` has it."""
    kinds = set(map(type, column))
    if kinds <= {str, NoneType}:
        return column
    # Each once; not so those that are equal to what is another text, as true is to 1.
    return list(map(_Texts().__getitem__ if kinds <= {str, NoneType, int} else text_of, column))
