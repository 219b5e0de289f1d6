"""What to do about records that cannot be counted: a sentence or two, found by looking at one of them."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from clickwarden.formats import accesslog
from clickwarden.formats.clicks import EARLIEST, EVENT_MAX, USER_ID_MAX
from clickwarden.formats.json import DEPTH_MAX, UNREADABLE
from clickwarden.formats.requests import NO_CLIENT, NO_REQUEST

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
#: Numbers from here on are microseconds, and nanoseconds; in milliseconds it would be the year 5138.
MICROSECONDS_FROM, NANOSECONDS_FROM = 1e14, 1e17
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
        names: what the topic calls the fields of a click, by our own names.

    >>> ours = {name: name for name in ("user_id", "event", "timestamp", "product_id")}
    >>> print(cure("wrong_field", b'{"user_id": 48213, "event": "view", "timestamp": 1773152400}', ours))
    user_id must be text and is a number: send it in quotes, "48213".
    >>> print(cure("missing_field", b'{"userId": "u-7", "event": "view", "timestamp": 1773152400}', ours))
    There is no user_id: did you mean CLICKWARDEN_FIELD_USER_ID=userId?
    >>> print(cure("not_json", b'\0\0\0\0*{"user_id": "bot-7"}', ours))
    It is JSON behind the five bytes of a schema registry (schema 42): have the producer write plain JSON.
    """
    found = _CURES.get(reason)
    return found(value, names) if found else ""


def _not_json(value: bytes, _: Names) -> str:
    """What is no JSON may be told by how it begins."""
    if value[:1] == b"\0" and len(value) > 5:
        content = "JSON" if value[5:6] in (b"{", b"[") else "Avro or Protobuf"
        schema = int.from_bytes(value[1:5])
        return (
            f"It is {content} behind the five bytes of a schema registry (schema {schema}): "
            "have the producer write plain JSON."
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
    return f"A record must be one JSON object in UTF-8, nested at most {DEPTH_MAX} deep."


def _not_object(value: bytes, _: Names) -> str:
    found = _decoded(value)
    if isinstance(found, list) or value.lstrip()[:1] == b"[":
        size = f" of {len(found)} elements" if isinstance(found, list) else ""
        return f"It is a JSON array{size}: send one record for each click."
    if isinstance(found, str):
        return "It is JSON in a JSON text, encoded twice: encode it once."
    return "A record must be one JSON object, a click."


def _missing_field(value: bytes, names: Names) -> str:
    click = _click(value)
    missing = next((field for field in OTHER_NAMES if names[field] not in click), None)
    if not click or missing is None:
        return f"A click needs {names['user_id']}, {names['event']} and {names['timestamp']}."
    wanted = names[missing]
    path = next((path for path in _paths(click) if path[-1] == wanted), ())
    near = _near(click, missing, wanted)
    if near and (plain(near) == plain(wanted) or not path):
        return f"There is no {wanted}: did you mean {_setting(missing)}={near}?"
    if path:
        return (
            f"{wanted} stands at {'.'.join(path)}, and is read at the top of a record: "
            f"send what is in {'.'.join(path[:-1])} by itself."
        )
    return f"There is no {wanted}: {_setting(missing)} names the field that holds it."


def _wrong_field(value: bytes, names: Names) -> str:
    click = _click(value)
    found = {field: click.get(name) for field, name in names.items()}
    if not click:
        return ""
    if not isinstance(found["user_id"], str):
        return _no_text("user_id", click, names)
    if not isinstance(found["event"], str):
        return _no_text("event", click, names)
    if isinstance(found["timestamp"], bool) or not isinstance(found["timestamp"], int | float | str):
        kind = _kind(found["timestamp"])
        return f"{names['timestamp']} must be a number or text and is {kind}: {_MOMENTS}."
    product = found["product_id"]
    if isinstance(product, bool | float | list | dict):
        return f"{names['product_id']} must be text, a whole number, or left out, and is {_kind(product)}."
    return ""  # a name is given twice, and the first is wrong


def _no_text(field: str, click: Mapping[str, Any], names: Names) -> str:
    name, found = names[field], click[names[field]]
    words = f"{name} must be text and is {_kind(found)}"
    if isinstance(found, int | float) and not isinstance(found, bool):
        return f'{words}: send it in quotes, "{found}".'
    near = _near(click, field, name)
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
    found = _click(value).get(name)
    if isinstance(found, str) and re.fullmatch(r"\d+(\.\d+)?", found):
        return f"{name} is a number in quotes: send it without them."
    if isinstance(found, int | float) and 0 <= found < EARLIEST:
        return f"{name} would be in 1970, as if divided once too often: {_MOMENTS}."
    return f"{name} must be a moment from 1971 on: {_MOMENTS}."


def _future(value: bytes, names: Names) -> str:
    found = _click(value).get(names["timestamp"])
    if isinstance(found, int | float) and found >= MICROSECONDS_FROM:
        unit = "nanoseconds" if found >= NANOSECONDS_FROM else "microseconds"
        return f"{names['timestamp']} seems to be in {unit}: send milliseconds."
    return (
        "The sender's clock or time zone is wrong, or Kafka's clock is: set it; CLICKWARDEN_MAX_SKEW is how "
        "far ahead a click may be."
    )


def _uncounted(_: bytes, __: Names) -> str:
    return (
        "Clicks come later than CLICKWARDEN_LATE_LIMIT behind their window: send them sooner, and old ones "
        "into a topic of their own, with another CLICKWARDEN_APP_ID."
    )


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
    "not_json": _not_json,
    "not_object": _not_object,
    "missing_field": _missing_field,
    "wrong_field": _wrong_field,
    "empty_user_id": _empty_user_id,
    "huge_user_id": _huge_user_id,
    "huge_event": _huge_event,
    "bad_timestamp": _bad_timestamp,
    "future": _future,
    "uncounted": _uncounted,
    NO_REQUEST: _no_request,
    NO_CLIENT: _no_client,
}

_MOMENTS = "send epoch seconds or milliseconds as a number, or ISO-8601 like 2026-03-10T14:20:00Z"


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
    return isinstance(value, str) and 0 < len(value) <= most


def _near(click: Mapping[str, Any], field: str, wanted: str) -> str:
    """The name, at the top of a click, that is likeliest meant; empty where none is likely."""
    names = {plain(name): name for name, value in click.items() if name != wanted and _fits(field, value)}
    for known in (plain(wanted), *OTHER_NAMES[field]):
        if known in names:
            return names[known]
    close = difflib.get_close_matches(plain(wanted), names, n=1)
    return names[close[0]] if close else ""


def _paths(click: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The names below the top of a click, nearest first, each with those that lead to it."""
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
        yield from (path for path, _ in level)


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
