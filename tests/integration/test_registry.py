"""Clicks through a schema registry, written by confluent-kafka's serializers, and a registry in trouble."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import json_format, timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from tests.registry import PASSWORD, USER, SchemaRegistry, schema_registry
from tests.site import Site, Worker, click, window_before

T = window_before(time.time())

OLD = {
    "type": "record",
    "name": "Click",
    "namespace": "shop",
    "fields": [
        {"name": "user_id", "type": "string"},
        {"name": "event", "type": {"type": "enum", "name": "Kind", "symbols": ["view", "cart"]}},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
#: A field before the others, and the user may be missing.
NEW = OLD | {
    "fields": [
        {"name": "page", "type": ["null", "string"], "default": None},
        {"name": "user_id", "type": ["null", "string"], "default": None},
        *OLD["fields"][1:],
    ]
}


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    with schema_registry() as registry:
        yield registry


@pytest.fixture
def here(site: Callable[..., Site], registry: SchemaRegistry) -> Site:
    return site(
        registry_url=registry.url, registry_username=USER, registry_password=PASSWORD, idle_timeout=3600
    )


class Writer:
    """Writes clicks of a schema as a producer of confluent-kafka does."""

    def __init__(self, registry: SchemaRegistry, schema: dict[str, Any]) -> None:
        self._serialize = AvroSerializer(SchemaRegistryClient(registry.client), json.dumps(schema))

    def __call__(self, user: str | None, moment: float, **more: Any) -> bytes:
        fields = {"user_id": user, "event": "view", "timestamp": int(moment * 1000)} | more
        value = self._serialize(fields, SerializationContext("clicks", MessageField.VALUE))
        assert isinstance(value, bytes)
        return value


def protobuf(registry: SchemaRegistry) -> Callable[[str, float], bytes]:
    """Writes clicks of a message that is the second of its file, which imports another."""
    user = {"name": "registry_user.proto", "package": "shop", "messageType": [{"name": "User"}]}
    user["messageType"][0]["field"] = [{"name": "id", "number": 1, "type": "TYPE_STRING"}]  # type: ignore[index]
    fields = [
        {"name": "user", "number": 1, "type": "TYPE_MESSAGE", "typeName": ".shop.User"},
        {"name": "event", "number": 2, "type": "TYPE_STRING"},
        {"name": "timestamp", "number": 3, "type": "TYPE_MESSAGE", "typeName": ".google.protobuf.Timestamp"},
    ]
    click = {
        "name": "registry_click.proto",
        "package": "shop",
        "syntax": "proto3",
        "dependency": ["registry_user.proto", "google/protobuf/timestamp.proto"],
        "messageType": [{"name": "Other"}, {"name": "Click", "field": fields}],
    }
    pool = DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for file in (user, click):
        pool.Add(json_format.ParseDict(file, FileDescriptorProto()))
    made = GetMessageClass(pool.FindMessageTypeByName("shop.Click"))
    serialize = ProtobufSerializer(
        made, SchemaRegistryClient(registry.client), {"use.deprecated.format": False}
    )

    def write(user: str, moment: float) -> bytes:
        about = {"user": {"id": user}, "event": "view", "timestamp": {"seconds": int(moment)}}
        value = serialize(made(**about), SerializationContext("clicks-protobuf", MessageField.VALUE))
        assert isinstance(value, bytes)
        return value

    return write


def json_schema(registry: SchemaRegistry) -> Callable[[str, float], bytes]:
    """Writes clicks by a JSON Schema."""
    schema = {"title": "Click", "type": "object", "properties": {"user_id": {"type": "string"}}}
    serialize = JSONSerializer(json.dumps(schema), SchemaRegistryClient(registry.client))

    def write(user: str, moment: float) -> bytes:
        about = {"user_id": user, "event": "view", "timestamp": moment}
        value = serialize(about, SerializationContext("clicks-json", MessageField.VALUE))
        assert isinstance(value, bytes)
        return value

    return write


def test_each_kind_of_schema_is_read(site: Callable[..., Site], registry: SchemaRegistry) -> None:
    here = site(
        registry_url=registry.url,
        registry_username=USER,
        registry_password=PASSWORD,
        field_user_id="user.id|user_id",
        idle_timeout=3600,
    )
    worker = here.start()
    writers = (protobuf(registry), json_schema(registry), Writer(registry, OLD))
    here.send(*(write("bot", T + second) for second in range(20) for write in writers))
    here.send(*(write("ann", T + 66) for write in writers * 2))
    here.await_counted(worker)
    verdict = here.verdict()
    assert (verdict.ok, verdict.accepted, verdict.rejected) == (True, 66, 0), verdict.examples
    (told,) = (each for each in here.anomalies() if each["status"] == "closed")
    assert (told["user_id"], told["count"]) == ("bot", 60)


def number_of(value: bytes) -> int:
    return int.from_bytes(value[1:5])


def test_a_schema_may_change_in_the_middle_of_the_clicks(here: Site, registry: SchemaRegistry) -> None:
    old, new = Writer(registry, OLD), Writer(registry, NEW)
    worker = here.start()
    here.send(*(old("bot", T + second) for second in range(30)))
    here.await_counted(worker)
    nobody = new(None, T)
    here.send(*(new("bot", T + second, page="/") for second in range(20)), nobody, nobody[:-1])
    # Some of either among each other, and JSON; and what moves the time.
    here.send(old("bot", T + 50), new("bot", T + 51), click("bot", T + 52), old("bot", T + 53))
    here.send(*(new("ann", T + 66 + second, page=None) for second in range(5)))
    here.await_counted(worker)
    for number in (1, 2):  # for the counting once, and once by whoever looks at the topic now and then
        assert 1 <= registry.asked.count(f"/schemas/ids/{number}") <= 2

    verdict = here.verdict()
    assert (verdict.ok, verdict.accounted, verdict.accepted) == (True, True, 59), verdict.examples
    assert {each["user_id"]: each["count"] for each in here.anomalies() if each["status"] == "closed"} == {
        "bot": 54
    }
    bad = [(copy.about["reason"], copy.value) for copy in here.rejected()]
    assert bad == [("missing_field", nobody), ("not_as_schema", nobody[:-1])]
    done = here.run("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSWORD not in worker.log


@pytest.mark.alone
def test_a_schema_that_comes_late_is_waited_for_and_one_that_never_comes_is_named(
    here: Site, registry: SchemaRegistry
) -> None:
    old, new = Writer(registry, OLD), Writer(registry, NEW)
    worker = here.start()
    late = new("ann", T)
    registry.hidden.add(number_of(late))
    here.send(late)
    path = f"/schemas/ids/{number_of(late)}"
    here.until(lambda: registry.asked.count(path) > 2, worker)
    assert here.behind()
    registry.hidden.clear()
    here.await_counted(worker)
    assert not here.rejected()

    never = b"\0\0\0\x03\xe7" + late[5:]
    here.send(old("ann", T + 1), never, never, old("ann", T + 2))
    here.await_counted(worker)
    status = worker.partitions()[0]
    assert (status["accepted"], status["rejected"]) == (3, {"unknown_schema": 2})
    (first, second) = here.rejected()
    assert (first.value, first.about["reason"], first.about["detail"]) == (
        never,
        "unknown_schema",
        "schema 999: Schema 999 not found",
    )
    assert second.value == never
    assert here.verdict().ok
    # What nobody knew a moment ago is not waited for again.
    asked = time.monotonic()
    here.send(never, old("ann", T + 3))
    here.await_counted(worker)
    assert worker.partitions()[0]["rejected"] == {"unknown_schema": 3}
    assert time.monotonic() - asked < 9


def away(worker: Worker) -> bool:
    return worker.state == "away"


@pytest.mark.alone
def test_while_the_registry_is_away_clicks_wait_and_none_is_rejected(
    here: Site, registry: SchemaRegistry
) -> None:
    old, new = Writer(registry, OLD), Writer(registry, NEW)
    values = [old("bot", T + second) for second in range(55)] + [new("ann", T + 66)]
    with ExitStack() as back:
        registry.stop()
        back.callback(registry.resume)
        worker = here.start(session_timeout=6)
        here.send(*values[:30])
        here.until(lambda: away(worker), worker)
        said = f"The schema registry does not answer at {registry.url} ("
        assert worker.log.count(said) == 1
        status, answer = worker.ask("/ready")
        waits = "The schema registry does not answer, and clicks wait; the worker's log says why"
        assert (status, answer["detail"]) == (503, waits)
        here.until(lambda: worker.ask("/api/v1/now")[1]["verdict"]["text"] == waits, worker)
        assert waits in worker.ask("/api/v1/now")[1]["health"]["impaired"]
        # It can end while it waits, and another goes on where it was; not behind what waits, though it could.
        here.send(*(click("bot", T + 55 + second) for second in range(2)))
        assert worker.terminate() < 6
        assert here.behind() == {0: 32}
        worker = here.start(session_timeout=6)
        here.until(lambda: away(worker), worker)
    here.await_counted(worker)
    assert "The schema registry answers again after " in worker.log
    here.until(lambda: worker.ready, worker)

    registry.stop()
    here.send(*values[30:])
    here.until(lambda: away(worker), worker)
    assert worker.partitions()[0]["accepted"] == 32
    registry.resume()
    here.await_counted(worker)
    verdict = here.verdict()
    assert (verdict.ok, verdict.accepted, verdict.rejected) == (True, 58, 0), verdict.examples


def test_a_wrong_password_is_said_and_waited_for(here: Site, registry: SchemaRegistry) -> None:
    value = Writer(registry, OLD)("ann", T)
    worker = here.start(registry_password="wrong-password")
    here.send(value)
    here.until(lambda: away(worker), worker)
    assert "set CLICKWARDEN_REGISTRY_USERNAME and CLICKWARDEN_REGISTRY_PASSWORD" in worker.log
    assert "wrong-password" not in worker.log
    worker.kill()
    here.await_counted(here.start())
    assert here.verdict().accepted == 1


def test_a_trial_of_rules_asks_it_too(here: Site, registry: SchemaRegistry) -> None:
    here.start().terminate()
    old, new = Writer(registry, OLD), Writer(registry, NEW)
    for number in range(30):
        here.send(old("eve", T + number), new("eve", T + number, page="/"), click("eve", T + number))
    rules = str(here.settings.rules)
    found = json.loads(here.run("rules", "try", rules, "--json").stdout)
    assert (found["clicks"], found["rejected"], found["newest"], found["before"]["users"]) == (90, {}, [], 1)
    registry.stop()
    done = here.run("rules", "try", rules)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("clickwarden: The schema registry does not answer at ")
    assert done.stderr.count("\n") == 1
