"""Where a field of a click stands: what the settings may say of it, and what a record itself says.

A field is a path, or several with ``|`` between, of which the first counts
that holds something: ``context.traits.userId|anonymousId|@key``.

| written | found |
|---|---|
| ``uid`` | under this name, at the top |
| ``context.traits.userId`` | under this very name, or else in objects within objects |
| ``items.0.id`` | in the first of a list |
| ``@key`` | in the record's key |
| ``@header:x-user`` | in the last of its headers with this name |
| ``@timestamp`` | it is Kafka's own time stamp |
| ``@field:@timestamp`` | under the very name behind the colon, whatever signs are in it |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from clickwarden.errors import ClickError
from clickwarden.formats.timestamps import MICROSECONDS_FROM


class Record(Protocol):
    """What is read of a Kafka record."""

    @property
    def offset(self) -> int:
        """Where it stands in its partition."""

    @property
    def timestamp(self) -> int:
        """Its time stamp, epoch milliseconds."""

    @property
    def timestamp_type(self) -> int | None:
        """1 where the time stamp is Kafka's own, else its producer made it (KIP-32)."""

    @property
    def key(self) -> bytes | None:
        """The key; None where there is none."""

    @property
    def value(self) -> bytes | None:
        """The value; None: a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """What is said about it; a name may be given twice."""


class Path(NamedTuple):
    """Names that lead to a field, from the top of an object; those of digits lead into lists too."""

    names: tuple[str, ...]

    @property
    def is_dotted(self) -> bool:
        """Whether it is a single name, that looks like a path."""
        return len(self.names) == 1 and "." in self.names[0]


def is_place(name: str) -> bool:
    """Whether a name on a path may be a place in a list, from 0."""
    return name.isascii() and name.isdigit() and len(name) < 5


@dataclass(frozen=True)
class Key:
    """The record's key."""

    def of(self, record: Record) -> str | None:
        """The key as text; None where there is none.

        Raises:
            ClickError: it is no text.
        """
        return None if record.key is None else _text(record.key, "@key")


@dataclass(frozen=True)
class Header:
    """One of the record's headers."""

    name: str

    def of(self, record: Record) -> str | None:
        """The last of this name as text; None where there is none.

        Raises:
            ClickError: it is no text.
        """
        value = dict(record.headers).get(self.name)
        return None if value is None else _text(value, f"@header:{self.name}")


@dataclass(frozen=True)
class Stamp:
    """The record's time stamp."""

    def of(self, record: Record) -> float | None:
        """Epoch seconds; None where there is none, or its producer has made up one of a far year."""
        return record.timestamp / 1000.0 if 0 <= record.timestamp < MICROSECONDS_FROM else None


#: Places, in the order in which they are looked at.
Places = tuple[Path | Key | Header | Stamp, ...]


def places(written: str) -> Places:
    """The places that a setting names, by the table above.

    >>> places("user.id|@key")
    (Path(names=('user.id',)), Path(names=('user', 'id')), Key())
    """
    found: list[Path | Key | Header | Stamp] = []
    for one in written.split("|"):
        if one == "@key":
            found.append(Key())
        elif one == "@timestamp":
            found.append(Stamp())
        elif one.startswith("@header:"):
            found.append(Header(one.removeprefix("@header:")))
        else:
            name = one.removeprefix("@field:")
            found.append(Path((name,)))
            if name == one and "." in name:
                found.append(Path(tuple(name.split("."))))
    return tuple(found)


def places_of(names: Mapping[str, str]) -> dict[str, Places]:
    """The places of each field of a click, by our own names."""
    return {field: places(written) for field, written in names.items()}


def _text(value: bytes, place: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ClickError("wrong_field", f"{place} is not UTF-8") from None
