"""What a record holds, at paths, in arrays and in envelopes: decoder and recount account for each thing."""

import base64
import json
import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clickwarden.audit import reading
from clickwarden.audit.reading import Reader
from clickwarden.detection.clicks import Clicks
from clickwarden.formats.choice import decoder_of
from clickwarden.settings import Settings
from tests.framed import Record, fates

T = 1_600_000_000
RECEIVED = 1_700_000_000_000  # milliseconds
SEED = int(os.environ.get("SEED", secrets.randbelow(10_000)))
#: Made-up records of each format.
RECORDS = 10_000

Headers = tuple[tuple[str, bytes], ...]


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def click(**fields: Any) -> dict[str, Any]:
    return {"user_id": "ann", "event": "view", "timestamp": T} | fields


def without(*names: str, **fields: Any) -> dict[str, Any]:
    return {name: value for name, value in click(**fields).items() if name not in names}


def decode(*records: Record, **given: Any) -> Clicks:
    return decoder_of(Settings(_env_file=None, **given))().decode(records)


def recounted(record: Record, reader: Reader) -> list[Any]:
    """What the recount makes of it; not why."""
    names: dict[type, str] = {reading.Ignored: "ignored", reading.Refused: "refused"}
    return [names.get(type(thing), thing) for thing in reader.read(record)]


def users(value: Any, /, *, headers: Headers = (), key: bytes | None = None, **given: Any) -> list[Any]:
    """The users that a record holds, or why there is none; the recount must say the same."""
    record = Record(value if isinstance(value, bytes) else encoded(value), key=key, headers=headers)
    (found,) = fates(decode(record, **given), [record])
    again = recounted(record, Reader(Settings(_env_file=None, **given)))
    same = [fate if fate == "ignored" or isinstance(fate, tuple) else "refused" for fate in found]
    assert again == same
    run = [Record(encoded(click())), record]
    (_, among) = fates(decode(*run, **given), run)
    assert among == found
    return [fate if isinstance(fate, str) else fate[0] for fate in found]


# -- where a field stands -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "value", "user"),
    [
        ("user.id", without("user_id", user={"id": "u"}), "u"),
        ("user.id", without("user_id", user={"id": 7}), "7"),
        ("user.id", without("user_id", **{"user.id": "exact", "user": {"id": "u"}}), "exact"),
        ("user.id", without("user_id", **{"user.id": None, "user": {"id": "u"}}), "u"),
        ("user.id", without("user_id", user={"name": "u"}), "missing_field"),
        ("user.id", without("user_id", user=None), "missing_field"),
        ("user.id|b", without("user_id", user=None, b="u"), "u"),
        ("a.user.id|b", without("user_id", a={"user": None}, b="u"), "u"),
        ("user.id", without("user_id", user="u"), "missing_field"),
        ("user.id", without("user_id", user='{"id": "in a text"}'), "in a text"),
        ("user.id", without("user_id", user={"id": ["u"]}), "wrong_field"),
        ("items.0.id", without("user_id", items=[{"id": "first"}, {"id": "second"}]), "first"),
        ("items.1.id", without("user_id", items=[{"id": "first"}, {"id": "second"}]), "second"),
        ("items.2.id", without("user_id", items=[{"id": "first"}, {"id": "second"}]), "missing_field"),
        ("items.0.id", without("user_id", items={"0": {"id": "named"}}), "named"),
        ("items.0.id|b", without("user_id", items=[], b="u"), "u"),
        ("items.0.id|b", without("user_id", items=[None], b="u"), "u"),
        ("items.0.id|b", without("user_id", items=[{"id": None}, {"id": 5}], b="u"), "u"),
        ("items.0.id|b", without("user_id", items=[5, {"id": 5}], b="u"), "u"),
        ("items.1.0", without("user_id", items=["x", ["u"]]), "u"),
        ("items.0|items.1", without("user_id", items=[None, "u"]), "u"),
        ("0.id", without("user_id", **{"0": {"id": "u"}}), "u"),
        ("a|b", without("user_id", a=None, b="u"), "u"),
        ("a|b", without("user_id", b="u"), "u"),
        ("a|b", without("user_id", a="", b="u"), "u"),
        ("a|b", without("user_id", a="", b=None), "empty_user_id"),
        ("a|b", without("user_id", a=True, b="u"), "wrong_field"),
        ("a|b", without("user_id", a=0, b="u"), "0"),
        ("a.b|c", without("user_id", a={"b": None}, c="u"), "u"),
        ("a|a.b", without("user_id", a={"b": "u"}), "wrong_field"),
        ("a.b|a", without("user_id", a="u"), "u"),
        ("@key", without("user_id"), "the key"),
        ("user_id|@key", without("user_id", user_id=None), "the key"),
        ("user_id|@key", click(), "ann"),
        ("@header:x-user", click(), "last"),
        ("@header:none|user_id", click(), "ann"),
        ("@header:bytes|user_id", click(), "wrong_field"),
        ("@field:@key", without("user_id", **{"@key": "u"}), "u"),
        ("@key", without("user_id", **{"@key": "forged"}), "the key"),
    ],
)
def test_a_user_is_found_where_the_setting_says(places: str, value: Any, user: str) -> None:
    headers = (("x-user", b"first"), ("x-user", b"last"), ("bytes", b"\xff"))
    assert users(value, field_user_id=places, key=b"the key", headers=headers) == [user]


