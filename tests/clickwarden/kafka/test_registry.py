"""The client of a schema registry: what it asks, what it keeps, and what it says where there is no answer."""

import asyncio
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from clickwarden.errors import RegistryError, SettingsError
from clickwarden.formats.framing import Framing
from clickwarden.formats.records import Fault
from clickwarden.formats.schema import Schema
from clickwarden.kafka import registry as of_registry
from clickwarden.kafka.registry import Registry, TopicDecoder
from clickwarden.settings import Settings
from tests.framed import Record, avro, framed
from tests.registry import PASSWORD, USER, SchemaRegistry, schema_registry
from tests.secured import Certificates


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    with schema_registry() as registry:
        yield registry


def client(registry: SchemaRegistry, **given: Any) -> Registry:
    own = {"registry_url": registry.url, "registry_username": USER, "registry_password": PASSWORD}
    return Registry(Settings(_env_file=None, **own | given))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_schema_is_asked_for_once_with_all_that_it_refers_to(registry: SchemaRegistry) -> None:
    registry.register("a", {"schema": '"string"'})
    above = [{"name": "A", "subject": "a", "version": 1}]
    registry.register("b/c", {"schema": '"int"', "references": above})
    references = [{"name": "B", "subject": "b/c", "version": 1}, *above]
    number = registry.register("d", {"schema": '"long"', "references": references})
    asking = client(registry)
    assert asking.answer(number) == Schema("AVRO", '"long"', (("A", '"string"'), ("B", '"int"')))
    asked = len(registry.asked)
    assert asking.schema(number) is not None
    assert len(registry.asked) == asked == 3


def test_protobuf_comes_serialized(registry: SchemaRegistry) -> None:
    base = registry.register("base", {"schema": "QQ==", "schemaType": "PROTOBUF"})
    references = [{"name": "base.proto", "subject": "base", "version": base}]
    number = registry.register("p", {"schema": "Qg==", "schemaType": "PROTOBUF", "references": references})
    assert client(registry).answer(number) == Schema("PROTOBUF", "Qg==", (("base.proto", "QQ=="),))


def test_what_the_registry_does_not_know_is_known_for_a_while(registry: SchemaRegistry) -> None:
    asking = client(registry)
    unknown = Fault("unknown_schema", "schema 1: Schema 1 not found")
    assert asking.answer(1) == asking.answer(1) == unknown
    assert registry.asked == ["/schemas/ids/1"]
    assert asking.schema(1) is None
    assert asking.answer(2**32 - 1) == Fault(
        "unknown_schema", "schema 4294967295: no registry gives out such a number"
    )
    assert len(registry.asked) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"registry_password": "wrong-password"}, "(401): set CLICKWARDEN_REGISTRY_USERNAME and "),
        ({"registry_username": "", "registry_password": ""}, "refuses this user (401)"),
        ({"registry_url": "http://127.0.0.1:1"}, "does not answer at http://127.0.0.1:1 ([Errno 111]"),
        ({"registry_url": "http://registry.invalid"}, "does not answer at http://registry.invalid ("),
    ],
)
def test_where_there_is_no_answer_a_sentence_says_why(
    registry: SchemaRegistry, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(RegistryError) as error:
        client(registry, **given).answer(1)
    assert said in str(error.value)
    assert "wrong-password" not in str(error.value)


def test_the_authority_of_kafka_is_trusted_too(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    certificates.issue("registry", "IP:127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates["registry.pem"], certificates["registry.key"])
    with schema_registry(tls) as registry:
        number = registry.register("a", {"schema": '"string"'})
        assert client(registry, ssl_cafile=certificates["ca.pem"]).schema(number) is not None
        with pytest.raises(RegistryError, match="set CLICKWARDEN_SSL_CAFILE to who has signed"):
            client(registry).answer(number)


def test_a_file_without_certificates_is_named(registry: SchemaRegistry) -> None:
    given: dict[str, Any] = {"registry_url": "https://registry.example", "ssl_cafile": __file__}
    with pytest.raises(SettingsError, match=rf"^CLICKWARDEN_SSL_CAFILE={__file__}: holds no certificates"):
        client(registry, **given)


def test_another_server_is_no_registry(registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[tuple[int, Any]] = [
        (404, {"message": "no page"}),
        (404, {"error_code": 404, "message": "HTTP 404 Not Found"}),
        (200, {}),
        (200, []),
        (200, {"schema": 7}),
    ]
    for answer in answers:
        monkeypatch.setattr(registry, "answer", lambda *_, answer=answer: answer)
        with pytest.raises(RegistryError, match=r"is no schema registry.*set CLICKWARDEN_REGISTRY_URL"):
            client(registry).answer(1)
    monkeypatch.setattr(registry, "answer", lambda *_: (503, {}))
    with pytest.raises(RegistryError, match=r"does not answer at .* \(503 "):
        client(registry).answer(1)


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"schema": "{}", "references": 5}),
        (200, {"schema": "{}", "references": [5]}),
        (200, {"schema": "{}", "references": [{"name": "a"}]}),
        (200, {"schema": "{}", "references": [{"name": [], "subject": "a", "version": 1}]}),
        (200, {"schema": "{}", "references": [{"name": "a", "subject": 7, "version": 1}]}),
        (404, {"error_code": float("inf"), "message": ""}),
    ],
)
def test_what_cannot_be_read_is_no_answer(
    registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, Any]
) -> None:
    monkeypatch.setattr(registry, "answer", lambda *_: answer)
    with pytest.raises(RegistryError):
        client(registry).answer(1)


