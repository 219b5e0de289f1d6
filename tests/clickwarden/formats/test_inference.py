"""Kinds of records as others have them: which field is whose is found, and what is not sure says why."""

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from clickwarden.formats.clicks import Decoder
from clickwarden.formats.gathered import LOG_APPEND_TIME
from clickwarden.formats.inference import Inference, infer
from clickwarden.formats.specimens import opened

NOON = 1773152400  # 10 March 2026, 14:20:00 UTC
RECORDS = 120
USERS = [f"u-{number * 7919 % 9973}" for number in range(14)]
EVENTS = ("login", "login_failed", "view", "page_view", "Product Viewed")


class Shopped(NamedTuple):
    """What somebody did, of which a kind of record is made."""

    number: int
    user: str
    id: int
    uuid: str
    ip: str
    event: str
    product: str
    time: float
    own: str  # another for every record

    @property
    def iso(self) -> str:
        return datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")

    def at(self, pattern: str) -> str:
        return datetime.fromtimestamp(self.time, UTC).strftime(pattern)


class StoredRecord(NamedTuple):
    value: bytes | None
    timestamp: int
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    offset: int = 0
    timestamp_type: int = LOG_APPEND_TIME


def shopped(count: int = RECORDS) -> list[Shopped]:
    chance = random.Random(7)
    found = []
    for number in range(count):
        who = chance.randrange(len(USERS))
        found.append(
            Shopped(
                number,
                USERS[who],
                100_000 + who * 37,
                f"7d44{who:04x}-1111-4222-8333-444455556666",
                f"203.0.113.{who + 1}",
                chance.choice(("view", "view", "view", "add", "search", "login")),
                f"sku-{chance.randrange(60)}",
                NOON + number * 0.7,
                f"{chance.randrange(2**32):08x}-aaaa-4bbb-8ccc-{number:012x}",
            )
        )
    return found


class Kind(NamedTuple):
    """A kind of record, and where its user and its time stand; and what surrounds its value."""

    make: Callable[[Shopped], Any]
    user: str
    time: str
    around: Callable[[Shopped], dict[str, Any]] = lambda one: {}


def millis(one: Shopped) -> int:
    return int(one.time * 1000)