@pytest.mark.parametrize(
    ("literal", "user"),
    [
        ("7", "7"),
        ("-7", "-7"),
        ("-0", "0"),
        ("0.0", "0"),
        ("48213.0", "48213"),
        ("4.8213e4", "48213"),
        ("9007199254740991.0", "9007199254740991"),
        ("9007199254740992.0", "wrong_field"),
        ("90071992547409930", "90071992547409930"),
        ("1" * 256, "1" * 256),
        ("1" * 257, "huge_user_id"),
        ("1" * 5000, "wrong_field"),
        ("1.5", "wrong_field"),
        ("1e400", "wrong_field"),
        ("true", "wrong_field"),
        ("null", "missing_field"),
        ('"1.0"', "1.0"),
    ],
)
def test_a_whole_number_is_a_user_written_in_one_way(literal: str, user: str) -> None:
    value = b'{"user_id":%s,"event":"view","timestamp":%d}' % (literal.encode(), T)
    assert users(value) == [user]
    assert users(value, field_user_id="id|user_id") == [user]


@pytest.mark.parametrize("places", ["@timestamp", "ts|@timestamp"])
def test_kafkas_own_time_may_be_the_clicks(places: str) -> None:
    clicks = decode(Record(encoded(without("timestamp"))), field_timestamp=places)
    assert clicks.times.tolist() == [RECEIVED / 1000]
    assert users(without("timestamp"), field_timestamp=places) == ["ann"]


@pytest.mark.parametrize(
    "spelling",
    [
        *(
            "2020-09-13T12:26:40Z",
            "2020-09-13 12:26:40",
            "2020-09-13t12:26:40z",
            "2020-09-13T12:26:40.0000000Z",
        ),
        *("2020-09-13 12:26:40 UTC", "2020-09-13 12:26:40 +0000", "2020-09-13 12:26:40.000 +0000 UTC"),
        *(
            "2020-09-13T14:26:40+0200",
            "2020-09-13T14:26:40,000+02:00",
            "2020-09-13T14:26:40+02:00[Europe/Berlin]",
        ),
        *(
            "20200913T122640Z",
            "2020-09-13T12:26:40GMT",
            " 1600000000 ",
            "1600000000.0",
            "1.6e9",
            "1600000000000",
        ),
        *(T, T * 1e3, T * 10**6, T * 10**9, str(T * 10**9)),
    ],
)
def test_a_moment_in_many_spellings(spelling: Any) -> None:
    assert decode(Record(encoded(click(timestamp=spelling)))).times.tolist() == [T]
    assert users(click(timestamp=spelling)) == ["ann"]


@pytest.mark.parametrize(
    "spelling",
    ["", "now", 20200913, "0x5f5e1000", "1_600_000_000", "١٦٠٠٠٠٠٠٠٠", "1600000000 UTC", "nan", -T, True],
)
def test_what_is_no_moment_is_rejected(spelling: Any) -> None:
    assert users(click(timestamp=spelling)) == ["wrong_field" if spelling is True else "bad_timestamp"]


def test_a_pattern_is_for_text_and_digits() -> None:
    given: dict[str, Any] = {"timestamp_format": "%Y%m%d%H%M%S"}
    for timestamp in ("20200913122640", 20200913122640, T, float(T), "2020-09-13T12:26:40Z"):
        record = Record(encoded(click(timestamp=timestamp)))
        assert decode(record, **given).times.tolist() == [T]
        assert users(click(timestamp=timestamp), **given) == ["ann"]


