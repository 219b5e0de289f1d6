"""Avro behind the five bytes of a registry: decoder and recount find in it what was written."""

import io
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from typing import Any

import fastavro
import pytest

from clickwarden.errors import SchemasMissing
from clickwarden.formats.choice import bare_decoder_of, decoder_of
from clickwarden.formats.records import Fault
from clickwarden.formats.schema import Schema
from tests.framed import Record, avro, decode, framed, fulfils, settings, users

T = 1_600_000_000
AT = datetime.fromtimestamp(T, UTC)


def record(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": field, "type": kind} for field, kind in fields.items()],
    }


CLICK = record("Click", user_id="string", event="string", timestamp="double")
FIELDS = {"user_id": "ann", "event": "view", "timestamp": float(T)}


def datum(written: Any, found: Any, *referred: Any) -> bytes:
    named: dict[str, Any] = {}
    for one in referred:
        fastavro.parse_schema(one, named)
    whole = {"type": "record", "name": "test_whole", "fields": [{"name": "whole", "type": written}]}
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(whole, named), {"whole": found})
    return data.getvalue()


def one(written: Any, found: Any, *, references: Mapping[str, Any] | None = None, **given: Any) -> list[str]:
    referred = references or {}
    answers = {1: avro(written, **referred)}
    return users(answers, framed(datum(written, found, *referred.values())), **given)


def test_a_click_is_what_was_written() -> None:
    clicks = decode({1: avro(CLICK)}, Record(framed(datum(CLICK, FIELDS))))
    assert (clicks.users, clicks.events, clicks.times.tolist()) == (["ann"], ["view"], [T])
    assert one(CLICK, FIELDS) == ["ann"]


@pytest.mark.parametrize(
    ("kind", "written", "user"),
    [
        ("string", "bot-7", "bot-7"),
        ("int", 7, "7"),
        ("long", -(2**60), str(-(2**60))),
        (["null", "string"], "bot-7", "bot-7"),
        (["null", "string"], None, "missing_field"),
        (["null", "string", "long"], 7, "7"),
        ("boolean", True, "wrong_field"),
        ("double", 7.0, "7"),
        ("double", 7.5, "wrong_field"),
        ("double", float("nan"), "missing_field"),
        ("bytes", b"bot-7", "bot-7"),
        ("bytes", b"\xff7", r"\xff7"),
        (["bytes", "string"], "bot-7", "bot-7"),
        ({"type": "fixed", "name": "Four", "size": 4}, b"bot7", "bot7"),
        ({"type": "enum", "name": "Who", "symbols": ["ANN", "BOB"]}, "BOB", "BOB"),
        ({"type": "string", "logicalType": "uuid"}, str(uuid.UUID(int=7)), str(uuid.UUID(int=7))),
        (
            {"type": "fixed", "name": "Id", "size": 16, "logicalType": "uuid"},
            uuid.UUID(int=7).bytes,
            str(uuid.UUID(int=7)),
        ),
        ({"type": "bytes", "logicalType": "decimal", "precision": 20}, Decimal(7), "7"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}, Decimal("7.00"), "7"),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2},
            Decimal("7.50"),
            "wrong_field",
        ),
        ({"type": "array", "items": "string"}, ["bot-7"], "wrong_field"),
        ("string", "", "empty_user_id"),
        ("string", "x" * 300, "huge_user_id"),
    ],
)
def test_a_user_may_be_of_many_types(kind: Any, written: Any, user: str) -> None:
    shape = record("Click", user_id=kind, event="string", timestamp="double")
    assert one(shape, FIELDS | {"user_id": written}) == [user]


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("long", T),
        ("int", T),
        ("string", "2020-09-13T12:26:40Z"),
        ({"type": "long", "logicalType": "timestamp-millis"}, AT),
        ({"type": "long", "logicalType": "timestamp-micros"}, AT),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, AT.replace(tzinfo=None)),
        ([{"type": "long", "logicalType": "timestamp-millis"}, "null"], AT),
        ("long", T * 1_000_000_000),
    ],
)
def test_a_time_may_be_of_many_types(kind: Any, written: Any) -> None:
    shape = record("Click", user_id="string", event="string", timestamp=kind)
    value = framed(datum(shape, FIELDS | {"timestamp": written}))
    assert decode({1: avro(shape)}, Record(value)).times.tolist() == [T]
    assert users({1: avro(shape)}, value) == ["ann"]


def test_paths_lead_through_records_maps_and_lists() -> None:
    shape = record(
        "Event",
        context=["null", record("Context", traits={"type": "map", "values": ["null", "string"]})],
        anonymousId=["null", "string"],
        kinds={"type": "array", "items": "string"},
        timestamp="long",
    )
    given: dict[str, Any] = {"field_user_id": "context.traits.id|anonymousId", "field_event": "kinds.0"}

    def found(**fields: Any) -> list[str]:
        plain = {"context": None, "anonymousId": None, "kinds": ["view"], "timestamp": T}
        return one(shape, plain | fields, **given)

    assert found(context={"traits": {"id": "ann"}}) == ["ann"]
    assert found(context={"traits": {"id": None}}, anonymousId="bob") == ["bob"]
    assert found(anonymousId="bob") == ["bob"]
    assert found() == ["missing_field"]
    assert found(anonymousId="bob", kinds=[]) == ["missing_field"]


