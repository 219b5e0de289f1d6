"""How the recount reads a record: by the standard library's JSON, one at a time.

It reads what clickwarden.formats reads, and shares no code with it.
"""

import base64
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from clickwarden.audit.framed import json_of
from clickwarden.formats.schema import Schema
from clickwarden.formats.snowplow import COLUMNS
from clickwarden.settings import Settings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: No click is earlier, epoch seconds.
EARLIEST = datetime(1971, 1, 1, tzinfo=UTC).timestamp()
#: No click is later, epoch seconds.
LATEST = 250_000_000_000

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")
ZONE = re.compile(
    r"(.*?) ?(UTC|GMT|Z|([+-][0-9][0-9]:?[0-9][0-9]))( UTC| GMT)?(\[[a-z0-9_/+-]+\])?",
    re.ASCII | re.IGNORECASE,
)


class AuditRecord(Protocol):
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
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """What is said about it."""


class Click(NamedTuple):
    """User, event and epoch seconds; and what stands in the fields that are asked for, None where nothing."""

    user: str
    event: str
    time: float
    said: Mapping[str, str | None] = {}


class Ignored(NamedTuple):
    """It says that nothing was clicked."""


class Refused(NamedTuple):
    """It is no click."""


Thing = Click | Ignored | Refused

#: Where a field may be looked for: an object, and those around it.
Scope = Mapping[str, Any]