# -- what holds it ------------------------------------------------------------------------------------


def debezium(op: str, after: Any, before: Any = None, **more: Any) -> dict[str, Any]:
    return {"before": before, "after": after, "source": {"db": "shop"}, "op": op, "ts_ms": T * 1000} | more


def event(**more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "1", "source": "/shop", "type": "view"} | more


ROW = click()
HELD: dict[str, tuple[Any, list[str]]] = {
    "two": ([click(), click(user_id="bob")], ["ann", "bob"]),
    "one": ([click()], ["ann"]),
    "none": ([], ["ignored"]),
    "bad ones": ([click(), {}, click(user_id=True), click()], ["ann", "missing_field", "wrong_field", "ann"]),
    "what is none": ([click(), 5, None, "x", [click()]], ["ann", *["not_object"] * 4]),
    "records": ({"records": [click(), click(user_id="")]}, ["ann", "empty_user_id"]),
    "no records": ({"records": []}, ["ignored"]),
    "events": ({"events": [click(), {}]}, ["ann", "missing_field"]),
    "a batch": ({"batch": [click()], "sentAt": T}, ["ann"]),
    "clicks": ({"clicks": [click()] * 2}, ["ann", "ann"]),
    "data": ({"data": [click(), {}], "type": "export"}, ["ann", "missing_field"]),
    "an empty list beside an event": (without("user_id", clicks=[]), ["missing_field"]),
    "words beside an event": (without("user_id", events=["a", "b"]), ["missing_field"]),
    "records before events": ({"events": [{}], "records": [click()]}, ["ann"]),
    "records that are a click": (click(records=[click(user_id="bob")]), ["ann"]),
    "records of a user": ({"user_id": "ann", "records": [without("user_id")] * 2}, ["ann", "ann"]),
    "in a text": (json.dumps(click()), ["ann"]),
    "in a text in a text": (json.dumps(json.dumps(click())), ["not_object"]),
    "array in a text": (json.dumps([click(), {}]), ["ann", "missing_field"]),
    "texts": ([json.dumps(click()), "x"], ["ann", "not_object"]),
    "text": ("x", ["not_object"]),
    "number": (5, ["not_object"]),
    "insert": (debezium("c", ROW), ["ann"]),
    "snapshot": (debezium("r", ROW), ["ignored"]),
    "message": (debezium("m", None), ["ignored"]),
    "update": (debezium("u", ROW, ROW), ["ignored"]),
    "delete": (debezium("d", None, ROW), ["ignored"]),
    "truncation": (debezium("t", None), ["ignored"]),
    "unknown operation": (debezium("x", ROW), ["missing_field"]),
    "insert without a row": (debezium("c", None), ["missing_field"]),
    "a row that is text": (debezium("c", json.dumps(ROW)), ["ann"]),
    "a bad row": (debezium("c", click(timestamp="x")), ["bad_timestamp"]),
    "insert with schema": ({"schema": {"type": "struct"}, "payload": debezium("c", ROW)}, ["ann"]),
    "delete with schema": ({"schema": {}, "payload": debezium("d", None, ROW)}, ["ignored"]),
    "unwrapped": (click(__op="c", __deleted="false"), ["ann"]),
    "unwrapped update": (click(__op="u", __deleted="false"), ["ignored"]),
    "unwrapped delete": (click(__op="d", __deleted="true"), ["ignored"]),
    "unwrapped delete without operation": (click(__deleted="true"), ["ignored"]),
    "unwrapped snapshot": (click(__op="r"), ["ignored"]),
    "unwrapped update that lacks a field": (without("event", __op="u"), ["ignored"]),
    "unwrapped operations that are none": (
        [click(__op="x"), click(__op=5), click(__deleted=True)],
        ["ann"] * 3,
    ),
    "unwrapped operation that is a list": (click(__op=["u"]), ["ann"]),
    "several unwrapped": (
        [click(__op="c"), click(__op="u"), {"__op": "c"}],
        ["ann", "ignored", "missing_field"],
    ),
    "heartbeat": ({"ts_ms": T * 1000}, ["missing_field"]),
    "an infinite time": (debezium("c", click(timestamp="infinity")), ["bad_timestamp"]),
    "a time of many years": (debezium("c", click(timestamp="+20000-01-01T00:00:00Z")), ["bad_timestamp"]),
    "unwrapped with schema": ({"schema": {"type": "struct"}, "payload": ROW}, ["ann"]),
    "no schema": ({"schema": None, "payload": ROW}, ["ann"]),
    "event": (event(data=ROW), ["ann"]),
    "event of text": (event(data=json.dumps(ROW)), ["ann"]),
    "event of base64": (event(data_base64=base64.b64encode(encoded(ROW)).decode()), ["ann"]),
    "event of bad base64": (event(data_base64="?"), ["not_json"]),
    "event of several": (event(data=[ROW, {}]), ["ann", "missing_field"]),
    "event without data": (event(), ["missing_field"]),
    "cloud events": ([event(data=ROW), event(data={})], ["ann", "missing_field"]),
    "envelopes in envelopes": ({"records": [event(data=debezium("c", ROW))]}, ["ann"]),
}


