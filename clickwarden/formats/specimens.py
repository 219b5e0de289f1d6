"""Records opened without knowing where their fields stand: what they come in, and what stands in them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from clickwarden.errors import ClickError
from clickwarden.formats.cures import cure
from clickwarden.formats.fields import Path, Places, Record
from clickwarden.formats.json import FRAME, UNREADABLE, is_framed
from clickwarden.formats.records import LISTS, Held, Unwrapping
from clickwarden.formats.snowplow import COLUMNS

#: How deep, and among how many values of a thing, a field is looked for.
DEPTH, VALUES = 6, 200
#: A number of more bits is no float: it can be somebody's name, as it is written.
FLOAT_BITS = 1000
#: Things that are looked at, of which a record may hold many.
THINGS = 2000
#: Members of an envelope that hold what it is around, or say nothing of a click.
CONTENTS = frozenset({*LISTS, "schema", "payload", "before", "after", "data", "data_base64", "specversion"})
MORE = "more, which are not opened"
SNOWPLOW = "Snowplow's enriched event"

#: No field of a click stands anywhere, so that every envelope is opened; but a line's columns are all read.
_NOWHERE: dict[str, Places] = {
    "user_id": tuple(Path((name,)) for name in COLUMNS),
    "event": (),
    "timestamp": (),
    "product_id": (),
}


class Specimen(NamedTuple):
    """One of the things that records hold, taken apart.

    Attributes:
        record: it is in.
        layers: what stands in the thing, and in the envelopes around it, the nearest first, by path.
        form: what it comes in, in words.
    """

    record: Record
    layers: tuple[Mapping[tuple[str, ...], Any], ...]
    form: str


class Opened(NamedTuple):
    """Records, opened.

    Attributes:
        specimens: what they hold.
        forms: how many records come in what, in words.
        closed: how many are none of it, with what to do about them.
        ignored: how many things say that nothing was clicked.
    """

    specimens: list[Specimen]
    forms: Counter[str]
    closed: Counter[str]
    ignored: int


def opened(records: Sequence[Record]) -> Opened:
    """Open some records."""
    unwrapping = Unwrapping(_NOWHERE)
    found = Opened([], Counter(), Counter(), 0)
    ignored = 0
    for record in records:
        if record.value is None:
            ignored += 1
            continue
        if len(found.specimens) >= THINGS:
            found.forms[MORE] += 1
            continue
        try:
            bare = record.value[FRAME:] if is_framed(record.value) else record.value
            held = unwrapping.unwrapped(bare, record)
        except ClickError as error:
            found.closed[cure(error.reason, record.value, {})] += 1
            continue
        ignored += sum(one.ignored for one in held)
        things = [one for one in held if not one.ignored]
        layers = list(filter(None, map(_layers, things)))
        if things and not layers:  # what looks like a list of clicks may be something else's
            alone = _decoded(bare)
            layers = [(dict(leaves(alone)),)] if isinstance(alone, dict) else []
        if things and not layers:
            found.closed[cure("not_object", record.value, {})] += 1
            continue
        form = _form(record.value, things) if things else "a change that is no click"
        found.forms[form] += 1
        room = THINGS - len(found.specimens)
        found.specimens.extend(Specimen(record, one, form) for one in layers[:room])
    return found._replace(ignored=ignored)


def leaves(
    found: Any, path: tuple[str, ...] = (), depth: int = DEPTH
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What stands in an object, with the names that lead there; of a list the first."""
    inner = found
    if isinstance(found, str) and found[:1] in ("{", "["):
        inner = _decoded(found.encode(errors="replace"))
    if not isinstance(inner, dict | list):
        yield path, str(found) if isinstance(found, int) and found.bit_length() > FLOAT_BITS else found
        return
    if isinstance(found, str):
        yield path, found
    if not depth:
        return
    members = inner.items() if isinstance(inner, dict) else enumerate(inner[:1])
    for name, value in members:
        yield from leaves(value, (*path, str(name)), depth - 1)


def written(names: Sequence[str]) -> str:
    """How a setting names this path; empty where none can.

    >>> written(["user", "id"]), written(["@timestamp"]), written(["a.b", "c"])
    ('user.id', '@field:@timestamp', '')
    """
    text = ".".join(names)
    bad = any(sign in text for sign in "|\"\\'") or "${" in text or not text.isprintable()
    if bad or not text or text != text.strip() or not all(names):
        return ""
    if len(names) == 1:
        return f"@field:{text}" if text.startswith("@") else text
    return "" if text.startswith("@") or any("." in name for name in names) else text


def _layers(held: Held) -> tuple[Mapping[tuple[str, ...], Any], ...]:
    found = []
    for number, scope in enumerate(held.scopes):
        content = (
            _decoded(scope.value)
            if scope.value
            else {name: _decoded(value) for name, value in scope.members.items()}
        )
        if number:
            content = {name: value for name, value in content.items() if name not in CONTENTS}
        pairs = (pair for pair, _ in zip(leaves(content), range(VALUES), strict=False))
        found.append(dict(pairs))
    return tuple(found)


def _decoded(value: bytes) -> Any:
    with suppress(*UNREADABLE):
        return msgspec.json.decode(value)
    return None


def _form(value: bytes, things: Sequence[Held]) -> str:
    """What things come in, from the outside inward."""
    words = []
    if is_framed(value):
        words.append(f"five bytes of a schema registry (schema {int.from_bytes(value[1:FRAME])})")
        value = value[FRAME:]
    begin = value.lstrip()[:1]
    words += {b"[": ["a JSON array"], b'"': ["a JSON text"]}.get(begin, [])
    scopes = next((one.scopes for one in things if one.scopes), ())
    if scopes and not scopes[0].value:
        return SNOWPLOW
    words += [_envelope(scope.members) for scope in reversed(scopes[1:])]
    words.append("a JSON object")
    return " in ".join(reversed([word for word in words if word]))


def _envelope(members: Mapping[str, bytes]) -> str:
    """What an envelope with these members is called; see :func:`clickwarden.formats.records._content`."""
    for name in LISTS:
        if members.get(name, b"").lstrip().startswith(b"["):
            return f'a list "{name}"'
    if "schema" in members and "payload" in members:
        return "Kafka Connect's schema and payload"
    if "op" in members:
        return "Debezium's envelope"
    return "a CloudEvent" if "specversion" in members else ""