class Reader:
    """Reads the records of a topic with these settings.

    Args:
        settings: of the topic.
        schemas: finds a schema of its registry by the number; None where that knows none.
        asked: fields of a click that rules look at.
    """

    def __init__(
        self,
        settings: Settings,
        schemas: Callable[[int], Schema | None] | None = None,
        asked: Iterable[str] = (),
    ) -> None:
        self._settings = settings
        self._schemas = schemas if settings.registry_url else None
        names = settings.field_names
        self._asked = frozenset(asked)
        further = {name: name for name in self._asked - names.keys()}
        self._fields = {name: written.split("|") for name, written in (names | further).items()}

    def read(self, record: AuditRecord) -> list[Thing]:
        """What a record holds, one thing at least."""
        value = record.value
        if value is None or "__debezium.oldkey" in dict(record.headers):
            return [Ignored()]
        if self._schemas and value.startswith(b"\0") and len(value) >= 5:
            schema = self._schemas(int.from_bytes(value[1:5]))
            try:
                value = json_of(schema)(value[5:]) if schema else b""
            except ValueError:
                return [Refused()]
        elif self._schemas and value[:1] not in (b"{", b"[") and "__value_schema_id" in dict(record.headers):
            return [Refused()]
        if value.startswith(b"\0") and value[5:6] in (b"{", b"[", b'"'):
            value = value[5:]
        columns = value.split(b"\t")
        if len(columns) > 12 and re.match(rb"[0-9]{4}-[0-9][0-9]-[0-9][0-9] ", columns[3]):
            return [self._judge([_texts(zip(COLUMNS, columns, strict=False))], record)]
        try:
            found = _parse(value)
        except ValueError:
            return [Refused()]
        headers = _texts((name[3:], text) for name, text in record.headers if name.startswith("ce_") and text)
        around: list[Scope] = [headers] if "specversion" in headers else []
        things = list(self._things(found, around, record, 6)) or [Ignored()]
        return things if len(things) <= 20_000 else [Refused()]

    def _things(self, found: Any, around: list[Scope], record: AuditRecord, layers: int) -> Iterator[Thing]:
        if isinstance(found, str) and layers:
            inner = _inner(found)
            if inner is None:
                yield Refused()
            else:
                yield from self._things(inner, around, record, layers - 1)
        elif isinstance(found, list) and layers:
            for element in found:
                if isinstance(element, list):
                    yield Refused()
                else:
                    yield from self._things(element, around, record, layers - 1)
        elif isinstance(found, dict):
            yield from self._object(found, around, record, layers)
        else:
            yield Refused()

    def _object(
        self, found: dict[str, Any], around: list[Scope], record: AuditRecord, layers: int
    ) -> Iterator[Thing]:
        try:
            whole = all(self._has(name, found, record) for name in ("user_id", "event", "timestamp"))
            content = _NOTHING if whole or not layers else _content(found)
            if _is_bare(content) and self._has("event", found, record):
                content = _NOTHING
            known = content is _NOTHING and _is_known(found)
        except (ValueError, TypeError):  # that, for base64 that is no text
            yield Refused()
            return
        if content is _GONE or known:
            yield Ignored()
        elif content is _NOTHING:
            yield self._judge([found] if whole else [found, *around], record)
        else:
            yield from self._things(content, [found, *around], record, layers - 1)

    def _judge(self, scopes: list[Scope], record: AuditRecord) -> Thing:
        try:
            user = _identity(self._find("user_id", scopes, record))
            event = self._find("event", scopes, record)
            time = self._time(self._find("timestamp", scopes, record))
            product = self._find("product_id", scopes, record)
            product = None if product is None else _identity(product)
        except (ValueError, OverflowError):
            return Refused()
        latest = min(record.timestamp / 1000.0 + self._settings.max_skew, LATEST)
        if not (user and len(user) <= 256 and type(event) is str and len(event) <= 64):
            return Refused()
        if not EARLIEST <= time <= latest:
            return Refused()
        own = {"user_id": user, "event": event, "product_id": product}
        said = {name: self._said(name, own, scopes, record) for name in self._asked}
        return Click(user, event, time, said)

    def _said(
        self, name: str, own: Mapping[str, str | None], scopes: list[Scope], record: AuditRecord
    ) -> str | None:
        """What stands in a field as text; in that of the path, the product where it names none."""
        if name in own:
            return own[name]
        try:
            found = _as_text(self._find(name, scopes, record))
        except ValueError:
            found = None
        return own["product_id"] if name == "path" and found is None else found

    def _places(self, field: str, scope: Scope, record: AuditRecord) -> Iterator[Any]:
        """What stands in the places of a field, None where nothing does; bytes where they are to be text."""
        for place in self._fields[field]:
            if place == "@key":
                yield record.key
            elif place == "@timestamp":
                yield record.timestamp / 1000.0 if 0 <= record.timestamp < 1e14 else None
            elif place.startswith("@header:"):
                yield dict(record.headers).get(place[8:])
            elif place.startswith("@field:"):
                yield scope.get(place[7:])
            else:
                yield scope.get(place)
                if "." in place:
                    yield _walk(scope, place.split("."))

    def _has(self, field: str, scope: Scope, record: AuditRecord) -> bool:
        return any(found is not None for found in self._places(field, scope, record))

    def _find(self, field: str, scopes: list[Scope], record: AuditRecord) -> Any:
        """The value of a field, of the nearest scope that has it.

        Raises:
            ValueError: it is a list, an object, or text that Unicode does not have.
        """
        for scope in scopes:
            empty = None
            for place in self._places(field, scope, record):
                found = place.decode() if isinstance(place, bytes) else place
                _check_text(found)
                if found == "":
                    empty = found
                elif found is not None:
                    return found
            if empty is not None:
                return empty
        return None

    def _time(self, found: Any) -> float:
        """Epoch seconds.

        Raises:
            ValueError, OverflowError: it is no point in time.
        """
        pattern = self._settings.timestamp_format
        if found is None or isinstance(found, bool):
            raise ValueError("no time")
        if pattern and type(found) is int:
            found = str(found)
        if not isinstance(found, str):
            return _by_magnitude(float(found))
        text = found.strip(" ")
        if pattern:
            try:
                return _since_epoch(datetime.strptime(text, pattern))
            except ValueError:
                pass
        if NUMBER.fullmatch(text) and not re.fullmatch("[0-9]{8}", text):
            return _by_magnitude(float(text))
        try:
            return _since_epoch(datetime.fromisoformat(text))
        except ValueError:
            parts = ZONE.fullmatch(text)
            if parts is None:
                raise
            return _since_epoch(datetime.fromisoformat(parts[1] + (parts[3] or "Z")))


#: What an object is no envelope of, and what an envelope holds where no click was made.
_NOTHING, _GONE = object(), object()


def _is_bare(content: object) -> bool:
    """Whether it is a list in which nothing can be a click."""
    if not isinstance(content, list):
        return False
    held = (_inner(one) if isinstance(one, str) else one for one in content)
    return not any(isinstance(one, list | dict) for one in held)


