"""A schema registry for tests: what Confluent's documents of the part of its API that clients use.

No real one can be had from a package index. Those who register schemas here and write records are real:
confluent-kafka's serializers.
"""

import json
import re
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

USER, PASSWORD = "clickwarden", "secret-of-the-registry"


class SchemaRegistry:
    """Schemas by number, and who asked for them.

    Attributes:
        asked: paths that were asked for.
        hidden: numbers that it does not know yet, as a copy that lags.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.asked: list[str] = []
        self.hidden: set[int] = set()
        self._schemas: dict[int, dict[str, Any]] = {}
        self._versions: dict[str, list[int]] = {}
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.resume()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def client(self) -> dict[str, str]:
        """The configuration of a client of confluent-kafka."""
        return {"url": self.url, "basic.auth.user.info": f"{USER}:{PASSWORD}"}

    def resume(self) -> None:
        """Answer, at the same address as before."""
        handler = type("Handler", (_Handler,), {"registry": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._port = self._server.server_port
        if self._tls:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be away."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        """The number of a schema, as POST /subjects/SUBJECT/versions has it."""
        kept = {name: schema[name] for name in ("schema", "schemaType", "references") if schema.get(name)}
        number = next((known for known, other in self._schemas.items() if other == kept), 0)
        if not number:
            number = len(self._schemas) + 1
            self._schemas[number] = kept
        versions = self._versions.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and content."""
        where, _, query = path.partition("?")
        if found := re.fullmatch(r"/schemas/ids/(\d+)", where):
            number = int(found[1])
            if number not in self._schemas or number in self.hidden:
                return 404, {"error_code": 40403, "message": f"Schema {number} not found"}
            return 200, self._shown(number, query)
        if found := re.fullmatch(r"/subjects/([^/]+)(?:/versions(?:/(\d+|latest))?)?", where):
            subject = unquote(found[1])
            if method == "POST":
                number = self.register(subject, body)
                version = self._versions[subject].index(number) + 1
                return 200, body | {"subject": subject, "version": version, "id": number}
            versions = self._versions.get(subject, [])
            if not versions:
                return 404, {"error_code": 40401, "message": f"Subject '{subject}' not found."}
            version = len(versions) if found[2] == "latest" else int(found[2])
            number = versions[version - 1]
            about = {"subject": subject, "version": version, "id": number}
            return 200, about | self._shown(number, query)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _shown(self, number: int, query: str) -> dict[str, Any]:
        """A schema as asked for: of Protobuf it is source, unless the query wants it serialized."""
        schema = self._schemas[number]
        if schema.get("schemaType") == "PROTOBUF" and "format=serialized" not in query:
            return schema | {"schema": 'syntax = "proto3";'}
        return schema


class _Handler(BaseHTTPRequestHandler):
    registry: SchemaRegistry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: Any) -> None:
        expected = f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        if self.headers["Authorization"] != expected:
            status, content = 401, {"error_code": 401, "message": "Unauthorized"}
        else:
            self.registry.asked.append(self.path)
            status, content = self.registry.answer(self.command, self.path, body)
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


@contextmanager
def schema_registry(tls: ssl.SSLContext | None = None) -> Iterator[SchemaRegistry]:
    """One that ends with the test."""
    registry = SchemaRegistry(tls)
    try:
        yield registry
    finally:
        registry.stop()
