"""``records``: clicks in each shape that a topic may have them in, from Kafka's batches to hashed columns.

That is all of a click's way that depends on its shape, and what the decoding
process does. The shapes take turns, so that what else the machine does is
shared by all of them.
"""

import itertools
import json
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from io import BytesIO
from statistics import median
from typing import Any, NamedTuple

import fastavro
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message_factory import GetMessages
from rich.console import Console

from agents.decoding import decode
from bench.profile import as_a_worker_collects_garbage, packed
from bench.results import at_least, report
from clickwarden.formats.choice import decoder_of
from clickwarden.formats.schema import Schema
from clickwarden.kafka.runs import RUN_RECORDS
from clickwarden.settings import Settings

BEGIN = 1_760_000_400
#: Clicks in an array.
SEVERAL = 50
#: Before a value of the only schema.
FRAME = b"\0\0\0\0\1"

Click = dict[str, Any]


class Shape(NamedTuple):
    """How a click is written, or some are; and settings by which it is read, and a registry's schema."""

    write: Callable[[list[Click]], list[Any]]
    settings: Mapping[str, str] = {}
    schema: Schema | None = None


def _cut(values: list[Any], size: int) -> list[list[Any]]:
    return [values[first : first + size] for first in range(0, len(values), size)]


def _each(write: Callable[[Click], Any]) -> Callable[[list[Click]], list[Any]]:
    return lambda clicks: list(map(write, clicks))


def _nested(click: Click) -> Any:
    """Every other user is not signed in, and found by the fallback."""
    number = int(click["user_id"][1:])
    user = {"user": None, "anonymousId": click["user_id"]}
    if number % 2:
        user = {"user": {"id": click["user_id"]}}
    return user | {name: click[name] for name in ("event", "timestamp", "product_id")}


AVRO = {
    "type": "record",
    "name": "Click",
    "fields": [
        {"name": "user_id", "type": "string"},
        {"name": "event", "type": "string"},
        {"name": "timestamp", "type": "double"},
        {"name": "product_id", "type": ["null", "string"]},
    ],
}
REGISTRY = {"registry_url": "http://registry.example"}


def _avro() -> Shape:
    schema = fastavro.parse_schema(AVRO)

    def write(click: Click) -> bytes:
        data = BytesIO()
        fastavro.schemaless_writer(data, schema, click)
        return FRAME + data.getvalue()

    return Shape(_each(write), REGISTRY, Schema("AVRO", json.dumps(AVRO)))


def _protobuf() -> Shape:
    file = FileDescriptorProto(name="click.proto", syntax="proto3")
    message = file.message_type.add(name="Click")
    kinds = {"user_id": Field.TYPE_STRING, "event": Field.TYPE_STRING, "timestamp": Field.TYPE_DOUBLE}
    for number, (name, kind) in enumerate((kinds | {"product_id": Field.TYPE_STRING}).items(), 1):
        message.field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
    made = GetMessages([file])["Click"]
    schema = Schema("PROTOBUF", b64encode(file.SerializeToString()).decode())
    return Shape(_each(lambda click: FRAME + b"\0" + made(**click).SerializeToString()), REGISTRY, schema)


def _spoilt(clicks: list[Click]) -> list[Any]:
    """Behind each nine clicks a record that is none."""
    bad = itertools.cycle(
        [
            17,
            *({**clicks[0], "user_id": user} for user in (True, "", None)),
            clicks[0] | {"timestamp": "noon"},
        ]
    )
    return [record for nine in _cut(clicks, 9) for record in (*nine, next(bad))]


SHAPES = {
    "flat": Shape(_each(dict)),
    "flat, one in ten bad": Shape(_spoilt),
    "nested, with a fallback": Shape(_each(_nested), {"field_user_id": "user.id|anonymousId"}),
    f"array of {SEVERAL}": Shape(lambda clicks: _cut(clicks, SEVERAL)),
    f"records of {SEVERAL}": Shape(lambda clicks: [{"records": some} for some in _cut(clicks, SEVERAL)]),
    "user a number": Shape(_each(lambda click: click | {"user_id": int(click["user_id"][1:])})),
    "time in ISO-8601": Shape(_each(lambda click: click | {"timestamp": "2025-10-09T09:00:00.250Z"})),
    "Debezium": Shape(_each(lambda click: {"before": None, "after": click, "op": "c", "ts_ms": BEGIN})),
    "CloudEvents": Shape(_each(lambda click: {"specversion": "1.0", "type": "click", "data": click})),
    "Avro": _avro(),
    "Protobuf": _protobuf(),
}


def measure(clicks: int, runs: int) -> bool:
    """Decode the clicks ``runs`` times in each shape; report; whether all of them were read each time."""
    console = Console(stderr=True, highlight=False)
    console.print(f"Writing {clicks:,} clicks in {len(SHAPES)} shapes", style="dim")
    made = [
        {"user_id": f"u{number * 7919 % 20_000}", "event": "view", "timestamp": BEGIN + number / 500}
        | {"product_id": f"p{number % 1000}"}
        for number in range(clicks)
    ]
    seconds: dict[str, list[float]] = {name: [] for name in SHAPES}
    right = True
    written = {name: list(map(_encoded, shape.write(made))) for name, shape in SHAPES.items()}
    for _ in range(runs):
        for name, shape in SHAPES.items():
            taken, read = _decode(written[name], shape, clicks)
            seconds[name].append(taken)
            right &= read == clicks
    ratios = {
        name: median(flat / own for flat, own in zip(seconds["flat"], taken, strict=True))
        for name, taken in seconds.items()
    }
    rows = [
        {
            "shape": name,
            "bytes a click": f"{sum(len(record['value']) for record in written[name]) / clicks:.0f}",
            "clicks/s": f"{clicks / median(taken):,.0f}",
            "of flat": f"{ratios[name]:.2f}",
        }
        for name, taken in seconds.items()
    ]
    goals = [
        at_least("one in ten bad, of flat", 0.4, ratios["flat, one in ten bad"]),
        at_least("nested, of flat", 0.7, ratios["nested, with a fallback"]),
        at_least("array, of flat", 1, ratios[f"array of {SEVERAL}"]),
        at_least("Avro, of flat", 0.5, ratios["Avro"]),
    ]
    title = f"{clicks:,} clicks, decoded and hashed {runs} times in each shape, median"
    report("records", title, rows, goals, {"seconds": seconds, "ratios": ratios, "right": right})
    return right


def _encoded(value: Any) -> dict[str, bytes]:
    return {"key": b"", "value": value if isinstance(value, bytes) else json.dumps(value).encode()}


def _decode(records: list[dict[str, bytes]], shape: Shape, clicks: int) -> tuple[float, int]:
    """How long it takes to decode the records, CPU seconds, and how many clicks were read."""
    settings = Settings(_env_file=None, **shape.settings)  # type: ignore[arg-type]
    decoder, read = decoder_of(settings)(), 0
    cut = [packed(some, 0) for some in _cut(records, max(1, RUN_RECORDS * len(records) // clicks))]
    for run in cut:
        run.answers = {1: shape.schema} if shape.schema else {}
    with as_a_worker_collects_garbage():
        began = time.process_time()
        for run in cut:
            for batch, _ in decode(run, decoder, settings.seed):
                read += len(batch)
        return time.process_time() - began, read
