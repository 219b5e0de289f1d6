"""What a record holds: one click, several, or none, bare or in an envelope; and where in it a field stands.

This reads one record at a time and whatever it may be; :mod:`~clickwarden.formats.shapes` reads a run of
equal ones at once. What nobody reads is skipped, and is no error.

| a record | its clicks |
|---|---|
| JSON object that has user, event and time | itself |
| JSON array; ``{"records": [...]}``, or one of :data:`LISTS` | each element, an envelope or not |
| JSON in a JSON text; behind the five bytes of a schema registry | what the JSON is |
| Debezium: ``op`` with ``before`` or ``after`` | ``after`` of inserts; others are ignored |
| the same unwrapped: a row with ``__op`` or ``__deleted`` | the row, of inserts; others are ignored |
| Kafka Connect: ``schema`` and ``payload`` | ``payload``, an envelope or not |
| CloudEvents: ``specversion`` and ``data``, or headers ``ce_…`` | ``data``, or the value |
| Snowplow's enriched event | the line, its columns by name |

Where a click lacks its user, event or time, what it lacks is looked for in its envelopes, the nearest first.
"""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from clickwarden.errors import ClickError
from clickwarden.formats.debezium import BORN, KNOWN, UNWRAPPED
from clickwarden.formats.fields import Header, Key, Path, Places, Record, Stamp, is_place
from clickwarden.formats.flat import Flat, FlatClick
from clickwarden.formats.json import DEPTH_MAX, FRAME, THINGS_MAX, UNREADABLE, is_deep, is_framed
from clickwarden.formats.scalars import kind_of, scalar
from clickwarden.formats.snowplow import COLUMNS

#: Envelopes in envelopes.
LAYERS = 6

#: Members of an object, as JSON, by name: those that may be read.
Members = Mapping[str, bytes]

#: What others call the list of clicks in a record, as it is looked for.
LISTS = ("records", "events", "batch", "clicks", "data")

_ENVELOPES = frozenset(
    {
        *(*LISTS, *UNWRAPPED),
        *("schema", "payload", "op", "before", "after", "specversion", "data", "data_base64"),
    }
)
#: That many columns at least, the fourth of which is a time: no JSON is like that.
_SNOWPLOW = re.compile(rb"(?:[^\t]*\t){3}\d{4}-\d\d-\d\d [^\t]*\t(?:[^\t]*\t){8}")


class Fault(NamedTuple):
    """Why something is no click: no error, whose traceback would keep what was read."""

    reason: str
    detail: str


class Surroundings:
    """What surrounds a record's value; each place is looked at once, however many clicks are in the value."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._found: dict[Key | Header | Stamp, Any] = {}

    def find(self, place: Key | Header | Stamp) -> Any:
        """What stands there; None where nothing does, and a :class:`Fault` where it is no text."""
        if place not in self._found:
            try:
                self._found[place] = place.of(self._record)
            except ClickError as error:
                self._found[place] = Fault(error.reason, error.detail)
        return self._found[place]


class Scope:
    """Where the fields of a click may be: an object, or another envelope; each is looked for once.

    Args:
        members: of the object.
        fields: where they stand.
        around: what surrounds the record's value.
        value: the object as it stands there; empty where it is no JSON.
    """

    def __init__(
        self, members: Members, fields: Mapping[str, Places], around: Surroundings, value: bytes = b""
    ) -> None:
        self.members = members
        self.value = value
        self._fields = fields
        self._around = around
        self._found: dict[str, Any] = {}

    def has(self, field: str) -> bool:
        """Whether any of the field's places holds something, whatever it is."""
        return any(self._at(place) is not None for place in self._fields[field])

    def find(self, field: str) -> Any:
        """What stands in the first of the field's places that holds something.

        Text, a :class:`~clickwarden.formats.scalars.Number`, a float of Kafka's own, true or false; None
        where there is nothing in any, or null. What is empty counts where nothing else is there.

        Raises:
            ClickError: a place holds no text and no number.
        """
        if field not in self._found:
            try:
                self._found[field] = self._look(field)
            except ClickError as error:
                self._found[field] = Fault(error.reason, error.detail)
        found = self._found[field]
        if isinstance(found, Fault):
            raise ClickError(*found)
        return found

    def _look(self, field: str) -> Any:
        empty: Any = None
        for place in self._fields[field]:
            found = self._at(place)
            if isinstance(found, Fault):
                return found
            if isinstance(found, bytes):
                found = scalar(found)
            if found == "":
                empty = ""
            elif found is not None:
                return found
        return empty

    def _at(self, place: Path | Key | Header | Stamp) -> Any:
        if not isinstance(place, Path):
            return self._around.find(place)
        value = self.members.get(place.names[0])
        if len(place.names) > 1 and value is not None:
            value = _walk(value, place.names[1:])
        return None if value == b"null" else value


