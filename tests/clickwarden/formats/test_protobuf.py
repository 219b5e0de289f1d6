"""Protobuf behind the five bytes of a registry: decoder and recount find in it what was written."""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from clickwarden.formats.schema import Schema
from tests.framed import framed, fulfils, users

T = 1_600_000_000


def add(message: DescriptorProto, name: str, kind: int | str, **more: Any) -> Field:
    """A field, of a message's or an enum's type if ``kind`` is a name."""
    about: dict[str, Any] = {"name": name, "number": len(message.field) + 1, "label": Field.LABEL_OPTIONAL}
    about |= {"type_name": kind} if isinstance(kind, str) else {"type": kind}
    field: Field = message.field.add(**(about | more))
    return field


def shop() -> FileDescriptorProto:
    """Other, then Click with a Click.Inner in it, then Batch of Clicks."""
    file = FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
    file.dependency.extend(["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"])
    file.enum_type.add(name="Kind", value=[{"name": "view", "number": 0}, {"name": "cart", "number": 3}])
    file.message_type.add(name="Other")
    click = file.message_type.add(name="Click")
    inner = click.nested_type.add(name="Inner")
    for message in (click, inner):
        add(message, "user_id", Field.TYPE_STRING)
        add(message, "event", ".shop.Kind", type=Field.TYPE_ENUM)
        add(message, "timestamp", Field.TYPE_INT64)
    add(click, "at", ".google.protobuf.Timestamp", type=Field.TYPE_MESSAGE)
    add(click, "wrapped", ".google.protobuf.StringValue", type=Field.TYPE_MESSAGE)
    add(click, "raw", Field.TYPE_BYTES)
    add(click, "number", Field.TYPE_DOUBLE)
    click.oneof_decl.add(name="_maybe")
    add(click, "maybe", Field.TYPE_STRING, oneof_index=0, proto3_optional=True)
    add(click, "self", ".shop.Click", type=Field.TYPE_MESSAGE)
    entry = click.nested_type.add(name="TraitsEntry", options={"map_entry": True})
    add(entry, "key", Field.TYPE_STRING)
    add(entry, "value", Field.TYPE_STRING)
    add(click, "traits", ".shop.Click.TraitsEntry", type=Field.TYPE_MESSAGE, label=Field.LABEL_REPEATED)
    batch = file.message_type.add(name="Batch")
    add(batch, "records", ".shop.Click", type=Field.TYPE_MESSAGE, label=Field.LABEL_REPEATED)
    return file


def schema(file: FileDescriptorProto, *references: FileDescriptorProto) -> Schema:
    def text(one: FileDescriptorProto) -> str:
        return base64.b64encode(one.SerializeToString()).decode()

    return Schema("PROTOBUF", text(file), tuple((one.name, text(one)) for one in references))