KINDS = {
    "ours": Kind(
        lambda one: {
            "user_id": one.user,
            "event": one.event,
            "timestamp": one.time,
            "product_id": one.product,
        },
        "user_id",
        "timestamp",
    ),
    "Segment, some anonymous": Kind(
        lambda one: {
            "anonymousId": one.uuid,
            "userId": one.user if one.number % 3 else None,
            "messageId": one.own,
            "type": "track",
            "event": f"Product {one.event}",
            "properties": {"product_id": one.product, "name": "thing"},
            "context": {"ip": one.ip, "userAgent": "Mozilla/5.0 (X11)", "library": {"name": "analytics.js"}},
            "originalTimestamp": one.iso,
            "sentAt": one.iso,
            "receivedAt": one.iso,
            "timestamp": one.iso,
        },
        "userId|anonymousId",
        "timestamp",
    ),
    "a user deep within": Kind(
        lambda one: {
            "event": "Product Viewed",
            "userId": None,
            "anonymousId": one.uuid,
            "timestamp": one.time,
            "context": {"traits": {"userId": one.user}, "ip": one.ip},
        },
        "context.traits.userId",
        "timestamp",
    ),
    "Google Analytics 4": Kind(
        lambda one: {
            "event_date": "20260310",
            "event_timestamp": int(one.time * 1e6),
            "event_name": one.event,
            "user_pseudo_id": one.uuid,
            "user_id": None,
            "device": {"category": "desktop"},
            "items": [{"item_id": one.product}],
        },
        "user_pseudo_id",
        "event_timestamp",
    ),
    "Mixpanel": Kind(
        lambda one: {
            "event": one.event,
            "properties": {
                "time": int(one.time),
                "distinct_id": one.user,
                "$insert_id": one.own,
                "token": "x",
            },
        },
        "properties.distinct_id",
        "properties.time",
    ),
    "Amplitude": Kind(
        lambda one: {
            "amplitude_id": one.id + 5_000_000,
            "device_id": one.uuid,
            "user_id": one.user,
            "event_type": one.event,
            "event_time": one.at("%Y-%m-%d %H:%M:%S.%f"),
            "server_upload_time": "2026-03-10 14:40:01.000000",
            "session_id": 1773150000000,
            "event_id": one.number,
            "uuid": one.own,
        },
        "user_id",
        "event_time",
    ),
    "PostHog": Kind(
        lambda one: {"uuid": one.own, "event": one.event, "distinct_id": one.user, "timestamp": one.iso},
        "distinct_id",
        "timestamp",
    ),
    "Cloudflare's Logpush": Kind(
        lambda one: {
            "ClientIP": one.ip,
            "ClientRequestMethod": "GET",
            "ClientRequestURI": f"/p/{one.product}",
            "EdgeResponseStatus": 200,
            "EdgeStartTimestamp": int(one.time) * 10**9,
            "EdgeEndTimestamp": int(one.time) * 10**9 + 5,
            "RayID": one.own,
        },
        "ClientIP",
        "EdgeStartTimestamp",
    ),
    "Kafka Connect's datagen": Kind(
        lambda one: {"viewtime": millis(one), "userid": f"User_{one.id % 9}", "pageid": one.product},
        "userid",
        "viewtime",
    ),
    "sessions alone": Kind(
        lambda one: {"session": one.id, "aid": one.number % 50, "ts": millis(one), "type": one.event},
        "session",
        "ts",
    ),
    "a shop's export": Kind(
        lambda one: {
            "event_time": one.at("%Y-%m-%d %H:%M:%S UTC"),
            "event_type": one.event,
            "product_id": one.number % 50,
            "category_id": 2053013555631882655,
            "price": 130.76,
            "user_id": 500_000_000 + one.id,
            "user_session": one.uuid,
        },
        "user_id",
        "event_time",
    ),
    "Elastic Common Schema": Kind(
        lambda one: {
            "@timestamp": one.iso,
            "event": {"action": one.event, "category": ["web"], "dataset": "shop"},
            "user": {"id": one.user, "name": f"n{one.user}"},
            "client": {"ip": one.ip},
            "host": {"name": "web-1"},
        },
        "user.id",
        "@field:@timestamp",
    ),
    "a CloudEvent that knows type and time": Kind(
        lambda one: {
            "specversion": "1.0",
            "type": f"com.shop.{one.event}",
            "source": "/shop",
            "id": one.own,
            "time": one.iso,
            "data": {"user_id": one.user, "sku": one.product},
        },
        "user_id",
        "time",
    ),
    "Debezium of a table": Kind(
        lambda one: {
            "schema": {"type": "struct"},
            "payload": {
                "before": None,
                "after": {
                    "id": one.number,
                    "customer_id": one.id,
                    "action": one.event,
                    "article_id": one.number % 50,
                    "occurred_at": int(one.time * 1e6),
                    "session_id": one.uuid,
                },
                "source": {"connector": "postgresql", "name": "shop", "ts_ms": millis(one)},
                "op": "c",
                "ts_ms": millis(one) + 120,
            },
        },
        "customer_id",
        "occurred_at",
    ),
    "Debezium of a table that says when a row was made": Kind(
        lambda one: {
            "after": {"customer_id": one.id, "action": one.event, "created_at": int(one.time * 1e6)},
            "source": {"connector": "mysql", "ts_ms": millis(one)},
            "op": "c",
            "ts_ms": NOON * 1000 + 10**6 + one.number // 20,
        },
        "customer_id",
        "created_at",
    ),
    "short names": Kind(
        lambda one: {"uid": one.user, "e": one.event, "ts": int(one.time), "pid": one.product}, "uid", "ts"
    ),
    "German names and times": Kind(
        lambda one: {"kunde": one.id, "zeit": one.at("%d.%m.%Y %H:%M:%S"), "aktion": one.event},
        "kunde",
        "zeit",
    ),
    "times of a spreadsheet": Kind(
        lambda one: {"Kunde": one.id, "Zeitpunkt": one.at("%d.%m.%Y %H:%M"), "Aktion": one.event},
        "Kunde",
        "Zeitpunkt",
    ),
    "MongoDB's types": Kind(
        lambda one: {
            "_id": {"$oid": f"{one.number:024x}"},
            "userId": {"$numberLong": str(one.id)},
            "ts": {"$date": one.iso},
            "action": one.event,
        },
        "userId.$numberLong",
        "ts.$date",
    ),
    "Avro's unions in JSON": Kind(
        lambda one: {
            "user_id": {"string": one.user},
            "event": {"string": one.event},
            "ts": {"long": millis(one)},
        },
        "user_id.string",
        "ts.long",
    ),
    "Keycloak": Kind(
        lambda one: {
            "id": one.own,
            "time": millis(one),
            "type": "LOGIN",
            "clientId": "web",
            "userId": one.uuid,
            "ipAddress": one.ip,
        },
        "userId",
        "time",
    ),
    "the user is the key": Kind(
        lambda one: {"action": one.event, "sku": one.product, "ts": millis(one)},
        "@key",
        "ts",
        lambda one: {"key": one.user.encode()},
    ),
    "the user is a header, and the time Kafka's": Kind(
        lambda one: {"event": one.event, "product": one.product},
        "@header:x-user-id",
        "@timestamp",
        lambda one: {"headers": (("x-user-id", one.user.encode()), ("trace", one.own.encode()))},
    ),
    "several in an array": Kind(
        lambda one: [
            {"user_id": user, "event": "view", "timestamp": one.time} for user in (one.user, one.ip)
        ],
        "user_id",
        "timestamp",
    ),
    "a time of signing up beside it": Kind(
        lambda one: {
            "user_id": one.id,
            "created_at": datetime.fromtimestamp(1_600_000_000 + one.id, UTC).isoformat(),
            "click_time": one.iso,
            "action": "click",
        },
        "user_id",
        "click_time",
    ),
    "JSON in a text": Kind(
        lambda one: {
            "type": "log",
            "payload": json.dumps({"uid": one.user, "at": one.iso, "action": one.event}),
        },
        "payload.uid",
        "payload.at",
    ),
    "GitHub": Kind(
        lambda one: {
            "id": str(10**10 + one.number),
            "type": "WatchEvent",
            "actor": {"id": one.id, "login": one.user},
            "repo": {"id": one.number % 50, "name": "a/b"},
            "created_at": one.iso,
        },
        "actor.id",
        "created_at",
    ),
    "a date apart from the time of day": Kind(
        lambda one: {"date": "2026-03-10", "time": one.at("%H:%M:%S"), "user": one.user, "page": "/p/7"},
        "user",
        "@timestamp",
    ),
    "two kinds in one topic": Kind(
        lambda one: (
            {"uid": one.user, "ts": one.time, "event": one.event}
            if one.number % 2
            else {"userId": one.user, "time": one.iso, "action": one.event}
        ),
        "userId|uid",
        "time|ts",
    ),
    "DynamoDB's stream": Kind(
        lambda one: {
            "eventID": one.own,
            "eventName": "INSERT",
            "dynamodb": {"NewImage": {"userId": {"S": one.user}, "ts": {"N": str(millis(one))}}},
        },
        "dynamodb.NewImage.userId.S",
        "dynamodb.NewImage.ts.N",
    ),
    "Protobuf's time in JSON": Kind(
        lambda one: {
            "eventTime": {"seconds": int(one.time), "nanos": 5},
            "user": {"id": str(one.id)},
            "eventType": one.event,
        },
        "user.id",
        "eventTime.seconds",
    ),
    "times that are none of the click": Kind(
        lambda one: {
            "user": {"uid": one.user, "registeredAt": "2020-01-01T00:00:00Z"},
            "session_start": int(one.time) - one.number % 900,
            "expiresAt": "2026-05-01T00:00:00Z",
            "time": one.iso,
            "type": one.event,
        },
        "user.uid",
        "time",
    ),
    "names that say nothing": Kind(
        lambda one: {"f1": one.own, "f2": one.uuid, "f3": one.event, "f4": millis(one), "f5": one.product},
        "f2",
        "f4",
    ),
}