def _is_known(found: dict[str, Any]) -> bool:
    """Whether Debezium tells a row that was there before, unwrapped.

    Raises:
        ValueError: it says so in text that Unicode does not have.
    """
    operation, deleted = (
        said if isinstance(said, str) else "" for said in map(found.get, ("__op", "__deleted"))
    )
    _check_text(operation + deleted)
    return operation in ("u", "d", "t", "m", "r") or deleted == "true"


def _content(found: dict[str, Any]) -> Any:
    """What an envelope holds.

    Raises:
        ValueError: it cannot be read.
    """
    for name in ("records", "events", "batch", "clicks", "data"):
        if isinstance(found.get(name), list):
            return found[name]
    if "schema" in found and found.get("payload") is not None:
        return found["payload"]
    operation = found.get("op")
    if operation is not None and ("before" in found or "after" in found):
        _check_text(operation)
        if operation in ("u", "d", "t", "m", "r"):
            return _GONE
        if operation == "c":
            return _NOTHING if found.get("after") is None else found["after"]
    if found.get("specversion") is not None:
        if found.get("data") is None and found.get("data_base64") is not None:
            return _parse(base64.b64decode(found["data_base64"], validate=True))
        return _NOTHING if found.get("data") is None else found["data"]
    return _NOTHING


def _check_text(found: Any) -> None:
    """See that it is no list, no object, and no text that Unicode does not have.

    Raises:
        ValueError: it is.
    """
    if isinstance(found, list | dict):
        raise ValueError("a list or an object")
    if isinstance(found, str):
        found.encode()


def _texts(values: Any) -> dict[str, str]:
    """Those that are text, by name."""
    texts = {}
    for name, value in values:
        try:
            if value:
                texts[name] = value.decode()
        except UnicodeDecodeError:
            continue
    return texts


def _walk(found: Any, names: list[str]) -> Any:
    """What stands at a path; None where nothing does."""
    for name in names:
        if isinstance(found, str):
            found = _inner(found)
        if isinstance(found, Mapping):
            found = found.get(name)
        elif isinstance(found, list) and re.fullmatch("[0-9]{1,4}", name) and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


@lru_cache(maxsize=16)
def _inner(text: str) -> Any:
    """The list or object that a text holds as JSON; None where it holds none."""
    try:
        found = _parse(text.encode())
    except ValueError:
        return None
    return found if isinstance(found, list | dict) else None


def _identity(found: Any) -> str:
    """A text, or a whole number as one.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(found, float) and found.is_integer() and abs(found) < 2**53:
        found = int(found)
    if isinstance(found, str):
        return found
    if type(found) is not int:
        raise ValueError("no text and no whole number")
    return str(found)


def _as_text(found: Any) -> str | None:
    """A value as text, whatever it was written as; a number as the shortest text that says it."""
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, float):
        if not math.isfinite(found):
            return None
        found = int(found) if found.is_integer() and abs(found) < 2**53 else found
    return str(found)


def _by_magnitude(number: float) -> float:
    """Epoch seconds of a number of seconds, milli-, micro- or nanoseconds."""
    if number < 1e11:
        return number
    if number < 1e14:
        return number / 1e3
    return number / 1e6 if number < 1e17 else number / 1e9


def _since_epoch(moment: datetime) -> float:
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH).total_seconds()


def _parse(value: bytes) -> Any:
    """The JSON of a record.

    Raises:
        ValueError: it is none.
    """
    # A byte that is not UTF-8 is no matter of ours in a field nobody reads.
    text = value.decode(errors="surrogateescape")
    if _depth(text) > 200:
        raise ValueError("too deep")
    found = _decode(text)
    if rb"\u" in value:  # an escaped lone surrogate is no character, wherever it stands
        _encode(_pairs(value.decode(errors="replace"))).encode()
    return found


def _depth(text: str) -> int:
    """How deep JSON is nested."""
    depth = deepest = 0
    quoted = escaped = False
    for character in text if text.count("[") + text.count("{") > 200 else "":
        if quoted:
            quoted, escaped = escaped or character != '"', character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _integer(literal: str) -> float:
    return int(literal) if len(literal.removeprefix("-")) <= 4300 else math.inf  # Python's own limit


_decode = json.JSONDecoder(parse_int=_integer, parse_constant=_no_constant).decode
_pairs = json.JSONDecoder(parse_int=_integer, parse_constant=_no_constant, object_pairs_hook=list).decode
_encode = json.JSONEncoder(ensure_ascii=False).encode