def message(name: str, /, file: FileDescriptorProto | None = None, **fields: Any) -> bytes:
    pool = DescriptorPool()
    for known in (timestamp_pb2, wrappers_pb2, descriptor_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.Add(file or shop())
    data = GetMessageClass(pool.FindMessageTypeByName(name))(**fields).SerializeToString()
    assert isinstance(data, bytes)
    return data


def shopped(value: bytes, indexes: bytes = b"\2\2") -> bytes:
    """Of the second message, if no other indexes are given."""
    return framed(indexes + value)


def one(*, given: Mapping[str, Any] | None = None, **fields: Any) -> list[str]:
    plain = {"user_id": "ann", "timestamp": T}
    return users({1: schema(shop())}, shopped(message("shop.Click", **plain | fields)), **given or {})


def test_a_click_is_what_was_written() -> None:
    assert one() == ["ann"]
    assert one(event=3) == ["ann"]
    assert one(event=7) == ["wrong_field"]
    assert one(user_id="") == ["empty_user_id"]
    assert one(timestamp=0) == ["bad_timestamp"]


@pytest.mark.parametrize(
    ("given", "fields", "user"),
    [
        ({"field_user_id": "wrapped"}, {"wrapped": {"value": "bob"}}, "bob"),
        ({"field_user_id": "wrapped|user_id"}, {}, "ann"),
        ({"field_user_id": "maybe"}, {}, "missing_field"),
        ({"field_user_id": "maybe"}, {"maybe": ""}, "empty_user_id"),
        ({"field_user_id": "maybe"}, {"maybe": "bob"}, "bob"),
        ({"field_user_id": "traits.id"}, {"traits": {"id": "bob"}}, "bob"),
        ({"field_user_id": "traits.id"}, {"traits": {"name": "bob"}}, "missing_field"),
        ({"field_user_id": "self.self.user_id"}, {"self": {"self": {"user_id": "bob"}}}, "bob"),
        ({"field_user_id": "raw"}, {"raw": b"bob"}, "bob"),
        ({"field_user_id": "raw"}, {"raw": b"\xff"}, r"\xff"),
        ({"field_user_id": "number"}, {"number": 7.0}, "7"),
        ({"field_user_id": "number"}, {"number": math.nan}, "missing_field"),
        ({"field_timestamp": "at"}, {"at": {"seconds": T, "nanos": 500_000_000}}, "ann"),
        ({"field_timestamp": "at"}, {}, "missing_field"),
        ({"field_timestamp": "at"}, {"at": {"seconds": -(2**63), "nanos": -1}}, "bad_timestamp"),
    ],
)
def test_fields_may_be_of_many_types(given: dict[str, Any], fields: dict[str, Any], user: str) -> None:
    assert one(given=given, **fields) == [user]


def test_several_clicks_may_be_in_a_message() -> None:
    several = [{"user_id": "ann", "timestamp": T}, {"user_id": "", "timestamp": T}, {"user_id": "bob"}]
    value = shopped(message("shop.Batch", records=several), b"\2\4")
    assert users({1: schema(shop())}, value) == ["ann", "empty_user_id", "bad_timestamp"]


@pytest.mark.parametrize(
    ("indexes", "name", "found"),
    [
        (b"\2\2", "shop.Click", ["ann"]),
        (b"\4\2\0", "shop.Click.Inner", ["ann"]),
        (b"\0", "shop.Other", ["missing_field"]),
        (b"\2\0", "shop.Other", ["missing_field"]),
        (b"\2\6", "shop.Other", ["not_as_schema"]),
        (b"\2\1", "shop.Other", ["not_as_schema"]),
        (b"\1", "shop.Other", ["not_as_schema"]),
        (b"\xff" * 12, "shop.Other", ["not_as_schema"]),
        (b"", "shop.Other", ["not_as_schema"]),
    ],
)
def test_the_indexes_say_which_message_it_is(indexes: bytes, name: str, found: list[str]) -> None:
    fields = {} if name == "shop.Other" else {"user_id": "ann", "timestamp": T}
    assert users({1: schema(shop())}, shopped(message(name, **fields), indexes)) == found


def test_schemas_refer_to_others() -> None:
    base = FileDescriptorProto(name="base.proto", package="base", syntax="proto3")
    add(base.message_type.add(name="User"), "id", Field.TYPE_STRING)
    file = FileDescriptorProto(name="click.proto", syntax="proto3", dependency=["base.proto"])
    click = file.message_type.add(name="Click")
    add(click, "user", ".base.User", type=Field.TYPE_MESSAGE)
    add(click, "event", Field.TYPE_STRING)
    add(click, "timestamp", Field.TYPE_DOUBLE)
    value = shopped(b"\x0a\5\x0a\3ann" + b"\x12\4view" + b"\x19" + b"\0\0\0\0\xc8\x17\xd8A", b"\0")
    given = {"field_user_id": "user.id"}
    assert users({1: schema(file, base)}, value, **given) == ["ann"]
    assert users({1: schema(file)}, value, **given) == ["unusable_schema"]


@pytest.mark.parametrize("text", ["", "no base64", base64.b64encode(b"\xff").decode(), 'syntax = "proto3";'])
def test_what_is_no_schema_is_said_to_be_none(text: str) -> None:
    assert users({1: Schema("PROTOBUF", text)}, shopped(b"")) in (["unusable_schema"], ["not_as_schema"])


@pytest.mark.parametrize(
    "value", [b"\xff", b"\x0a\x05ab", b"\x0a\2\xff\xfe", b"\x4a\2" * 300, b"\x0b" * 1_000_000]
)
def test_what_is_not_as_its_schema_says_is_rejected(value: bytes) -> None:
    assert users({1: schema(shop())}, shopped(value)) == ["not_as_schema"]


def test_two_bytes_of_many_fields_do_not_fill_the_memory() -> None:
    fields = len(shop().message_type[1].field)
    empty = b"\x0a\0" * (1_000_000 // fields + 1)
    assert users({1: schema(shop())}, shopped(empty, b"\2\4")) == ["not_as_schema"]


def test_json_schema_is_json() -> None:
    value = b"\0\0\0\0\1" + json.dumps({"user_id": "ann", "event": "view", "timestamp": T}).encode()
    assert users({1: Schema("JSON", '{"type": "object"}')}, value) == ["ann"]
    assert users({1: Schema("JSON", "no JSON")}, value) == ["ann"]
    assert users({1: Schema("JSON", "{}")}, value[:-1]) == ["not_json"]


@pytest.mark.parametrize(
    ("asked", "fields", "holds"),
    [
        ({"number": ">= 400, < 500"}, {"number": 404.0}, True),
        ({"number": "404"}, {"number": 404.0}, True),
        ({"number": ">= 0.5"}, {"number": 0.1 + 0.2}, False),
        ({"number": "*"}, {"number": math.nan}, False),
        ({"number": "*"}, {}, True),  # without presence: it is 0
        ({"wrapped": "/api/*"}, {"wrapped": {"value": "/api/x"}}, True),
        ({"wrapped": "!*"}, {}, True),
        ({"maybe": "!*"}, {}, True),
        ({"maybe": "?"}, {"maybe": "x"}, True),
        ({"raw": "b?b"}, {"raw": b"bob"}, True),
        ({"raw": r"\\xff"}, {"raw": b"\xff"}, True),
        ({"event": "cart"}, {"event": 3}, True),
        ({"event": "!view"}, {}, False),
        ({"traits__plan": ["pro", "team"]}, {"traits": {"plan": "pro"}}, True),
        ({"traits__plan": "!pro"}, {"traits": {"name": "pro"}}, True),
        ({"self__self__user_id": "b*"}, {"self": {"self": {"user_id": "bob"}}}, True),
        ({"self": "*"}, {"self": {"user_id": "bob"}}, False),  # is no value
        ({"at": "*"}, {"at": {"seconds": T, "nanos": 0}}, True),
        ({"user_id": "a*", "event": ["view", "cart"], "number": "0"}, {}, True),
    ],
)
def test_conditions_on_further_fields(asked: dict[str, Any], fields: dict[str, Any], holds: bool) -> None:
    value = shopped(message("shop.Click", **{"user_id": "ann", "timestamp": T} | fields))
    assert fulfils({1: schema(shop())}, value, **asked) is holds