def records(kind: Kind) -> list[StoredRecord]:
    return [
        StoredRecord(json.dumps(kind.make(one)).encode(), millis(one) + 300, **kind.around(one))
        for one in shopped()
    ]


def inferred(stored: Sequence[StoredRecord], *, in_kafka: bool = True) -> Inference:
    return infer(opened(stored).specimens, EVENTS, in_kafka=in_kafka)


@pytest.mark.parametrize("name", KINDS)
def test_user_and_time_are_found_and_the_settings_read_every_record(name: str) -> None:
    kind = KINDS[name]
    stored = records(kind)
    found = inferred(stored)
    guesses = found.guesses
    assert (guesses["user_id"].setting, guesses["timestamp"].setting) == (kind.user, kind.time), guesses

    clicks = Decoder(found.names, 60, found.pattern).decode(stored)
    assert clicks.rejected == []
    assert len(clicks.users) >= RECORDS
    assert NOON - 1 < min(clicks.times) < max(clicks.times) < NOON + 100


@pytest.mark.parametrize("name", KINDS)
def test_the_same_is_found_in_a_file_whose_lines_have_no_time_stamp(name: str) -> None:
    kind = KINDS[name]
    stored = records(kind)
    if any(one.key or one.headers for one in stored):
        return  # of which a file has none
    found = inferred([one._replace(timestamp=(NOON + 999_999) * 1000) for one in stored], in_kafka=False)
    assert (found.names["user_id"], found.names["timestamp"]) == (kind.user, kind.time)