@pytest.mark.parametrize(("value", "expected"), HELD.values(), ids=HELD)
def test_a_record_holds(value: Any, expected: list[str]) -> None:
    assert users(value) == expected
    framed = b"\0\0\0\0\x2a" + encoded(value)
    assert users(framed) == (expected if framed[5:6] in b'{["' else ["not_json"])


def test_what_a_click_lacks_is_taken_from_its_envelope() -> None:
    given: dict[str, Any] = {"field_event": "type", "field_timestamp": "time"}
    value = event(type="cart", time="2020-09-13T12:26:40Z", data={"user_id": "ann", "type": None})
    clicks = decode(Record(encoded(value)), **given)
    assert (clicks.users, clicks.events, clicks.times.tolist()) == (["ann"], ["cart"], [T])
    assert users(value, **given) == ["ann"]
    headers = (("ce_specversion", b"1.0"), ("ce_type", b"cart"), ("ce_time", b"2020-09-13T12:26:40Z"))
    assert users({"user_id": "ann"}, headers=headers, **given) == ["ann"]
    assert users({"user_id": "ann"}, headers=headers[1:], **given) == ["missing_field"]


def enriched(**columns: str) -> bytes:
    names = ["", "", "", "collector_tstamp", "", "event", *[""] * 6, "user_id", "", "", "domain_userid"]
    line = {"collector_tstamp": "2020-09-13 12:26:40.000", "event": "page_view"} | columns
    return "\t".join(["shop", "web", "", *(line.get(name, "") for name in names[3:]), *[""] * 115]).encode()


def test_columns_of_an_enriched_event() -> None:
    given: dict[str, Any] = {"field_user_id": "user_id|domain_userid", "field_timestamp": "collector_tstamp"}
    assert users(enriched(user_id="ann"), **given) == ["ann"]
    assert users(enriched(domain_userid="d-7"), **given) == ["d-7"]
    assert users(enriched(), **given) == ["missing_field"]
    assert users(enriched(user_id="ann", collector_tstamp="2020-99-99 x"), **given) == ["bad_timestamp"]
    assert users(enriched(user_id="ann")) == ["missing_field"]


def test_an_element_is_set_aside_as_it_stands() -> None:
    bad = b'{"user_id": "bob" }'
    record = Record(b"[" + encoded(click()) + b" , " + bad + b"]", 5)
    (rejected,) = decode(record).rejected
    assert (rejected.offset, rejected.element, rejected.value) == (5, 1, bad)
    (whole,) = decode(Record(b"[" + bad + b"]", 5)).rejected
    assert (whole.element, whole.value) == (None, b"[" + bad + b"]")


def test_parts_of_whole_records() -> None:
    values = [[click(), {}, click()], [], click()] * 9
    run = [Record(encoded(value), number) for number, value in enumerate(values)]
    clicks = decode(*run)
    parts = list(clicks.split(4))
    assert len(parts) > 5
    expected = fates(clicks, run)
    found: list[list[Any]] = []
    for part in parts:
        assert part.sizes is not None
        assert part.sizes.sum() <= 4
        found += fates(part, run[len(found) : len(found) + len(part.sizes)])
    assert found == expected


def test_so_many_things_and_no_more() -> None:
    assert users([click()] * 20_000) == ["ann"] * 20_000
    assert users([click()] * 20_001) == ["too_many"]
    assert users([{}] * 20_001) == ["too_many"]


