"""How the recount reads a value behind the five bytes of a schema registry.

With the same libraries as clickwarden.formats, for there are no others as good, and no code of it.
"""

import base64
import io
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from clickwarden.formats.schema import Schema

#: Values in another that take no byte, of which a schema is read with so many.
NOTHINGS = 20
#: Fields in a Protobuf value that is read, set or not.
FIELDS = 1_000_000
#: Bytes of a decimal that is read.
DIGITS = 64


@lru_cache(maxsize=256)
def json_of(schema: Schema) -> Callable[[bytes], bytes]:
    """What makes JSON of the values of a schema.

    It raises ValueError for what is not as the schema says.

    Raises:
        ValueError: no values of the schema are read.
    """
    if schema.kind == "AVRO":
        return _avro(schema)
    if schema.kind == "PROTOBUF":
        return _protobuf(schema)
    if schema.kind == "JSON":
        return bytes
    raise ValueError(schema.kind)


def _avro(schema: Schema) -> Callable[[bytes], bytes]:
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

    def read(value: bytes) -> bytes:
        data = io.BytesIO(value)
        try:
            found: Any = schemaless_reader(data, parsed, None)
        except Exception as error:  # whatever a parser raises
            raise ValueError(f"{error!r}") from None
        if data.read(1):
            raise ValueError("more than a datum")
        return _written(_plain(found["whole"]))

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
        if _nothings(schema) > NOTHINGS:
            raise ValueError("much of nothing")
        return sum(_least(field["type"]) for field in schema["fields"])
    if kind in ("null", "fixed"):
        return int(schema["size"]) if kind == "fixed" else 0
    if kind not in _SIZED:
        raise ValueError(f"{kind} is within itself")
    return 1


def _nothings(schema: Any) -> int:
    """How many values that take no byte are in one, but for those of unions, lists and maps."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, dict):
        return _nothings(kind)
    if kind != "record":
        return 0
    return sum((not _least(field["type"])) + _nothings(field["type"]) for field in schema["fields"])


_SIZED = ("boolean", "int", "long", "float", "double", "bytes", "string", "enum", "array", "map")


def _protobuf(schema: Schema) -> Callable[[bytes], bytes]:
    from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.message_factory import GetMessageClass, GetMessages

    try:
        files = {
            module.DESCRIPTOR.name: FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
            for module in (duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
        }
        for name, text in (*schema.references, ("audit.proto", schema.text)):
            files[name] = FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
            files[name].name = name
        classes = GetMessages(list(files.values()))
    except Exception as error:  # whatever a parser raises
        raise ValueError(f"{error!r}") from None
    file = files["audit.proto"]

    def read(value: bytes) -> bytes:
        data = io.BytesIO(value)
        try:
            count = _varint(data)
            first, *path = [_varint(data) for _ in range(count)] or [0]
            if min(count, first, *path) < 0:
                raise ValueError("an index below 0")
            kind = classes[".".join(filter(None, (file.package, file.message_type[first].name)))].DESCRIPTOR
            for index in path:
                kind = kind.nested_types[index]
            found = _fields(GetMessageClass(kind).FromString(data.read()), iter(range(FIELDS)))
        except Exception as error:  # whatever a parser raises
            raise ValueError(f"{error!r}") from None
        return _written(_plain(found))

    return read


def _varint(data: io.BytesIO) -> int:
    """The next sint64.

    Raises:
        IndexError, ValueError: there is none.
    """
    number = 0
    for place in range(10):
        byte: int = data.read(1)[0]
        number += (byte & 127) << 7 * place
        if byte < 128:
            return -(number + 1) // 2 if number & 1 else number // 2
    raise ValueError("a number of more than ten bytes")


def _fields(message: Any, left: Iterator[int]) -> Any:
    """What is in a message, by its fields' names.

    Raises:
        StopIteration: there is more of it than there is ``left``.
    """
    kind = message.DESCRIPTOR.full_name
    if kind == "google.protobuf.Timestamp":
        return (message.seconds * 1_000_000_000 + message.nanos) / 1_000_000_000
    if (
        kind.startswith("google.protobuf.")
        and kind.endswith("Value")
        and "value" in message.DESCRIPTOR.fields_by_name
    ):
        return message.value
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        next(left)
        value = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"]
            found[field.name] = {str(name): _one(inner, value[name], left) for name in value}
        elif field.is_repeated:
            found[field.name] = [_one(field, one, left) for one in value]
        elif not field.has_presence or message.HasField(field.name):
            found[field.name] = _one(field, value, left)
    return found


def _one(field: Any, value: Any, left: Iterator[int]) -> Any:
    if field.message_type:
        return _fields(value, left)
    if field.enum_type:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    return value


def _written(found: Any) -> bytes:
    """As JSON.

    Raises:
        ValueError: it cannot be.
    """
    try:
        return json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("too deep") from None


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
