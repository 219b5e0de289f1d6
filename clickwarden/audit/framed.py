"""How the recount reads a value behind the five bytes of a schema registry.

With the same libraries as clickwarden.formats, for there are no others as good, and no code of it.
"""

import io
import json
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from clickwarden.formats.schema import Schema

#: What a value is whose schema nobody knows, or that is not as its schema says.
UNREADABLE = (ValueError, ArithmeticError)
#: Bytes of a decimal that is read.
DIGITS = 64


@lru_cache(maxsize=256)
def datum_of(schema: Schema) -> Callable[[bytes], Any]:
    """What reads values of a schema: those that are not JSON, as Python has what JSON says.

    Raises:
        ValueError: none are read.
    """
    if schema.kind != "AVRO":
        raise ValueError(schema.kind)
    return _avro(schema)


def _avro(schema: Schema) -> Callable[[bytes], Any]:
    from fastavro import parse_schema, schemaless_reader
    from fastavro.read import LOGICAL_READERS

    texts = [text for _, text in schema.references]
    wrapped = {"type": "record", "name": "audit_whole", "fields": [{"name": "whole"}]}
    try:
        whole, expanded = (dict(wrapped), dict(wrapped))
        named: dict[str, Any] = {}
        for text in texts:
            parse_schema(json.loads(text, object_hook=_own_types), named)
        whole["fields"] = [{"name": "whole", "type": json.loads(schema.text, object_hook=_own_types)}]
        parsed = parse_schema(whole, dict(named))
        expanded["fields"] = [{"name": "whole", "type": json.loads(schema.text)}]
        _least(parse_schema(expanded, dict(named), expand=True))
    except Exception as error:  # whatever a parser raises
        raise ValueError(f"{error!r}") from None
    for kind in ("bytes", "fixed"):
        LOGICAL_READERS[f"{kind}-audit-decimal"] = _number
        LOGICAL_READERS[f"{kind}-audit-uuid"] = lambda data, *_: str(UUID(bytes=data))

    def read(value: bytes) -> Any:
        data = io.BytesIO(value)
        try:
            found: Any = schemaless_reader(data, parsed, None)
        except Exception as error:  # whatever a parser raises
            raise ValueError(f"{error!r}") from None
        if data.read(1):
            raise ValueError("more than a datum")
        return _plain(found["whole"])

    return read


def _own_types(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with a time as the number that it is."""
    kind = schema.pop("logicalType", None)
    if kind == "decimal":
        schema["logicalType"] = "audit-decimal"
    elif kind == "uuid" and schema.get("size") == 16:
        schema["logicalType"] = "audit-uuid"
    return schema


def _number(data: bytes, schema: Any, *_: Any) -> Decimal:
    if len(data) > DIGITS:
        raise ValueError("a decimal that is too long")
    scale = schema.get("scale", 0)
    return Decimal(f"{int.from_bytes(data, signed=True)}e-{scale}")


def _least(schema: Any) -> int:
    """How many bytes a value takes at least.

    Raises:
        ValueError: a list may be of any length and take none, or a value as deep as it likes.
    """
    if isinstance(schema, list):
        return 1 + min(map(_least, schema))
    kind = schema["type"] if isinstance(schema, dict) else schema
    if not isinstance(kind, str):
        return _least(kind)
    if kind == "array" and not _least(schema["items"]):
        raise ValueError("a list of nothing")
    if kind == "map":
        _least(schema["values"])
    if kind == "record":
        return sum(_least(field["type"]) for field in schema["fields"])
    if kind in ("null", "fixed"):
        return int(schema["size"]) if kind == "fixed" else 0
    if kind not in _SIZED:
        raise ValueError(f"{kind} is within itself")
    return 1


_SIZED = ("boolean", "int", "long", "float", "double", "bytes", "string", "enum", "array", "map")


def _plain(found: Any) -> Any:
    """What was read as JSON has it: numbers as it reads them, bytes as text, and no number that is none."""
    if isinstance(found, dict):
        return {name: _plain(value) for name, value in found.items()}
    if isinstance(found, list):
        return [_plain(value) for value in found]
    if isinstance(found, bytes):
        return found.decode(errors="backslashreplace")
    if isinstance(found, Decimal):
        return json.loads(str(found))
    if isinstance(found, float) and (found != found or found in (float("inf"), float("-inf"))):
        return None
    return found
