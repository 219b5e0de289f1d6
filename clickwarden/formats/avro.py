"""Avro [1]_ in records, each a datum without its schema; read by fastavro, and made JSON.

What is JSON has the paths, numbers and texts by which every click is found. Of Avro's logical types a time is
the number that it is, which is told by its size as everywhere; a decimal is a number, and what is in bytes
is text.

.. [1] https://avro.apache.org/docs/1.12.0/specification/
"""

import io
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from fastavro import parse_schema, schemaless_reader
from fastavro.read import LOGICAL_READERS

from clickwarden.errors import ClickError
from clickwarden.formats.schema import Schema

#: Values in a schema that take no byte, at most: types that hold one another twice are a million soon.
NOTHINGS_MAX = 20
#: Bytes of a decimal. What is longer is no amount, and takes the longer to be read.
DECIMAL_MAX = 64

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_TEXT, _DECIMAL, _UUID = (f"clickwarden-{name}" for name in ("text", "decimal", "uuid"))

_encode = msgspec.json.Encoder(decimal_format="number").encode


def reader(schema: Schema) -> Callable[[bytes], bytes]:
    """Reads values of this schema.

    Raises:
        ClickError: the schema cannot be used.
    """
    try:
        parsed = parse_schema(_Simplifying(schema).whole())
    except ClickError:
        raise
    except Exception as error:  # whatever a parser raises
        raise ClickError("unusable_schema", f"{error!r}") from None

    def read(value: bytes) -> bytes:
        data = io.BytesIO(value)
        try:
            datum: Any = schemaless_reader(data, parsed, None)
        except Exception as error:  # whatever a parser raises
            raise ClickError("not_as_schema", f"{error!r}") from None
        if behind := len(value) - data.tell():
            raise ClickError("not_as_schema", f"{behind} bytes behind the datum")
        return _encode(datum.get(_WHOLE, datum))

    return read


#: The field of the record that is read where a schema is of something else.
_WHOLE = "clickwarden_whole"


class _Type(NamedTuple):
    """A type as it is to be read.

    Attributes:
        schema: of it.
        empty: whether a value of it may take no byte.
        nothings: values in one of it that take none, itself not counted.
    """

    schema: Any
    empty: bool = False
    nothings: int = 0


class _Simplifying:
    """Makes a schema one by which only what JSON knows is read.

    Values of some schemas are not read: those that refer to themselves, which may be as deep as a stranger
    likes; and lists of nothing, which may be as long, and much of nothing, which may be as wide.
    """

    def __init__(self, schema: Schema) -> None:
        self._text = schema.text
        self._known: dict[str, tuple[dict[str, Any], str]] = {}
        for _, text in schema.references:
            self._known |= {name: (found, space) for name, found, space in _named(json.loads(text), "")}
        self._read: dict[str, _Type] = {}
        self._open: set[str] = set()

    def whole(self) -> dict[str, Any]:
        """The schema, of a record.

        Raises:
            ClickError: its values are not read.
        """
        schema = self._type(json.loads(self._text), "").schema
        if isinstance(schema, dict) and schema["type"] == "record":
            return schema
        return {
            "type": "record",
            "name": "clickwarden_whole",
            "fields": [{"name": _WHOLE, "type": schema}],
        }

    def _type(self, given: Any, space: str) -> _Type:
        if isinstance(given, str):
            if given in PRIMITIVES:
                return self._primitive({"type": given})
            return self._by_name(_full(given, space))
        if isinstance(given, list):
            return _Type([self._type(branch, space).schema for branch in given])
        kind = given["type"]
        if not isinstance(kind, str):
            return self._type(kind, space)
        if kind in PRIMITIVES:
            return self._primitive(given)
        if kind == "array":
            items, empty, _ = self._type(given["items"], space)
            if empty:
                raise ClickError("unusable_schema", "a list of nothing, which may be of any length")
            return _Type({"type": "array", "items": items})
        if kind == "map":
            return _Type({"type": "map", "values": self._type(given["values"], space).schema})
        if kind in ("record", "error", "enum", "fixed"):
            return self._named(given, space)
        return self._by_name(_full(kind, space))

    def _primitive(self, given: dict[str, Any]) -> _Type:
        kind = given["type"]
        if kind != "bytes":
            return _Type(kind, kind == "null")
        return _Type({"type": kind} | _in_bytes(given))

    def _by_name(self, name: str) -> _Type:
        if name in self._open:
            raise ClickError("unusable_schema", f"{name} refers to itself")
        if name in self._read:
            return self._read[name]
        if name not in self._known:
            raise ClickError("unusable_schema", f"{name} is not defined")
        return self._named(*self._known[name])

    def _named(self, given: dict[str, Any], space: str) -> _Type:
        name = _full(given["name"], given.get("namespace", space))
        made: dict[str, Any] = {"type": given["type"], "name": name}
        empty, nothings = False, 0
        if given["type"] == "enum":
            made["symbols"] = given["symbols"]
        elif given["type"] == "fixed":
            empty = not given["size"]
            made |= {"size": given["size"]} | _in_bytes(given)
        else:
            self._open.add(name)
            space = name.rpartition(".")[0]
            types = [self._type(field["type"], space) for field in given["fields"]]
            self._open.remove(name)
            names = [field["name"] for field in given["fields"]]
            fields = [{"name": name, "type": found.schema} for name, found in zip(names, types, strict=True)]
            empty = all(found.empty for found in types)
            nothings = sum(found.empty + found.nothings for found in types)
            if nothings > NOTHINGS_MAX:
                raise ClickError("unusable_schema", f"{name} holds {nothings:,} values of nothing")
            made |= {"type": "record", "fields": fields}
        self._read[name] = _Type(name, empty, nothings)
        return _Type(made, empty, nothings)


def _named(schema: Any, space: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The named types that a schema defines, each by its full name, and the space that it stands in."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _named(branch, space)
    elif isinstance(schema, dict):
        if "name" in schema and schema.get("type") in ("record", "error", "enum", "fixed"):
            name = _full(schema["name"], schema.get("namespace", space))
            yield name, schema, space
            space = name.rpartition(".")[0]
        for inner in (schema.get("type"), schema.get("items"), schema.get("values")):
            yield from _named(inner, space)
        for field in schema.get("fields", ()):
            yield from _named(field["type"], space)


def _full(name: str, space: str | None) -> str:
    return name if "." in name or not space else f"{space}.{name}"


def _in_bytes(given: dict[str, Any]) -> dict[str, Any]:
    """How what is in bytes is to be read."""
    if given.get("logicalType") == "decimal":
        return {"logicalType": _DECIMAL, "scale": given.get("scale", 0)}
    return {"logicalType": _UUID if given.get("logicalType") == "uuid" else _TEXT}


def _text(data: bytes, *_: Any) -> str:
    return data.decode(errors="backslashreplace")


def _decimal(data: bytes, schema: Any, *_: Any) -> Decimal:
    if len(data) > DECIMAL_MAX:
        raise ValueError(f"a decimal of {len(data)} bytes")
    digits = Decimal(int.from_bytes(data, signed=True)).as_tuple()
    return Decimal((digits.sign, digits.digits, -schema["scale"]))


def _uuid(data: bytes, *_: Any) -> str:
    return str(UUID(bytes=data)) if len(data) == 16 else _text(data)


# fastavro's way to read logical types of one's own; no other schema has any of these names.
for _kind in ("bytes", "fixed"):
    LOGICAL_READERS |= {f"{_kind}-{_TEXT}": _text, f"{_kind}-{_DECIMAL}": _decimal, f"{_kind}-{_UUID}": _uuid}