@pytest.mark.parametrize(
    ("make", "field", "doubt"),
    [
        pytest.param(
            lambda one: {"user_id": "shop", "event": one.event, "timestamp": one.time},
            "user_id",
            "in all records",
            id="one user",
        ),
        pytest.param(
            lambda one: {"user_id": one.own, "event": one.event, "timestamp": one.time},
            "user_id",
            "another in nearly every record",
            id="a user a record",
        ),
        pytest.param(
            lambda one: {
                "user_id": "guest" if one.number % 2 else one.user,
                "event": "v",
                "timestamp": one.time,
            },
            "user_id",
            "'guest'",
            id="nobody",
        ),
        pytest.param(
            lambda one: {"client_ip": f"10.0.0.{one.id % 9}", "event": one.event, "timestamp": one.time},
            "user_id",
            "private addresses",
            id="proxies",
        ),
        pytest.param(
            lambda one: {
                "user_id": one.user,
                "customer_id": 1 + one.id % 5,
                "event": "v",
                "timestamp": one.time,
            },
            "user_id",
            "customer_id may be the user too",
            id="two users",
        ),
        pytest.param(
            lambda one: {"user_id": one.user, "event": one.event, "timestamp": NOON},
            "timestamp",
            "the same moment in all records",
            id="one moment",
        ),
        pytest.param(
            lambda one: {
                "after": {"user_id": one.user, "event": one.event},
                "source": {"connector": "mysql"},
                "op": "c",
                "ts_ms": millis(one),
            },
            "timestamp",
            "when Debezium has read the row",
            id="Debezium's own time",
        ),
        pytest.param(
            lambda one: {"user_id": one.user, "event": one.event, "timestamp": one.time + 10**8},
            "timestamp",
            "are in the future",
            id="the future",
        ),
        pytest.param(
            lambda one: {"user_id": one.user, "event": "v", "timestamp": one.time, "ts": one.time - 7200},
            "timestamp",
            "ts is a time too, 2 hours from it",
            id="two times",
        ),
        pytest.param(
            lambda one: {"user_id": one.user, "event": one.event, "timestamp": one.at("%m/%d/%Y %H:%M")},
            "timestamp",
            "%d/%m/%Y %H:%M would read it, too",
            id="a day that may be a month",
        ),
        pytest.param(
            lambda one: {"user_id": one.user, "event": one.event, "timestamp": "yesterday"},
            "timestamp",
            "timestamp cannot be read as a time, as 'yesterday'",
            id="no time",
        ),
        pytest.param(
            lambda one: {"user_id": one.user, "event": one.number % 4, "timestamp": one.time, "page": "/p"},
            "event",
            "event is not always short text",
            id="an event that is a number",
        ),
    ],
)
def test_what_values_speak_against_is_not_sure(
    make: Callable[[Shopped], Any], field: str, doubt: str
) -> None:
    stored = [StoredRecord(json.dumps(make(one)).encode(), millis(one)) for one in shopped()]
    guess = inferred(stored).guesses[field]
    assert guess.confidence != "sure"
    assert any(doubt in found for found in guess.doubts), guess


def test_the_session_stands_in_for_a_user_who_is_nobody() -> None:
    stored = [
        StoredRecord(
            json.dumps(
                {"user_id": "-", "session_id": one.uuid, "event": one.event, "timestamp": one.time}
            ).encode(),
            millis(one),
        )
        for one in shopped()
    ]
    assert inferred(stored).guesses["user_id"].setting == "session_id"


def test_what_a_setting_cannot_name_is_not_named() -> None:
    """A name with a bar, a quote or a dot within an object would mean another place, or none."""
    stored = [
        StoredRecord(
            json.dumps(
                {"a|user_id": one.user, "x'userId": one.user, "attributes": {"user.id": one.user}}
                | {"uid": one.id, "event": one.event, "ts": one.time}
            ).encode(),
            millis(one),
        )
        for one in shopped()
    ]
    assert inferred(stored).guesses["user_id"].setting == "uid"


def test_the_product_of_an_event_whose_envelope_knows_the_rest_is_found_within() -> None:
    events = [
        {"specversion": "1.0", "type": one.event, "subject": one.user, "time": one.iso, "id": one.own}
        | {"data": {"sku": one.product, "price": 9.5}}
        for one in shopped()
    ]
    stored = [StoredRecord(json.dumps(event).encode(), NOON * 1000 + 10**6) for event in events]
    found = inferred(stored)
    clicks = Decoder(found.names, 60).decode(stored)
    assert clicks.users == [one.user for one in shopped()]
    assert clicks.products == [one.product for one in shopped()]


