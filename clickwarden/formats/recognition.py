"""Which format a log is in, told by its first lines."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clickwarden.formats import accesslog, jsonlog, tables, w3c
from clickwarden.formats.accesslog import AccessLog, Layout
from clickwarden.formats.clicks import Decoder
from clickwarden.formats.clients import Clients
from clickwarden.formats.jsonlog import JSONLog
from clickwarden.formats.lines import Parser
from clickwarden.formats.ndjson import NDJSON
from clickwarden.formats.parts import joined
from clickwarden.formats.prefixes import Peel, peeled
from clickwarden.formats.sieve import Sieve
from clickwarden.formats.w3c import W3C

#: Lines that are looked at.
FIRST_LINES = 100
KNOWN = (
    "common, combined, with a virtual host, JSON of Caddy, Traefik, nginx, Envoy or Cloudflare, AWS ALB, "
    "CloudFront, IIS, HAProxy"
)
#: Of text that is no JSON, where fields were named.
NAMED = (
    "has no fields to be named by --user, --event, --product and --time: it is neither NDJSON nor a table; "
    "in an access log the user is the client's address"
)
#: How a file begins that is none of lines, and what to do about it.
OTHERS = {
    b"PK\x03\x04": "is a zip archive: unpack it first",
    b"\x04\x22\x4d\x18": "is compressed with lz4: unpack it first",
    b"SQLite format 3": "is an SQLite database",
}


@dataclass(frozen=True)
class Reading:
    """How logs are read.

    Attributes:
        layout: of the lines, if it is given and need not be recognised.
        trusted_proxies: whose X-Forwarded-For is believed, see :class:`Clients`.
        ipv6_prefix: bits of an IPv6 address that are one client.
        ignored, everything: what is left out, see :class:`Sieve`.
        named: it was said where the fields of a click stand, so that no log is meant.
        fields: of clicks in NDJSON or a table that are read beside (:meth:`~.clicks.Decoder.want`).
    """

    layout: Layout | None = None
    trusted_proxies: Sequence[str] = ()
    ipv6_prefix: int = 128
    ignored: Sequence[str] = ()
    everything: bool = False
    named: bool = False
    fields: Collection[str] = ()

    def clients(self) -> Clients:
        """Who sent a request."""
        return Clients(self.trusted_proxies, self.ipv6_prefix)

    def sieve(self) -> Sieve:
        """What is left out."""
        return Sieve(self.ignored, everything=self.everything)


@dataclass(frozen=True)
class Recognised:
    """The format that most of a file's first lines are in.

    Attributes:
        parse: reads the lines.
        name: of the format, in words.
        fields: where a log of JSON says who, when and what, by role; see :mod:`~clickwarden.formats.jsonlog`.
        is_log: it is a web server's, and not clicks as a topic has them.
    """

    parse: Parser
    name: str
    fields: Mapping[str, jsonlog.Path] = field(default_factory=dict)
    is_log: bool = True


def recognised(
    head: bytes, reading: Reading, decoder: Callable[[], Decoder], names: Mapping[str, str]
) -> Recognised | str:
    """The format that most of the first lines are in, or why there is none, in words.

    Args:
        head: the beginning of a file.
        reading: how logs are read.
        decoder: makes that of the topic, for clicks as NDJSON.
        names: what the topic calls the fields of a click, by our own names.
    """
    lines = [line for line in head.split(b"\n")[: 4 * FIRST_LINES] if line.strip()][:FIRST_LINES]
    if not lines:
        return Recognised(AccessLog(accesslog.LAYOUTS[0], reading.clients()), "nothing")
    lines, around = joined(lines)
    found = _recognised_lines(head, lines, reading, decoder, names)
    return found if isinstance(found, str) else replace(found, parse=around(found.parse))


def _recognised_lines(
    head: bytes,
    lines: Sequence[bytes],
    reading: Reading,
    decoder: Callable[[], Decoder],
    names: Mapping[str, str],
) -> Recognised | str:
    bare, peel = peeled(lines)
    text = _text(bare)
    objects = sum(map(_is_json, bare))
    if reading.named and 2 * objects <= len(bare):
        return NAMED
    if reading.named:
        return _clicks(decoder, peel)
    if reading.layout is not None:
        # What looks like a prefix may be the beginning of the log's own format.
        own = accesslog.fit(reading.layout, _text(lines)) >= accesslog.fit(reading.layout, text)
        return _access_log(reading.layout, Peel() if own else peel, reading)
    if any(map(w3c.DIRECTIVE.match, bare)):
        parse = peel.around(W3C(reading.clients()), prefixed=False)
        return Recognised(parse, f"W3C's extended log format{peel.words}")
    if lines[0].strip() == b"[":
        return _unknown(head)
    layout = accesslog.recognised(text)
    if 2 * objects > len(bare) or (objects and layout is None):
        fields = jsonlog.recognised(bare)
        clicks = len(NDJSON(decoder())(b"\n".join(bare) + b"\n", 1).clicks.users)
        if fields is None or (2 * clicks > len(bare) and not _are_of_log(names, fields)):
            return _clicks(decoder, peel)
        parse = peel.around(JSONLog(fields, reading.clients()), prefixed=False)
        return Recognised(parse, f"a web server's log in JSON{peel.words}", fields)
    return _unknown(head) if layout is None else _access_log(layout, peel, reading)


def recognised_rows(
    columns: Sequence[str],
    rows: bytes,
    reading: Reading,
    decoder: Callable[[], Decoder],
    names: Mapping[str, str],
) -> Recognised | str:
    """What the rows of a table as NDJSON are, clicks or a log's lines, or why they are neither, in words.

    Args:
        columns: of the table.
        rows: the first of them.
        reading: how logs are read.
        decoder: makes that of the topic.
        names: what the topic calls the fields of a click, by our own names.
    """
    absent = tables.absent(columns, names)
    lines = list(filter(None, rows.split(b"\n")[:FIRST_LINES]))
    fields = None if reading.named else jsonlog.recognised(lines)
    if not absent and (fields is None or not _are_of_log(names, fields)):
        return _clicks(decoder, Peel())
    if fields is not None:
        return Recognised(JSONLog(fields, reading.clients()), "a web server's log in a table", fields)
    options = {"user_id": "--user", "event": "--event", "product_id": "--product", "timestamp": "--time"}
    said = " and ".join(f"no column {names[field]} ({options[field]} names another)" for field in absent)
    return (
        f"has {said}; its columns are {tables.spelled(columns)}; 'faust -A app inspect FILE' says which of "
        "them hold what"
    )


def _is_json(line: bytes) -> bool:
    """Whether a line is an object, or an array of some, as records of a topic may be."""
    line = line.strip()
    return (line[:1], line[-1:]) == (b"{", b"}") or (line[:2], line[-2:]) == (b"[{", b"}]")


def _are_of_log(names: Mapping[str, str], fields: Mapping[str, jsonlog.Path]) -> bool:
    """Whether settings have a log's client for the user and its method for the event.

    They know less of the log than is known here. Who has named another user means it.
    """
    is_client = names["user_id"].lower() in jsonlog.FIELDS["client"]
    return is_client and names["event"] == ".".join(fields.get("method", ()))


def _clicks(decoder: Callable[[], Decoder], peel: Peel) -> Recognised:
    return Recognised(peel.around(NDJSON(decoder()), prefixed=False), "NDJSON", is_log=False)


def _text(lines: Sequence[bytes]) -> str:
    return b"\n".join(lines).decode(errors="backslashreplace")


def _access_log(layout: Layout, peel: Peel, reading: Reading) -> Recognised | str:
    if not layout.has_client and not reading.trusted_proxies:
        return (
            "says only in X-Forwarded-For who sent a request, which anybody can write: --trusted-proxies "
            "names your proxies, and has it read"
        )
    parse = peel.around(AccessLog(layout.behind(peel.prefix), reading.clients()), prefixed=True)
    return Recognised(parse, f"a web server's log, {layout.name}{peel.words}")


def _unknown(head: bytes) -> str:
    """What a file is that cannot be read, and what to do."""
    for magic, words in OTHERS.items():
        if head.startswith(magic):
            return words
    begin = head.lstrip()
    if re.match(rb"\[\s*(?:[{\]]|$)", begin):
        return "is a JSON array: write one object a line, as 'jq -c .[]' does"
    if begin.startswith(b"{"):
        return "is JSON over several lines: write one object a line, as 'jq -c .' does"
    first = head.lstrip().split(b"\n", 1)[0][:80]
    return (
        f"is neither an access log of a format that is recognised ({KNOWN}) nor clicks as NDJSON; "
        f"it begins with {first!r}; --format gives the format of a log, as it stands in the server's settings"
    )
