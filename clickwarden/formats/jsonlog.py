"""Web servers' access logs of one JSON object a line.

Caddy, Traefik, Envoy, Cloudflare's Logpush, and nginx with a ``log_format`` of
``escape=json`` or whatever else names its fields alike (:data:`FIELDS`): which
field says what is found out by the first lines.
"""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from clickwarden.formats.clients import Clients, address
from clickwarden.formats.json import UNREADABLE, is_deep
from clickwarden.formats.lines import Block
from clickwarden.formats.moments import Moments
from clickwarden.formats.requests import Columns, Requests
from clickwarden.formats.timestamps import EARLIEST, LATEST, scale

Path = tuple[str, ...]
#: What servers call the field that says so, likeliest first; a full stop leads into an object. Names are
#: compared in small letters.
FIELDS: dict[str, tuple[str, ...]] = {
    "client": (
        "request.remote_ip", "request.remote_addr", "clienthost", "clientaddr", "remote_addr", "clientip",
        "client_ip", "remote_ip", "remoteip", "remoteaddr", "remote_address", "remote_host", "remotehost",
        "downstream_remote_address", "downstream_direct_remote_address", "source_address", "source.ip",
        "source.address", "client.ip", "client.address", "http.client_ip", "httprequest.remoteip", "c-ip",
        "network.client.ip", "clientrequest.ip", "properties.clientip", "req.remoteaddress", "req.ip",
        "attributes.client.address", "ip", "client", "remote", "addr", "src_ip", "peer",
    ),
    "forwarded": (
        "request.headers.x-forwarded-for.0", "request_x-forwarded-for", "x_forwarded_for",
        "http_x_forwarded_for", "x-forwarded-for", "xforwardedfor", "forwarded_for",
        "proxy_add_x_forwarded_for", "xff",
    ),
    "time": (
        "startutc", "edgestarttimestamp", "start_time", "time_iso8601", "@timestamp", "timestamp", "ts",
        "time", "time_local", "msec", "datetime", "date", "startlocal", "requestreceivedat", "eventtime",
        "event_time", "time_unix_nano", "started_at",
    ),
    "method": (
        "request.method", "requestmethod", "clientrequestmethod", "request_method", "method", "http_method",
        "httpmethod", "verb", "http.request.method", "http.method", "httprequest.requestmethod", "cs-method",
        "properties.httpmethod", "req.method", "attributes.http.request.method",
    ),
    "target": (
        "request.uri", "requestpath", "clientrequesturi", "clientrequestpath", "x_envoy_original_path",
        "request_uri", "requesturi", "uri", "path", "url", "request_path", "http.request.target",
        "url.original", "url.path", "http.url", "httprequest.requesturl", "cs-uri-stem",
        "properties.requesturi", "req.url", "attributes.url.path",
    ),
    "request": ("request", "request_line", "http_request"),
    "status": (
        "status", "downstreamstatus", "originstatus", "edgeresponsestatus", "response_code", "status_code",
        "statuscode", "responsecode", "http_status", "code", "response.status", "http.response.status_code",
        "http.status_code", "httprequest.status", "sc-status",
        "properties.httpstatuscode", "properties.httpstatus", "res.statuscode",
        "attributes.http.response.status_code", "response",
    ),
}  # fmt: skip


class JSONLog:
    """Parses lines of JSON by the paths of the fields that matter."""

    def __init__(self, fields: Mapping[str, Path], clients: Clients) -> None:
        wanted = {role: path for role, path in fields.items() if role != "forwarded" or clients.trusting}
        if "forwarded" in wanted and wanted["forwarded"][-1] == "0":  # a header may be sent, and added, again
            wanted["forwarded"] = wanted["forwarded"][:-1]
        self._paths = wanted
        self._decoder = msgspec.json.Decoder(_struct(wanted))
        self._requests = Requests(clients)
        self._moments = Moments()

    def __call__(self, data: bytes, first: int) -> Block:
        """Parse some whole lines, the first of which has this number."""
        lines = data.removesuffix(b"\n").split(b"\n")
        try:
            rows: list[Any] = list(map(self._decoder.decode, lines))
        except UNREADABLE:
            rows = [self._row(line) for line in lines]
        missing = [None] * len(rows)
        found: dict[Path, list[Any]] = {(): rows}
        column = dict.fromkeys(FIELDS, missing)
        column |= {role: self._column(found, path) for role, path in self._paths.items()}
        methods, paths, queries = _targets(column)
        columns = Columns(
            peers=_texts(column["client"]),
            forwarded=_hops(column["forwarded"]) if "forwarded" in self._paths else None,
            times=self._times(column["time"]),
            methods=methods,
            paths=paths,
            queries=queries,
            statuses=_statuses(column["status"]),
        )
        return self._requests.block(columns, first, lambda: lines)

    def _row(self, line: bytes) -> Any:
        try:
            return None if is_deep(line) else self._decoder.decode(line)
        except UNREADABLE:
            return None

    def _column(self, found: dict[Path, list[Any]], path: Path) -> list[Any]:
        """What all lines say there; None where one says nothing. ``found`` begins with the lines at ()."""
        if path not in found:
            step, values = path[-1], self._column(found, path[:-1])
            if step.isdecimal():
                at = int(step)
                found[path] = [value[at] if value and len(value) > at else None for value in values]
            else:
                name = _identifier(step)
                try:
                    found[path] = list(map(attrgetter(name), values))
                except AttributeError:  # a line, or an object in it, is missing
                    found[path] = [getattr(value, name, None) for value in values]
        return found[path]

    def _times(self, values: list[Any]) -> NDArray[np.float64]:
        """Epoch seconds; NaN for what is none."""
        if set(map(type, values)) <= {int, float}:
            times = np.array(values, np.float64)
            scale(times)
        else:
            read = self._moments.__getitem__
            moments = (read(value if type(value) is str else str(value)) for value in values)
            times = np.fromiter(moments, np.float64, len(values))
        times[(times < EARLIEST) | (times > LATEST)] = np.nan
        return times