def test_envelopes_are_opened() -> None:
    several = record("Several", records={"type": "array", "items": CLICK})
    bob = FIELDS | {"user_id": "bob"}
    huge = FIELDS | {"event": "x" * 65}
    assert one(several, {"records": [FIELDS, bob, huge]}) == ["ann", "bob", "huge_event"]
    assert one({"type": "array", "items": CLICK}, [FIELDS, bob]) == ["ann", "bob"]
    change = record("Envelope", before=["null", CLICK], after=["null", "Click"], op="string")
    assert one(change, {"before": None, "after": FIELDS, "op": "c"}) == ["ann"]
    assert one(change, {"before": FIELDS, "after": bob, "op": "u"}) == []
    assert one(["null", CLICK], FIELDS) == ["ann"]
    assert one("string", json.dumps(FIELDS)) == ["ann"]


def test_schemas_refer_to_others() -> None:
    name = "org.example.User"
    user = record(name, id="string")
    shape = record("Click", user=name, other=name, event="string", timestamp="long")
    plain = {"user": {"id": "ann"}, "other": {"id": "bob"}, "event": "view", "timestamp": T}
    given: dict[str, Any] = {"field_user_id": "user.id"}
    assert one(shape, plain, references={name: user}, **given) == ["ann"]
    assert users({1: avro(shape)}, framed(datum(shape, plain, user)), **given) == ["unusable_schema"]


@pytest.mark.parametrize(
    "shape",
    [
        record("Node", next=["null", "Node"]),
        record("Node", others={"type": "array", "items": "Node"}),
        record("A", b=record("B", a=["null", "A"])),
        {"type": "array", "items": "null"},
        {"type": "array", "items": record("Nothing", nothing="null")},
        reduce(
            lambda inner, depth: record(f"Wide{depth}", one=inner, other=f"Wide{depth - 1}"),
            range(1, 12),
            record("Wide0", nothing="null"),
        ),
        {"type": "array", "items": {"type": "fixed", "name": "Zero", "size": 0}},
        record("Click", user_id="strin"),
        {"type": "record"},
        {},
        "",
        7,
        None,
    ],
)
def test_what_could_be_of_any_depth_or_length_is_not_read(shape: Any) -> None:
    assert users({1: avro(shape)}, framed(b"\2" * 100_000)) == ["unusable_schema"]


@pytest.mark.parametrize(
    "value",
    [
        datum(CLICK, FIELDS)[:-1],
        datum(CLICK, FIELDS) + b"\0",
        b"",
        b"\x01abc",
        b"\xff" * 100,
        b"\x04\xff\xfe" + datum(CLICK, FIELDS)[4:],
    ],
)
def test_what_is_not_as_its_schema_says_is_rejected_whole(value: bytes) -> None:
    (bad,) = decode({1: avro(CLICK)}, Record(framed(value), 7, key=b"k")).rejected
    assert (bad.reason, bad.offset, bad.key, bad.value) == ("not_as_schema", 7, b"k", framed(value))
    assert users({1: avro(CLICK)}, framed(value)) == ["not_as_schema"]


def test_a_long_decimal_takes_no_time() -> None:
    shape = record("Click", user_id={"type": "bytes", "logicalType": "decimal", "precision": 9})
    length = datum("long", 1_000_000)
    assert users({1: avro(shape)}, framed(length + b"\1" * 1_000_000)) == ["not_as_schema"]


def test_two_schemas_and_bare_json_lie_among_each_other() -> None:
    newer = record("Click", event="string", timestamp="long", page=["null", "string"], user_id="long")
    values = [
        framed(datum(CLICK, FIELDS | {"user_id": "u-1"})),
        framed(datum(newer, {"event": "view", "timestamp": T, "page": "/", "user_id": 2}), 2),
        json.dumps(FIELDS | {"user_id": "u-3"}).encode(),
        framed(json.dumps(FIELDS | {"user_id": "u-4"}).encode(), 3),
        b"",
        b"\0\0\0",
        None,
        framed(datum(CLICK, FIELDS | {"user_id": "u-5"})),
        framed(b"", 2),
        framed(b"anything", 4),
    ]
    answers = {1: avro(CLICK), 2: avro(newer), 3: Schema("JSON", "{}"), 4: Schema("XML", "")}
    clicks = decode(answers, *(Record(value, offset) for offset, value in enumerate(values)))
    assert clicks.users == ["u-1", "2", "u-3", "u-4", "u-5"]
    assert [(bad.offset, bad.reason) for bad in clicks.rejected] == [
        (4, "not_json"),
        (5, "not_json"),
        (8, "not_as_schema"),
        (9, "unusable_schema"),
    ]
    assert clicks.ignored == 1
    for value in values:
        if value is not None:
            assert len(users(answers, value)) == 1