def test_what_surrounds_many_clicks_is_looked_at_once() -> None:
    """Else one record would take minutes, and the worker would take its decoding for frozen."""
    context = {"context": json.dumps({"pad": ["x" * 100] * 5000})}
    headers = tuple((f"header-{number}", b"") for number in range(20_000))
    record = Record(encoded({"records": [{}] * 15_000} | context), headers=headers)
    places = {"field_user_id": "context.user|@header:user", "field_event": "@header:event|context.event"}
    began = time.process_time()
    (rejected, *_) = decode(record, **places).rejected
    assert rejected.reason == "missing_field"
    assert time.process_time() - began < 5


def test_a_run_comes_in_parts_of_whole_records_of_which_each_knows_its_own() -> None:
    values = [[click(), {}, click()], [], click(), 5, [click()] * 9] * 40
    run = [Record(encoded(value), number) for number, value in enumerate(values)]
    decoder = decoder_of(Settings(_env_file=None))()
    parts = list(decoder.parts(run, 10))
    assert len(parts) > 10
    found: list[list[Any]] = []
    for part in parts:
        assert part.stamps is not None
        found += fates(part, run[len(found) : len(found) + len(part.stamps)])
    assert found == fates(decoder.decode(run), run)


# -- whatever arrives ---------------------------------------------------------------------------------

ODD: list[Any] = [
    *(None, True, False, 0, -0.0, 1.5, 7, 7.0, 2**53, 10**30, 1e300, T, T * 1000, T * 10**6, T * 10**9),
    *("", "x", "ann", "ü" * 257, "e" * 65, "\ud800", "2020-09-13 12:26:40", str(T), f"{T}.5", "c", "d", "u"),
    *([], {}, [[]], [{}], {"id": "u"}, [None, click()], click(), json.dumps(click()), "[{", '{"a":1}'),
]
BYTES = [b"", b"\xff", b"\\u", b'"', b"}", b"[", b",", b"\t", b"\xed\xa0\x80", b"1e9", b"null", b"\\ud800"]
FIELDS = {
    "field_user_id": "user.id|user_id|@header:user|@key",
    "field_event": "event|type",
    "field_timestamp": "timestamp|time",
    "field_product_id": "items.0.id|product.id",
}


def nested(draw: random.Random) -> Any:
    value = without("user_id", user={"id": f"u-{draw.randrange(9)}"}, product={"id": draw.randrange(9)})
    if draw.random() < 0.3:
        value = click(type="cart", user={"id": None}, items=[{"id": "p"}])
    if draw.random() < 0.1:
        value |= {"user_id": "u", "user": None}
    if draw.random() < 0.1:
        value = {"time": "2020-09-13T12:26:40Z", "type": "view", "user.id": 5}
    return value


def enriched_event(draw: random.Random) -> Any:
    return enriched(
        user_id=draw.choice(["ann", "", "u"]),
        collector_tstamp=draw.choice(["", str(T)] + ["2020-09-13 12:26:40"] * 5),
    )


FORMATS: dict[str, tuple[dict[str, str], Callable[[random.Random], Any]]] = {
    "flat": ({}, lambda draw: click(user_id=draw.choice(["ann", 7]), product_id=draw.choice(["p", 7, None]))),
    "nested": (FIELDS, nested),
    "enriched": (FIELDS | {"field_timestamp": "collector_tstamp"}, enriched_event),
    "array": ({}, lambda draw: [click() for _ in range(draw.randrange(5))]),
    "nested array": (FIELDS, lambda draw: [nested(draw) for _ in range(draw.randrange(4))]),
    "records": (FIELDS, lambda draw: {draw.choice(["records", "data"]): [nested(draw) for _ in range(3)]}),
    "text": ({}, lambda draw: json.dumps(draw.choice([click(), [click(), click()]]))),
    "debezium": ({}, lambda draw: debezium(draw.choice("ccccrud"), click(), draw.choice([None, click()]))),
    "unwrapped": (
        {},
        lambda draw: click(__op=draw.choice("ccccrudx"), __deleted=draw.choice(["false", "true", 5])),
    ),
    "nested unwrapped": (FIELDS, lambda draw: nested(draw) | {"__op": draw.choice(["c", "c", "u", None])}),
    "connect": (
        FIELDS,
        lambda draw: {"schema": {}, "payload": draw.choice([nested(draw), debezium("c", click())])},
    ),
    "cloudevents": (FIELDS, lambda draw: event(time=T, data=draw.choice([nested(draw), {"user_id": "u"}]))),
}  # fmt: skip