def _struct(paths: Mapping[str, Path]) -> Any:
    """What a line is decoded into, with what is on the paths and nothing else."""
    inner: dict[str, dict[str, Path]] = {}
    for role, path in paths.items():
        inner.setdefault(path[0], {})[role] = path[1:]
    fields = [(_identifier(name), _type(rests), None) for name, rests in inner.items()]
    return msgspec.defstruct("Line", fields, rename={_identifier(name): name for name in inner}, gc=False)


def _identifier(name: str) -> str:
    """Stands for a name that may hold what Python's do not."""
    return f"f{name.encode().hex()}"


def _type(rests: Mapping[str, Path]) -> Any:
    paths = {role: rest for role, rest in rests.items() if rest}
    if not paths:
        return Any
    if all(path[0].isdecimal() for path in paths.values()):
        return list[Any] | None
    return _struct(paths) | None


def _texts(values: Sequence[Any]) -> list[str]:
    if set(map(type, values)) == {str}:
        return list(values)
    return [value if type(value) is str else "" for value in values]


def _hops(values: Sequence[Any]) -> list[str]:
    """X-Forwarded-For of each line, of which there may be several headers."""
    return _texts([", ".join(_texts(value)) if type(value) is list else value for value in values])


def _statuses(values: list[Any]) -> list[int | str]:
    if set(map(type, values)) <= {int, str}:
        return values
    return [value if type(value) in (int, str) else 0 for value in values]


def _targets(column: Mapping[str, list[Any]]) -> tuple[list[str], list[str], list[str]]:
    """Method, path and query of each line."""
    methods, targets = _texts(column["method"]), _texts(column["target"])
    if not any(targets):
        lines = _texts(column["request"])
        if any(methods) and all(line.startswith("/") for line in lines if line):
            targets = lines
    if not any(targets):
        words = [f"{line} ".split(" ", 2) for line in _texts(column["request"])]
        methods = [line[0] if line[0].isupper() else "" for line in words]
        targets = [line[1] if method else "" for method, line in zip(methods, words, strict=True)]
    together = "\n".join(targets)
    if "://" in together:
        targets = list(map(_without_host, targets))
    if "?" not in together:
        return methods, targets, [""] * len(targets)
    cut = [target.partition("?") for target in targets]
    return methods, [path for path, _, _ in cut], [query for _, _, query in cut]


def _without_host(target: str) -> str:
    """The target of a request without scheme and host."""
    if target.startswith("/") or "://" not in target[:12]:
        return target
    return "/" + target.partition("://")[2].partition("/")[2]


def recognised(lines: Sequence[bytes]) -> dict[str, Path] | None:
    """Where most of these objects say what is needed: who, when, and the request; None if they do not."""
    objects = [found for found in map(_decoded, lines) if isinstance(found, dict)]
    if 2 * len(objects) <= len(lines):
        return None
    fields: dict[str, Path] = {}
    for role in FIELDS:
        counted: dict[Path, int] = {}
        for found in objects:
            named = {".".join(path).lower(): (path, value) for path, value in _leaves(found)}
            for name in FIELDS[role]:
                if name in named and _fits(role, named[name][1]):
                    counted[named[name][0]] = counted.get(named[name][0], 0) + 1
        if counted:
            rank = {name: number for number, name in enumerate(FIELDS[role])}
            most = max(counted.values())
            often = [path for path, count in counted.items() if 10 * count >= 9 * most]
            fields[role] = min(often, key=lambda path: rank[".".join(path).lower()])
    has_request = "request" in fields or {"method", "target"} <= fields.keys()
    return fields if has_request and {"client", "time"} <= fields.keys() else None


def _decoded(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except UNREADABLE:
        return None


def _leaves(found: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The values of an object, each with the path to it; of a list the first."""
    for name, value in found.items():
        here = (*path, name)
        if isinstance(value, dict) and len(here) < 4:
            yield from _leaves(value, here)
        elif isinstance(value, list) and value:
            yield (*here, "0"), value[0]
        else:
            yield here, value


def _fits(role: str, value: Any) -> bool:
    """Whether a value could be what this role wants."""
    if role == "client":
        return isinstance(value, str) and (address(value) is not None or value.startswith("unix:"))
    if role == "time":
        return isinstance(value, int | float | str) and Moments()[str(value)] > 0
    if role == "status":
        return isinstance(value, int) or (isinstance(value, str) and value.isdecimal())
    return isinstance(value, str)