class Held(NamedTuple):
    """Something that a record holds.

    Attributes:
        value: the JSON object, or the line.
        scopes: the object and the envelopes around it, the innermost first.
        fault: why it is no click, where that is known.
        ignored: whether it says that nothing was clicked.
    """

    value: bytes
    scopes: tuple[Scope, ...] = ()
    fault: Fault | None = None
    ignored: bool = False

    def find(self, field: str) -> Any:
        """A field of a click, by our own name: see :meth:`Scope.find`."""
        for scope in self.scopes:
            found = scope.find(field)
            if found is not None:
                return found
        return None


class Unwrapping:
    """Takes clicks out of what they come in.

    Args:
        fields: where a click's fields stand.
        further: where other fields do that are read, too.
    """

    def __init__(self, fields: Mapping[str, Places], further: Mapping[str, Places] | None = None) -> None:
        further = further or {}
        self._fields = {**further, **fields}
        paths = [place for places in self._fields.values() for place in places if isinstance(place, Path)]
        self._names = frozenset(path.names[0] for path in paths) | _ENVELOPES
        self._columns = [(number, name) for number, name in enumerate(COLUMNS) if name in self._names]
        self._flat = Flat.of(fields, further, _ENVELOPES, UNWRAPPED)

    def held(self, value: bytes, record: Record) -> Sequence[Held | FlatClick]:
        """What a record with this value holds, one thing at least.

        Raises:
            ClickError: it is nothing that is known here.
        """
        bare = value[FRAME:] if is_framed(value) else value
        if self._flat is not None and (click := self._flat.click(bare, bare=not record.headers)):
            return [click]
        return self.unwrapped(bare, record)

    def unwrapped(self, value: bytes, record: Record) -> list[Held]:
        """The same of a value with nothing before it, and each thing with all its envelopes.

        Raises:
            ClickError: it is nothing that is known here.
        """
        around = Surroundings(record)
        if b"\t" in value and _SNOWPLOW.match(value):
            return [Held(value, (Scope(self._line(value), self._fields, around),))]
        _check(value)
        attributes = _attributes(record)
        scopes = (Scope(attributes, self._fields, around),) if "specversion" in attributes else ()
        found = list(islice(self._unwrap(value, scopes, around, LAYERS), THINGS_MAX + 1))
        if len(found) > THINGS_MAX:
            raise ClickError("too_many", f"more than {THINGS_MAX:,}")
        return found or [Held(value, ignored=True)]

    def _unwrap(
        self, value: bytes, scopes: tuple[Scope, ...], around: Surroundings, layers: int
    ) -> Iterator[Held]:
        """What is in a value that has these envelopes around it, and may have so many in it."""
        kind = kind_of(value)
        try:
            if kind == "object":
                yield from self._open(value, scopes, around, layers)
            elif kind == "array" and layers:
                for element in elements(value):
                    if kind_of(element) == "array":
                        yield Held(element, fault=Fault("not_object", "array in an array"))
                    else:
                        yield from self._unwrap(element, scopes, around, layers - 1)
            elif kind == "text" and layers and (inner := _inner(value)):
                yield from self._unwrap(inner, scopes, around, layers - 1)
            else:
                yield Held(value, fault=Fault("not_object", kind))
        except ClickError as error:
            yield Held(value, fault=Fault(error.reason, error.detail))

    def _open(
        self, value: bytes, scopes: tuple[Scope, ...], around: Surroundings, layers: int
    ) -> Iterator[Held]:
        scope = Scope(_members(value, self._names), self._fields, around, value)
        if all(map(scope.has, ("user_id", "event", "timestamp"))):
            yield Held(value, (scope,), ignored=_is_known(scope.members))
            return
        scopes = (scope, *scopes)
        content = _content(scope.members) if layers else b""
        if (
            content
            and scope.has("event")
            and kind_of(content) == "array"
            and not any(map(_holds, elements(content)))
        ):
            content = b""  # a click that names its own event, and something else a list
        if content is None:
            yield Held(value, scopes, ignored=True)
        elif content:
            yield from self._unwrap(content, scopes, around, layers - 1)
        else:
            yield Held(value, scopes, ignored=_is_known(scope.members))

    def _line(self, value: bytes) -> Members:
        columns = value.split(b"\t")
        return _texts((name, columns[number]) for number, name in self._columns if number < len(columns))