def test_schemas_that_refer_to_each_other_are_asked_for_once(registry: SchemaRegistry) -> None:
    references = [{"name": name, "subject": name, "version": 1} for name in ("a", "b")]
    registry.register("a", {"schema": '"int"', "references": references})
    registry.register("b", {"schema": '"long"', "references": references})
    asking = client(registry)
    assert asking.answer(1) == Schema("AVRO", '"int"', (("b", '"long"'), ("a", '"int"')))
    assert len(registry.asked) == 3


@pytest.mark.parametrize("kind", [None, 5, [], {}, "XML"])
def test_a_schema_of_another_type_is_a_fault(
    registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    monkeypatch.setattr(registry, "answer", lambda *_: (200, {"schema": '"string"', "schemaType": kind}))
    framing = Framing()
    with framing.knowing({1: client(registry).answer(1)}):
        (content,) = framing.contents([Record(framed(b"\x02a", 1))])
    assert content == b'"a"' if kind is None else isinstance(content, Fault)


@contextmanager
def answering(sent: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that sends something to whoever connects; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        sent(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_an_answer_without_end_is_none(registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_registry, "PATIENCE", 0.5)

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" " * 65536)

    def slow(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(200):
            connection.sendall(b" ")
            time.sleep(0.05)

    def short(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}")

    def deep(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 1_000_000)

    for sent in (endless, slow, short, deep):
        began = time.monotonic()
        with answering(sent) as url, pytest.raises(RegistryError):
            client(registry, registry_url=url).answer(1)
        assert time.monotonic() - began < 5


def test_a_password_goes_to_nobody_else(registry: SchemaRegistry) -> None:
    number = registry.register("a", {"schema": '"string"'})

    def sends_on(connection: socket.socket) -> None:
        assert b"Authorization: Basic " in connection.recv(65536)
        where = f"{registry.url}/schemas/ids/{number}".encode()
        connection.sendall(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + where + b"\r\n\r\n")

    with answering(sends_on) as url, pytest.raises(RegistryError, match=r"refuses this user \(401\)"):
        client(registry, registry_url=url).answer(number)


async def test_a_schema_that_comes_late_is_waited_for(registry: SchemaRegistry) -> None:
    number = registry.register("a", {"schema": '"string"'})
    registry.hidden.add(number)
    asking = asyncio.create_task(client(registry).answers({number: time.time()}, time.time))
    await asyncio.to_thread(until, lambda: len(registry.asked) > 2)
    assert not asking.done()
    registry.hidden.clear()
    assert await asking == {number: Schema("AVRO", '"string"')}


async def test_who_is_cancelled_asks_no_more(
    registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(registry, "answer", lambda *_: go_on.wait(20) and (200, {"schema": '"string"'}))
    asking = asyncio.create_task(client(registry).answers(dict.fromkeys(range(50), 0.0), time.time))
    await asyncio.to_thread(until, lambda: registry.asked)
    asking.cancel()
    await asyncio.wait([asking])
    go_on.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert len(registry.asked) == 1


async def test_one_of_an_old_record_is_not(registry: SchemaRegistry) -> None:
    answers = await client(registry).answers({1: time.time() - 11}, time.time)
    assert isinstance(answers[1], Fault)
    assert registry.asked == ["/schemas/ids/1"]


async def test_a_registry_that_is_away_is_waited_for_and_said_to_be_once(
    registry: SchemaRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    number = registry.register("a", {"schema": '"string"'})
    asking = client(registry)
    registry.stop()
    with caplog.at_level(logging.WARNING):
        waiting = asyncio.create_task(asking.answers({number: 0.0}, time.time))
        await asyncio.to_thread(until, lambda: asking.trouble)
        registry.resume()
        assert (await waiting)[number] == Schema("AVRO", '"string"')
    assert asking.trouble == ""
    away, back = (record.getMessage() for record in caplog.records)
    assert away.startswith(f"The schema registry does not answer at {registry.url} ([Errno 111] ")
    assert away.endswith("; counting waits and goes on when it is back")
    assert back.startswith("The schema registry answers again after ")


def test_who_decodes_by_itself_asks_on_the_way(registry: SchemaRegistry) -> None:
    number = registry.register("a", {"schema": avro("string").text})
    given: dict[str, Any] = {"registry_url": registry.url, "registry_username": USER}
    given["registry_password"] = PASSWORD
    decoder = TopicDecoder(Settings(_env_file=None, **given))
    text = json.dumps({"user_id": "ann", "event": "view", "timestamp": 1_600_000_000}).encode()
    known = framed(bytes([2 * len(text) % 128 | 128, 2 * len(text) // 128]) + text, number)
    clicks = decoder.decode([Record(known), Record(framed(b"", 7), 1)])
    assert clicks.users == ["ann"]
    assert [(bad.offset, bad.reason) for bad in clicks.rejected] == [(1, "unknown_schema")]