#: Fields that rules may look at, beside each other.
ASKED: list[tuple[str, ...]] = [
    ("status", "user.plan", "path", "@header:user", "@key", "product_id"),
    ("items.0.id", "x|status", "user_id", "event", "user.id", "@field:user_id"),
    ("status", "status.code", "op", "type", "@field:timestamp", "records.0.status"),
    ("status",),
]


def dressed(draw: random.Random, value: Any) -> Any:
    """The value with further fields in what may be its clicks."""
    if isinstance(value, list):
        return [dressed(draw, one) for one in value]
    if not isinstance(value, dict):
        return value
    if not value.keys() & {"event", "type"}:
        return {name: dressed(draw, inner) for name, inner in value.items()}
    further = {name: draw.choice(ODD) for name in ("status", "path", "x") if draw.random() < 0.4}
    if isinstance(value.get("user"), dict) and draw.random() < 0.5:
        further["user"] = value["user"] | {"plan": draw.choice(ODD)}
    return value | further


def mutated(draw: random.Random, value: Any) -> Any:
    """The value with one thing in it, wherever it stands, changed, left out, or put beside."""
    if isinstance(value, dict) and value and draw.random() < 0.8:
        name = draw.choice(list(value))
        chance = draw.random()
        if chance < 0.6:
            return value | {name: mutated(draw, value[name])}
        if chance < 0.8:
            return {other: inner for other, inner in value.items() if other != name}
        return value | {
            draw.choice(["records", "events", "payload", "op", "data", "user", "x"]): draw.choice(ODD)
        }
    if isinstance(value, list) and value and draw.random() < 0.8:
        at = draw.randrange(len(value))
        return [*value[:at], mutated(draw, value[at]), *value[at + 1 :]]
    return draw.choice(ODD)


def damaged(draw: random.Random, value: bytes) -> bytes:
    at = draw.randrange(len(value) + 1)
    return value[:at] + draw.choice(BYTES) + value[at + draw.randrange(4) :]


def made_up(draw: random.Random, make: Callable[[random.Random], Any]) -> Iterator[Record]:
    for offset in range(RECORDS):
        value = dressed(draw, make(draw))
        chance = draw.random()
        if chance < 0.5 and not isinstance(value, bytes):
            value = mutated(draw, value)
        ascii_ = draw.random() < 0.5
        data = (
            value
            if isinstance(value, bytes)
            else json.dumps(value, ensure_ascii=ascii_).encode(errors="surrogatepass")
        )
        if draw.random() < 0.05:
            data = b"\0\0\0\0\7" + data
        if draw.random() < 0.25:
            data = damaged(draw, data)
        key = draw.choice([None, b"k", b"", b"\xff"])
        headers = draw.choice(
            [
                *((), (), (("user", b"h"),), (("ce_specversion", b"1"), ("ce_type", b"t"))),
                (("__debezium.oldkey", b'{"id":1}'),),
            ]
        )
        yield Record(data if draw.random() < 0.99 else None, offset, key=key, headers=headers)


@pytest.mark.parametrize("name", FORMATS)
def test_made_up_records_are_judged_alike(name: str) -> None:
    print(f"again: SEED={SEED} .venv/bin/python -m pytest {__file__}")
    given, make = FORMATS[name]
    settings = Settings(_env_file=None, **given)  # type: ignore[arg-type]
    draw = random.Random(f"{SEED} {name}")
    asked = draw.choice([(), *ASKED])
    decoder, reader = decoder_of(settings)(), Reader(settings, asked=asked)
    decoder.want(asked)
    records = list(made_up(draw, make))
    accepted = 0
    while records:
        size = draw.choice([1, 2, 10, 300])
        run, records = records[:size], records[size:]
        together = fates(decoder.decode(run), run, asked)
        for record, found in zip(run, together, strict=True):
            same = [fate if fate == "ignored" or isinstance(fate, tuple) else "refused" for fate in found]
            assert recounted(record, reader) == same, record
            assert fates(decoder.decode([record]), [record], asked) == [found], record
            accepted += sum(isinstance(fate, tuple) for fate in found)
    assert accepted > RECORDS / 10