def test_a_text_of_seventeen_letters_is_no_json() -> None:
    user = "seventeen-letters"
    assert datum(CLICK, FIELDS | {"user_id": user})[:1] == b'"'
    assert one(CLICK, FIELDS | {"user_id": user}) == [user]


def test_schemas_are_asked_for_before_anything_is_decoded() -> None:
    decoder = decoder_of(settings())()
    records = [
        Record(json.dumps(FIELDS).encode(), 0),
        Record(framed(datum(CLICK, FIELDS), 7), 1, timestamp=1_700_000_002_000),
        Record(framed(datum(CLICK, FIELDS), 7), 2, timestamp=1_700_000_001_000),
        Record(framed(b"", 8), 3),
    ]
    with pytest.raises(SchemasMissing) as missing:
        decoder.decode(records)
    assert missing.value.newest == {7: 1_700_000_002.0, 8: 1_700_000_000.0}
    unknown = Fault("unknown_schema", "schema 8: not found")
    with decoder.knowing({7: avro(CLICK), 8: unknown}):
        clicks = decoder.decode(records)
    assert clicks.users == ["ann"] * 3
    assert [(bad.offset, bad.reason, bad.detail) for bad in clicks.rejected] == [(3, *unknown)]
    # A schema is known for good; that there is none may change.
    with pytest.raises(SchemasMissing) as missing:
        decoder.decode(records)
    assert list(missing.value.newest) == [8]


def test_a_line_of_a_file_has_no_schema() -> None:
    (bad,) = bare_decoder_of(settings())().decode([Record(framed(datum(CLICK, FIELDS)))]).rejected
    assert bad.reason == "not_json"


def test_a_schema_named_in_a_header_is_said_to_be() -> None:
    header = (("__value_schema_id", b"\1" + bytes(16)),)
    value = datum(CLICK, FIELDS | {"user_id": "nine12345"})
    (bad,) = decode({}, Record(value, headers=header)).rejected
    assert (bad.reason, "__value_schema_id" in bad.detail) == ("unknown_schema", True)
    assert users({}, Record(value, headers=header)) == ["unknown_schema"]
    assert users({}, Record(json.dumps(FIELDS).encode(), headers=header)) == ["ann"]


@pytest.mark.parametrize(
    ("kind", "written", "condition", "holds"),
    [
        ("int", 404, ">= 400, < 500", True),
        ("int", 404, "404", True),
        ("long", 2**60 + 1, str(2**60), False),
        ("double", 404.0, "404", True),
        ("double", float("inf"), "*", False),
        ("float", 0.5, "> 0.4", True),
        ("boolean", True, True, True),
        ("boolean", False, "!true", True),
        ("string", "/api/x", "/api/*", True),
        ("string", "", "*", True),
        (["null", "string"], None, "!*", True),
        (["null", "string"], None, "*", False),
        (["null", "string", "int"], 7, ["7", "8"], True),
        ("bytes", b"GET", ["GET", "HEAD"], True),
        ("bytes", b"\xff", r"\\xff", True),
        ({"type": "enum", "name": "Method", "symbols": ["GET", "PUT"]}, "PUT", "!GET", True),
        ({"type": "map", "values": "string"}, {"plan": "pro"}, "*", False),
        ({"type": "array", "items": "int"}, [404], "404", False),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            Decimal("19.90"),
            "> 19.8, < 20",
            True,
        ),
        ({"type": "string", "logicalType": "uuid"}, str(uuid.UUID(int=7)), "00000000-*-000000000007", True),
    ],
)
def test_conditions_on_further_fields(kind: Any, written: Any, condition: Any, holds: bool) -> None:
    shape = record("Click", user_id="string", event="string", timestamp="double", said=kind)
    value = framed(datum(shape, FIELDS | {"said": written}))
    assert fulfils({1: avro(shape)}, value, said=condition) is holds
    assert fulfils({1: avro(shape)}, value, said=condition, event="view", user_id="a?n") is holds


def test_conditions_reach_into_records_and_maps() -> None:
    who = record("Who", plan="string", age=["null", "int"])
    shape = record(
        "Click", user_id="string", event="string", timestamp="double", who=who,
        traits={"type": "map", "values": ["null", "string", "double"]},
    )  # fmt: skip
    fields = FIELDS | {
        "who": {"plan": "pro", "age": None},
        "traits": {"city": "Riga", "score": 0.9, "x": None},
    }
    answers, value = {1: avro(shape)}, framed(datum(shape, fields))
    assert fulfils(answers, value, who__plan="pro", who__age="!*", traits__city="R*", traits__score=">= 0.9")
    assert fulfils(answers, value, traits__x="!*", traits__y="!*", who="!*")
    assert not fulfils(answers, value, who__plan="!pro")
