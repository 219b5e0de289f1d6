"""Records of a schema registry, made up and damaged: decoder and recount account for each alike."""

import base64
import io
import json
import os
import random
import secrets
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from google.protobuf import json_format, timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message_factory import GetMessages

from clickwarden.formats.choice import decoder_of
from clickwarden.formats.records import Fault
from clickwarden.formats.schema import Schema
from tests.framed import Answers, Record, agree, avro, decode_by, fates, framed, reader_of, settings

T = 1_600_000_000
SEED = int(os.environ.get("SEED", secrets.randbelow(10_000)))
#: Made-up records of each format.
RECORDS = int(os.environ.get("RECORDS", "1000"))

FLAT = {
    "type": "record",
    "name": "Click",
    "fields": [
        {"name": "user_id", "type": ["null", "string", "long"]},
        {"name": "event", "type": {"type": "enum", "name": "Kind", "symbols": ["view", "cart"]}},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
DEEP = {
    "type": "record",
    "name": "Batch",
    "fields": [
        {
            "name": "records",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Event",
                    "fields": [
                        {"name": "who", "type": {"type": "map", "values": ["string", "double", "boolean"]}},
                        {"name": "id", "type": {"type": "bytes", "logicalType": "decimal", "precision": 30}},
                        {"name": "event", "type": ["bytes", "string", "null"]},
                        {"name": "timestamp", "type": ["double", "float", "int", "string"]},
                        {"name": "product_id", "type": {"type": "fixed", "name": "Four", "size": 4}},
                    ],
                },
            },
        }
    ],
}
#: The numbers of Protobuf's types.
DOUBLE, INT64, STRING, MESSAGE, BYTES = 1, 3, 9, 11, 12
PROTOBUF = {
    "name": "batch.proto",
    "package": "shop",
    "syntax": "proto3",
    "dependency": ["google/protobuf/timestamp.proto"],
    "messageType": [
        {
            "name": "Batch",
            "field": [
                {"name": "records", "number": 1, "label": 3, "type": MESSAGE, "typeName": ".shop.Click"},
                {"name": "batch", "number": 2, "label": 1, "type": MESSAGE, "typeName": ".shop.Batch"},
            ],
        },
        {
            "name": "Click",
            "field": [
                {"name": "user_id", "number": 1, "label": 1, "type": STRING},
                {"name": "raw", "number": 2, "label": 1, "type": BYTES},
                {"name": "event", "number": 3, "label": 1, "type": STRING},
                {"name": "timestamp", "number": 4, "label": 1, "type": INT64},
                {"name": "number", "number": 5, "label": 1, "type": DOUBLE},
                {
                    "name": "at",
                    "number": 6,
                    "label": 1,
                    "type": MESSAGE,
                    "typeName": ".google.protobuf.Timestamp",
                },
            ],
        },
    ],
}
FILE = json_format.ParseDict(PROTOBUF, FileDescriptorProto())
STAMPS = FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
CLASSES = GetMessages([FILE, STAMPS])

