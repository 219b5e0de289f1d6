"""Pieces of JSON that are no object and no list, as they were written."""

from typing import Any

import msgspec

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