def _content(members: Members) -> bytes | None:
    """What is in the envelope with these members: empty where it is none, None where nothing was clicked."""
    held = {name: raw for name, raw in members.items() if raw != b"null"}
    for name in LISTS:
        if kind_of(held.get(name, b"")) == "array":
            return held[name]
    if "schema" in members and "payload" in held:
        return held["payload"]
    if "op" in held and members.keys() & {"before", "after"}:
        operation = scalar(held["op"])
        if operation in KNOWN:
            return None
        if operation == BORN:
            return held.get("after", b"")
    if "specversion" in held and held.keys() & {"data", "data_base64"}:
        return held.get("data") or _based(held["data_base64"])
    return b""


def _is_known(members: Members) -> bool:
    """Whether an object is an unwrapped row that was there before."""
    operation, deleted = (_word(members.get(name, b"")) for name in UNWRAPPED)
    return operation in KNOWN or deleted == "true"


def _word(value: bytes) -> Any:
    return scalar(value) if kind_of(value) == "text" else None


def _walk(value: bytes, names: tuple[str, ...]) -> bytes | None:
    """What stands there in a value, as JSON; None where nothing does."""
    for name in names:
        if kind_of(value) == "text":
            value = _inner(value)
        kind = kind_of(value)
        if kind == "object":
            value = _members(value, frozenset({name})).get(name, b"")
        elif kind == "array" and is_place(name):
            value = next(iter(elements(value)[int(name) :]), b"")
        else:
            return None
    return value or None


def elements(value: bytes) -> list[bytes]:
    """The elements of a JSON array, as JSON."""
    return [bytes(element) for element in _ELEMENTS.decode(value)]


_whole = msgspec.json.Decoder(msgspec.Raw).decode
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


def _holds(value: bytes) -> bool:
    """Whether a piece of JSON is an object or a list, or text that holds one."""
    return kind_of(value) in ("object", "array") or (kind_of(value) == "text" and bool(_inner(value)))


def _members(value: bytes, names: frozenset[str]) -> Members:
    in_order, decode = _decoder(names)
    found = zip(in_order, msgspec.structs.astuple(decode(value)), strict=True)
    return {name: bytes(raw) for name, raw in found if raw is not None}


@lru_cache(maxsize=256)
def _decoder(names: frozenset[str]) -> tuple[tuple[str, ...], Callable[[bytes], Any]]:
    in_order = tuple(sorted(names))
    fields = [(f"field_{number}", msgspec.Raw, None) for number in range(len(names))]
    rename = {f"field_{number}": name for number, name in enumerate(in_order)}
    struct = msgspec.defstruct("Members", fields, rename=rename, gc=False)
    return in_order, msgspec.json.Decoder(struct).decode


def _check(value: bytes) -> None:
    """See that it is JSON, all of it, before anything is said of a part.

    Raises:
        ClickError: it is none, or nested too deep.
    """
    if is_deep(value):
        raise ClickError("not_json", f"nested more than {DEPTH_MAX} deep")
    try:
        _whole(value)
    except UNREADABLE as error:
        raise ClickError("not_json", str(error)) from None


def _inner(value: bytes) -> bytes:
    """The object or array that a JSON text holds as JSON; empty where it holds none."""
    try:
        text: bytes = msgspec.json.decode(value, type=str).encode()
        _check(text)
    except (*UNREADABLE, ClickError):
        return b""
    return text if kind_of(text) in ("object", "array") else b""


def _based(value: bytes) -> bytes:
    """The JSON that a JSON text holds in base64.

    Raises:
        ClickError: it holds none.
    """
    try:
        text = base64.b64decode(msgspec.json.decode(value, type=str), validate=True)
    except (*UNREADABLE, ValueError) as error:
        raise ClickError("not_json", f"data_base64: {error}") from None
    _check(text)
    return text


def _attributes(record: Record) -> Members:
    """The attributes of a CloudEvent whose data the value is, of which one is ``specversion``."""
    if not record.headers:
        return {}
    headers = ((name.removeprefix("ce_"), value) for name, value in record.headers if name.startswith("ce_"))
    return _texts((name, value) for name, value in headers if value is not None)


def _texts(values: Iterable[tuple[str, bytes]]) -> Members:
    """Those that are text, and not empty, as members."""
    members: dict[str, bytes] = {}
    for name, value in values:
        with suppress(UnicodeDecodeError):
            if value:
                members[name] = msgspec.json.encode(value.decode())
    return members