def test_a_product_that_is_none_is_left_out_and_has_no_click_rejected() -> None:
    stored = [
        StoredRecord(
            json.dumps(
                {"user_id": one.user, "event": "v", "timestamp": one.time, "product_id": {"de": 7.5}}
            ).encode(),
            millis(one),
        )
        for one in shopped()
    ]
    found = inferred(stored)
    assert len(Decoder(found.names, 60).decode(stored).users) == RECORDS


def test_what_records_come_in_is_told_and_what_is_none_is_named() -> None:
    click = json.dumps({"user_id": "u", "event": "view", "timestamp": NOON}).encode()
    values = [
        click,
        b"\0\0\0\0\x2a" + click,
        b"[" + click + b"," + click + b"]",
        b'{"events": [' + click + b"]}",
        b'{"op": "c", "after": ' + click + b"}",
        b'{"op": "d", "before": ' + click + b', "after": null}',
        b"\0\0\0\0\x07\x02\x06abc",
        b"not JSON",
        None,
    ]
    found = opened([StoredRecord(value, NOON * 1000) for value in values])
    assert found.forms == {
        "a JSON object": 1,
        "a JSON object in five bytes of a schema registry (schema 42)": 1,
        "a JSON object in a JSON array": 1,
        'a JSON object in a list "events"': 1,
        "a JSON object in Debezium's envelope": 1,
        "a change that is no click": 1,
    }
    assert len(found.specimens) == 6
    # What an envelope is around stands in the thing, and not a second time around it.
    assert {names[0] for one in found.specimens for layer in one.layers for names in layer} == {
        "user_id",
        "event",
        "timestamp",
        "op",
    }
    assert found.ignored == 2
    assert sum(found.closed.values()) == 2
    assert any("schema 7" in words for words in found.closed)


def test_a_few_events_that_are_none_leave_the_event_where_it_is() -> None:
    values = [
        {"user_id": one.user, "event": 5 if one.number % 20 == 0 else one.event, "timestamp": one.time}
        for one in shopped()
    ]
    stored = [StoredRecord(json.dumps(value).encode(), NOON * 1000) for value in values]
    event = inferred(stored).guesses["event"]
    assert event.setting == "event"
    assert event.doubts == (f"{RECORDS // 20} of {RECORDS} can be no event",)


@pytest.mark.parametrize("field", ["user_id", "event", "timestamp", "product_id", "more"])
def test_a_number_that_is_no_float_is_a_name_as_it_is_written(field: str) -> None:
    huge = 10**400
    values = [
        {"user_id": one.user, "event": one.event, "timestamp": one.time, "product_id": one.product}
        for one in shopped()
    ]
    values[0] = {**values[0], field: huge}
    stored = [StoredRecord(json.dumps(value).encode(), NOON * 1000) for value in values]
    assert inferred(stored).names == {name: name for name in ("user_id", "event", "timestamp", "product_id")}
    (first, *_) = opened(stored).specimens
    assert first.layers[0][field,] == str(huge)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_records_are_they_are_looked_at(seed: int) -> None:
    """Nothing that strangers send raises, and what is found has a decoder."""
    chance = random.Random(seed)

    def anything(depth: int = 3) -> Any:
        kind = chance.randrange(9 if depth else 6)
        if kind == 6:
            return [anything(depth - 1) for _ in range(chance.randrange(4))]
        if kind >= 7:
            names = (
                "user_id",
                "ts",
                "event",
                "",
                "@key",
                "a|b",
                "op",
                "after",
                "data",
                "records",
                "0",
                "é\n",
            )
            return {chance.choice(names): anything(depth - 1) for _ in range(chance.randrange(6))}
        return (
            None,
            True,
            chance.random() * 10**12,
            -5,
            "2026-03-10",
            chance.choice(("", "x" * 300, "{", "u")),
        )[kind]

    stored = [
        StoredRecord(
            json.dumps(anything()).encode() if chance.random() < 0.9 else chance.randbytes(9),
            NOON * 1000,
            chance.choice((None, b"\xff", b"k")),
            ((chance.choice(("a", "ce_specversion", "é|")), chance.choice((b"", b"1.0", b"\xff"))),),
        )
        for _ in range(60)
    ]
    specimens = opened(stored).specimens
    if specimens:
        found = infer(specimens, EVENTS, in_kafka=True)
        Decoder(found.names, 60, found.pattern).decode(stored)