USERS = ("ann", "", "\u00fc\U0001f600", "x" * 300, "seventeen-letters", "7", '{"id": "bob"}')
TIMES = (T, T + 1, 0, -1, 2**40, T * 1000)
PIECES = (b"", b"\0", b"\xff", b"\2", b"\x80", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", b"{", b'"')

Make = Callable[[random.Random], bytes]


def flat(draw: random.Random) -> bytes:
    fields = {
        "user_id": draw.choice([None, 7, -1, *USERS]),
        "event": draw.choice(["view", "cart"]),
        "timestamp": draw.choice(TIMES) * draw.choice([1, 1000]),
    }
    return written(FLAT, fields)


def deep(draw: random.Random) -> bytes:
    events = [
        {
            "who": draw.choice([{}, {"name": draw.choice(USERS)}, {"name": 7.0}, {"name": float("nan")}]),
            "id": Decimal(draw.choice([7, -7, 10**29])),
            "event": draw.choice([None, b"view", "view", b"\xff", "x" * 65]),
            "timestamp": draw.choice([float(T), T + 0.5, T, "2020-09-13T12:26:40Z", float("inf"), ""]),
            "product_id": draw.choice([b"abcd", b"\xff\0\0\0"]),
        }
        for _ in range(draw.choice([0, 1, 1, 3]))
    ]
    return written(DEEP, {"records": events})


def written(schema: Any, datum: Any) -> bytes:
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(schema), datum)
    return data.getvalue()


def protobuf(draw: random.Random) -> bytes:
    def click() -> Any:
        return CLASSES["shop.Click"](
            user_id=draw.choice(USERS),
            raw=draw.choice([b"", b"view", b"\xff"]),
            event=draw.choice(["view", "", "x" * 65]),
            timestamp=draw.choice(TIMES),
            number=draw.choice([0.0, 7.0, float("nan"), float("-inf")]),
            at={"seconds": draw.choice(TIMES), "nanos": draw.choice([0, -1, 500_000_001])},
        )

    if draw.random() < 0.5:
        return b"\2\2" + bytes(click().SerializeToString())
    batch = CLASSES["shop.Batch"](records=[click() for _ in range(draw.choice([0, 1, 3]))])
    value = bytes(batch.SerializeToString())
    for _ in range(draw.choice([0, 0, 1, 90, 150])):  # of which 100 are read
        value = b"\x12" + bytes([len(value) % 128 | 128, len(value) // 128]) + value
    return b"\0" + value


def plain(draw: random.Random) -> bytes:
    fields = {"user_id": draw.choice(USERS), "event": "view", "timestamp": draw.choice(TIMES)}
    return json.dumps(draw.choice([fields, [fields, fields], {"records": [fields]}])).encode()


def damaged(draw: random.Random, value: bytes) -> bytes:
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(len(value) + 1)
        if draw.random() < 0.5:
            value = value[:at] + draw.choice(PIECES) + value[at + draw.randrange(4) :]
        elif at < len(value):
            value = value[:at] + bytes([value[at] ^ 1 << draw.randrange(8)]) + value[at + 1 :]
    return value


FORMATS: dict[str, tuple[dict[str, str], Schema, Make]] = {
    "flat Avro": ({}, avro(FLAT), flat),
    "deep Avro": ({"field_user_id": "who.name|id"}, avro(DEEP), deep),
    "Protobuf": (
        {"field_timestamp": "at|timestamp", "field_user_id": "user_id|raw|number"},
        Schema("PROTOBUF", base64.b64encode(FILE.SerializeToString()).decode()),
        protobuf,
    ),
    "JSON Schema": ({}, Schema("JSON", "{}"), plain),
}


def made_up(draw: random.Random, make: Make) -> Iterator[Record]:
    for offset in range(RECORDS):
        value = framed(make(draw), draw.choice([1] * 20 + [2, 3, 4]))
        if draw.random() < 0.5:
            value = value[:5] + damaged(draw, value[5:])
        elif draw.random() < 0.05:
            value = damaged(draw, value[:5]) + value[5:]
        headers = draw.choice([(), (), (("__value_schema_id", b"\1"),), (("ce_specversion", b"1"),)])
        yield Record(value if draw.random() < 0.99 else None, offset, headers=headers)


def known(schema: Schema, records: list[Record]) -> Answers:
    """What a registry says of all that the records name: one schema, and others for 2 and 3."""
    others = {1: schema, 2: avro(FLAT), 3: Schema("AVRO", '{"type": "record"}')}
    numbers = {int.from_bytes(record.value[1:5]) for record in records if record.value}
    return {number: others.get(number) or Fault("unknown_schema", "") for number in numbers}


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_records_are_judged_alike(name: str) -> None:
    print(f"again: SEED={SEED} RECORDS={RECORDS} .venv/bin/python -m pytest {__file__}")
    given, schema, make = FORMATS[name]
    draw = random.Random(f"{SEED} {name}")
    records = list(made_up(draw, make))
    answers = known(schema, records)
    decoder, reader = decoder_of(settings(**given))(), reader_of(answers, **given)
    accepted = 0
    while records:
        size = draw.choice([1, 2, 10, 300])
        run, records = records[:size], records[size:]
        together = fates(decode_by(decoder, answers, run), run)
        for record, found in zip(run, together, strict=True):
            assert agree(found, record, reader), record
            assert fates(decode_by(decoder, answers, [record]), [record]) == [found], record
            accepted += sum(isinstance(fate, tuple) for fate in found)
    assert accepted > RECORDS / 20
