"""What to do about records that cannot be counted: a sentence or two, found by looking at one of them."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from clickwarden.formats import accesslog
from clickwarden.formats.fields import Path, places
from clickwarden.formats.json import DEPTH_MAX, FRAME, THINGS_MAX, UNREADABLE, is_framed
from clickwarden.formats.requests import NO_CLIENT, NO_REQUEST
from clickwarden.formats.shapes import EVENT_MAX, USER_ID_MAX
from clickwarden.formats.timestamps import EARLIEST, patterns_of

Names = Mapping[str, str]

# fmt: off
#: What others call a field, likeliest first, in small letters and without signs.
OTHER_NAMES = {
    "user_id": (
        "userid", "uid", "user", "customerid", "accountid", "memberid", "visitorid", "anonymousid",
        "distinctid", "clientid", "deviceid", "cookieid", "sessionid", "clientip", "remoteaddr", "ip",
    ),
    "event": ("event", "eventname", "eventtype", "action", "type", "name"),
    "timestamp": (
        "timestamp", "ts", "time", "eventtime", "datetime", "occurredat", "createdat", "sentat", "date",
    ),
}
# fmt: on
#: How deep, and among how many names, a field is looked for that does not stand at the top.
DEPTH, NODES = 4, 200
#: An enriched event of Snowplow that has a user has more tabs.
_SNOWPLOW_TABS = 11
#: How a value begins that its producer has compressed by itself.
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xff\x06\x00\x00s": "snappy",
}


def cure(reason: str, value: bytes, names: Names) -> str:
    r"""What to do about records like this one; empty where that is not known.

    Args:
        reason: one of :data:`~clickwarden.formats.clicks.REASONS`, ``uncounted``, or what an
            access log's line is rejected for.
        value: the record's, or as much of it as is kept; empty where none is.
        names: where the topic's fields stand, by our own names.

    >>> ours = {name: name for name in ("user_id", "event", "timestamp", "product_id")}
    >>> print(cure("wrong_field", b'{"user_id": true, "event": "view", "timestamp": 1773152400}', ours))
    user_id must be text or a whole number, and is true or false.
    >>> print(cure("missing_field", b'{"userId": "u-7", "event": "view", "timestamp": 1773152400}', ours))
    There is no user_id: did you mean CLICKWARDEN_FIELD_USER_ID=userId?
    >>> print(cure("bad_timestamp", b'{"timestamp": "10/Mar/2026:14:20:00 +0000"}', ours))
    timestamp is no ISO-8601: set CLICKWARDEN_TIMESTAMP_FORMAT=%d/%b/%Y:%H:%M:%S %z
    """
    found = _CURES.get(reason)
    return found(value, names) if found else ""


def _not_json(value: bytes, _: Names) -> str:
    """What is no JSON may be told by how it begins."""
    if is_framed(value):
        value = value[FRAME:]
    elif value[:1] == b"\0" and len(value) > FRAME:
        return (
            f"It is Avro or Protobuf behind the five bytes of a schema registry (schema {_schema(value)}): "
            "CLICKWARDEN_REGISTRY_URL says where that is."
        )
    for magic, codec in COMPRESSED.items():
        if value.startswith(magic):
            return f"It is compressed by its producer ({codec}): send plain JSON, and let Kafka compress it."
    if value[:2] in (b"\xff\xfe", b"\xfe\xff") or value[1:2] == b"\0":
        return "It is UTF-16: send UTF-8."
    if value.startswith(b"\xef\xbb\xbf"):
        return "It begins with a byte order mark: send UTF-8 without one."
    if value and accesslog.requests(value):
        return "It is a line of an access log: 'faust -A app replay FILE' makes clicks of a file of them."
    if tabs := value.count(b"\t"):
        return f"It is a line of {tabs + 1} fields with tabs between: have each made a JSON object before."
    if value.startswith(b"{'"):
        return "It is what Python prints of a dict: send JSON, with double quotes."
    return f"A record must be JSON in UTF-8, a click or an array of them, nested at most {DEPTH_MAX} deep."


def _schema(value: bytes) -> int:
    """The number of its schema, in front of a value."""
    return int.from_bytes(value[1:FRAME])


def _unknown_schema(value: bytes, _: Names) -> str:
    if value[:1] != b"\0":
        return "Have its producer write the number of the schema before the value, and not into a header."
    return (
        f"The registry at CLICKWARDEN_REGISTRY_URL has no schema {_schema(value)}: name the one that the "
        "producer writes to, or have the producer register what it sends."
    )


def _unusable_schema(value: bytes, _: Names) -> str:
    return (
        f"Values of schema {_schema(value)} are not read: write clicks by one of Avro that does not refer to "
        "itself, by one of Protobuf with all that it imports, or by JSON Schema."
    )


def _not_as_schema(value: bytes, _: Names) -> str:
    return (
        f"It was not written by schema {_schema(value)}, which it names, or was damaged: have the producer "
        "send what its serializer makes."
    )


def _not_object(value: bytes, _: Names) -> str:
    if isinstance(_decoded(value), str):
        return "It is a JSON text that holds no JSON object: send the click itself."
    return "A record must be a JSON object, a click, or an array of them."


def _too_many(_: bytes, __: Names) -> str:
    return f"Send at most {THINGS_MAX:,} clicks in one record."


def _missing_field(value: bytes, names: Names) -> str:
    if value.count(b"\t") > _SNOWPLOW_TABS and not _click(value):
        return (
            "It is an enriched event of Snowplow: name its columns, as by "
            f"{_setting('user_id')}=user_id|domain_userid|network_userid and "
            f"{_setting('timestamp')}=collector_tstamp."
        )
    click = _click(value)
    missing = next((field for field in OTHER_NAMES if _found(click, names[field]) is None), None)
    if not click or missing is None:
        return f"A click needs {names['user_id']}, {names['event']} and {names['timestamp']}."
    wanted = names[missing]
    last = wanted.partition("|")[0].rpartition(".")[2]
    ways = (way for way, found in _ways(click) if plain(way[-1]) == plain(last) and _fits(missing, found))
    meant = [way for way in (".".join(next(ways, ())), _near(click, missing, last)) if way]
    if meant and plain(meant[-1]) == plain(last):
        meant = meant[-1:]
    if meant:
        return f"There is no {wanted}: did you mean {_setting(missing)}={'|'.join(meant)}?"
    return f"There is no {wanted}: {_setting(missing)} says where it stands."


def _wrong_field(value: bytes, names: Names) -> str:
    click = _click(value)
    if not click:
        return ""
    found = {field: _found(click, name) for field, name in names.items()}
    user_id, event, time, product = (found[name] for name in ("user_id", "event", "timestamp", "product_id"))
    if not isinstance(user_id, str) and not _is_whole(user_id):
        return _no_text("user_id", "text or a whole number", click, names)
    if not isinstance(event, str):
        return _no_text("event", "text", click, names)
    if isinstance(time, dict) and len(time) == 1:
        return (
            f"{names['timestamp']} is an object: did you mean "
            f"{_setting('timestamp')}={names['timestamp']}.{next(iter(time))}?"
        )
    if isinstance(time, bool) or not isinstance(time, int | float | str):
        return f"{names['timestamp']} must be a number or text and is {_kind(time)}: {_MOMENTS}."
    if product is not None and not isinstance(product, str) and not _is_whole(product):
        return f"{names['product_id']} must be text, a whole number, or left out, and is {_kind(product)}."
    return ""


def _is_whole(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and float(found).is_integer()


def _no_text(field: str, kinds: str, click: Mapping[str, Any], names: Names) -> str:
    words = f"{names[field]} must be {kinds}, and is {_kind(_found(click, names[field]))}"
    near = _near(click, field, names[field])
    return f"{words}: did you mean {_setting(field)}={near}?" if near else f"{words}."


def _empty_user_id(value: bytes, names: Names) -> str:
    near = _near(_click(value), "user_id", names["user_id"])
    setting = _setting("user_id")
    other = f"did you mean {setting}={near}?" if near else f"send who it was, or name another by {setting}."
    return f"{names['user_id']} is empty: {other}"


def _huge_user_id(_: bytes, names: Names) -> str:
    return (
        f"{names['user_id']} may have {USER_ID_MAX} characters: if it is not who clicks, "
        f"{_setting('user_id')} names another field."
    )


def _huge_event(_: bytes, names: Names) -> str:
    return (
        f"{names['event']} may have {EVENT_MAX} characters: if it is not what the user does, "
        f"{_setting('event')} names another field."
    )


def _bad_timestamp(value: bytes, names: Names) -> str:
    name = names["timestamp"]
    found = _found(_click(value), name)
    if isinstance(found, int | float) and 0 <= found < EARLIEST:
        return f"{name} would be in 1970, as if divided once too often: {_MOMENTS}."
    for pattern in patterns_of(found) if isinstance(found, str) else ():
        return f"{name} is no ISO-8601: set CLICKWARDEN_TIMESTAMP_FORMAT={pattern}"
    return f"{name} must be a moment from 1971 on: {_MOMENTS}; CLICKWARDEN_TIMESTAMP_FORMAT is for others."


def _future(_: bytes, __: Names) -> str:
    return (
        "The sender's clock or time zone is wrong, or Kafka's clock is: set it; CLICKWARDEN_MAX_SKEW is how "
        "far ahead a click may be."
    )


def _uncounted(_: bytes, __: Names) -> str:
    return (
        "Clicks come later than CLICKWARDEN_LATE_LIMIT behind their window: send them sooner, and old ones "
        "into a topic of their own, with another CLICKWARDEN_APP_ID."
    )


def _behind(_: bytes, __: Names) -> str:
    return (
        "They are further behind event time than lateness in pipeline.toml: send them sooner, or raise it "
        "and train anew."
    )


def _keyless(_: bytes, __: Names) -> str:
    return "key in pipeline.toml names the field; it must be there, and have 1 to 256 characters."


def _timeless(_: bytes, __: Names) -> str:
    return "time in pipeline.toml names the field: epoch seconds or smaller units, or ISO-8601."


def _unreadable(_: bytes, __: Names) -> str:
    return "Each must be a JSON object; of a captured table, format in pipeline.toml is 'debezium'."


def _no_request(_: bytes, __: Names) -> str:
    return (
        "Each line must be in the format that most of the first lines are in. Where that is neither the "
        "common or the combined log format nor another that is recognised, --format gives it."
    )


def _no_client(_: bytes, __: Names) -> str:
    return (
        "If a proxy of yours stands before the server, --trusted-proxies names it, and X-Forwarded-For says "
        "who the client is; if it stands elsewhere in the line, --format says where."
    )


_CURES: dict[str, Callable[[bytes, Names], str]] = {
    "unknown_schema": _unknown_schema,
    "unusable_schema": _unusable_schema,
    "not_as_schema": _not_as_schema,
    "not_json": _not_json,
    "not_object": _not_object,
    "too_many": _too_many,
    "missing_field": _missing_field,
    "wrong_field": _wrong_field,
    "empty_user_id": _empty_user_id,
    "huge_user_id": _huge_user_id,
    "huge_event": _huge_event,
    "bad_timestamp": _bad_timestamp,
    "future": _future,
    "uncounted": _uncounted,
    "behind": _behind,
    "keyless": _keyless,
    "timeless": _timeless,
    "unreadable": _unreadable,
    NO_REQUEST: _no_request,
    NO_CLIENT: _no_client,
}

_MOMENTS = "send epoch seconds, milli-, micro- or nanoseconds, or ISO-8601 like 2026-03-10T14:20:00Z"


def _decoded(value: bytes) -> Any:
    """The JSON; None where it is none, or was cut off."""
    try:
        return msgspec.json.decode(value)
    except UNREADABLE:
        return None


def _click(value: bytes) -> dict[str, Any]:
    found = _decoded(value)
    return found if isinstance(found, dict) else {}


def _setting(field: str) -> str:
    return f"CLICKWARDEN_FIELD_{field.upper()}"


def plain(name: str) -> str:
    """A name without what people write differently: case, and signs between words."""
    return re.sub(r"[\W_]", "", name).lower()


def _fits(field: str, value: Any) -> bool:
    """Whether a value could be this field's."""
    if field == "timestamp":
        return isinstance(value, int | float | str) and not isinstance(value, bool)
    most = USER_ID_MAX if field == "user_id" else EVENT_MAX
    if field == "user_id" and _is_whole(value):
        return True
    return isinstance(value, str) and 0 < len(value) <= most


def _found(click: Mapping[str, Any], written: str) -> Any:
    """What stands in the first of the places that holds something, as far as they are in the click."""
    for place in places(written):
        found: Any = click
        for name in place.names if isinstance(place, Path) else ():
            found = found.get(name) if isinstance(found, dict) else None
        if found is not click and found is not None:
            return found
    return None


def _near(click: Mapping[str, Any], field: str, wanted: str) -> str:
    """The name, at the top of a click, that is likeliest meant; empty where none is likely."""
    names = {plain(name): name for name, value in click.items() if name != wanted and _fits(field, value)}
    for known in (plain(wanted), *OTHER_NAMES[field]):
        if known in names:
            return names[known]
    close = difflib.get_close_matches(plain(wanted), names, n=1)
    return names[close[0]] if close else ""


def _ways(click: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The names below the top of a click, nearest first, each with those that lead to it, and its value."""
    level: list[tuple[tuple[str, ...], Any]] = [((name,), value) for name, value in click.items()]
    seen = 0
    for _ in range(DEPTH):
        level = [
            ((*path, name), inner)
            for path, value in level
            if isinstance(value, dict)
            for name, inner in value.items()
        ][: NODES - seen]
        seen += len(level)
        yield from level


def _kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"
