"""Protobuf [1]_ in records, by the message indexes that a registry's producers write before it; made JSON.

Read by Google's library, by names as they stand in the schema. A field that was not set and has no presence
is its default, one that has presence is missing. A Timestamp is epoch seconds, a wrapper what is in it, an
enum its name, and what is in bytes is text.

.. [1] https://protobuf.dev/programming-guides/encoding/
"""

import base64
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from google.protobuf import descriptor_pb2, duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from clickwarden.errors import ClickError
from clickwarden.formats.schema import Schema

#: What schemas may import without a reference.
KNOWN = {
    module.DESCRIPTOR.name: module.DESCRIPTOR
    for module in (descriptor_pb2, duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
}
_TIMESTAMP = "google.protobuf.Timestamp"
#: Bytes of a number: the last one has no 128.
VARINT_MAX = 10
#: Fields of all messages in a value, also those that were not set: one of two bytes may have a hundred.
FIELDS_MAX = 1_000_000

_encode = msgspec.json.encode
_Made = Callable[[Any], Any]


def reader(schema: Schema) -> Callable[[bytes], bytes]:
    """Reads values of this schema.

    Raises:
        ClickError: the schema cannot be used.
    """
    try:
        messages = _Messages(schema)
    except Exception as error:  # whatever a parser raises
        raise ClickError("unusable_schema", f"{error!r}") from None

    def read(value: bytes) -> bytes:
        try:
            path, begin = _indexes(value)
            parse, make = messages[path]
            messages.left = FIELDS_MAX
            return _encode(make(parse(value[begin:])))
        except Exception as error:  # whatever a parser raises
            raise ClickError("not_as_schema", f"{error!r}") from None

    return read


class _Messages:
    """The messages of a schema, by their place in it: an index for each level of nesting.

    Attributes:
        left: fields that may still be made of a value.
    """

    def __init__(self, schema: Schema) -> None:
        self._pool = DescriptorPool()
        self._added: set[str] = set()
        for name, text in schema.references:
            self._add(_file(text, name))
        self._file = _file(schema.text, "")
        self._add(self._file)
        self._found: dict[tuple[int, ...], tuple[_Made, _Made]] = {}
        self._made: dict[str, _Made] = {}
        self.left = FIELDS_MAX

    def __getitem__(self, path: tuple[int, ...]) -> tuple[_Made, _Made]:
        """What parses a message, and what makes JSON's of it."""
        if path not in self._found:
            name = ".".join(filter(None, (self._file.package, *_names(self._file.message_type, path))))
            descriptor = self._pool.FindMessageTypeByName(name)
            self._found[path] = GetMessageClass(descriptor).FromString, self._message(descriptor)
        return self._found[path]

    def _add(self, file: FileDescriptorProto) -> None:
        for name in file.dependency:
            if name in KNOWN and name not in self._added:
                self._add(_copy(KNOWN[name]))
        if file.name not in self._added:
            self._added.add(file.name)
            self._pool.Add(file)
            self._pool.FindFileByName(file.name)  # which fails where something is missing

    def _message(self, descriptor: Descriptor) -> _Made:
        name = descriptor.full_name
        if name == _TIMESTAMP:
            return lambda message: (message.seconds * 10**9 + message.nanos) / 10**9
        if descriptor.file.name == wrappers_pb2.DESCRIPTOR.name:
            value = self._value(descriptor.fields_by_name["value"])
            return lambda message: value(message.value)
        if name not in self._made:
            fields: list[tuple[str, bool, _Made]] = []

            def make(message: Any) -> dict[str, Any]:
                self.left -= len(fields)
                if self.left < 0:
                    raise ValueError(f"more than {FIELDS_MAX:,} fields")
                return {
                    name: made(getattr(message, name))
                    for name, has_presence, made in fields
                    if not has_presence or message.HasField(name)
                }

            self._made[name] = make  # first: a message may be in itself
            fields += [(field.name, field.has_presence, self._field(field)) for field in descriptor.fields]
        return self._made[name]

    def _field(self, field: FieldDescriptor) -> _Made:
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            key, value = map(self._value, (inner.fields_by_name["key"], inner.fields_by_name["value"]))
            return lambda found: {str(key(name)): value(found[name]) for name in found}
        made = self._value(field)
        return (lambda found: list(map(made, found))) if field.is_repeated else made

    def _value(self, field: FieldDescriptor) -> _Made:
        if field.message_type is not None:
            return self._message(field.message_type)
        if field.enum_type is not None:
            names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
            return lambda number: names.get(number, number)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return lambda data: data.decode(errors="backslashreplace")
        return lambda value: value


def _file(text: str, name: str) -> FileDescriptorProto:
    file = FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    file.name = name or file.name or "clickwarden.proto"
    return file


def _copy(known: FileDescriptor) -> FileDescriptorProto:
    return FileDescriptorProto.FromString(known.serialized_pb)


def _names(messages: Iterable[DescriptorProto], path: tuple[int, ...]) -> list[str]:
    names = []
    for index in path:
        message = list(messages)[index]
        names.append(message.name)
        messages = message.nested_type
    return names


def _indexes(value: bytes) -> tuple[tuple[int, ...], int]:
    """Which message of the schema a value is, and where it begins: 0 alone is the first."""
    count, begin = _number(value, 0)
    if not count:
        return (0,), begin
    if not 0 < count < 100:
        raise ValueError(f"{count} indexes of messages")
    path = []
    for _ in range(count):
        index, begin = _number(value, begin)
        if index < 0:
            raise ValueError(f"a message of the index {index}")
        path.append(index)
    return tuple(path), begin


def _number(value: bytes, begin: int) -> tuple[int, int]:
    """A number as Protobuf's sint64 is written, and where it ends."""
    number = 0
    for place, byte in enumerate(value[begin : begin + VARINT_MAX]):
        number |= (byte & 127) << 7 * place
        if byte < 128:
            return (number >> 1) ^ -(number & 1), begin + place + 1
    raise ValueError("no index of a message")
