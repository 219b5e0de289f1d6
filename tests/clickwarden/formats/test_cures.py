"""Each record that cannot be counted is told what it is, and how it could be."""

import json
from typing import Any

import pytest

from clickwarden.formats.clicks import REASONS
from clickwarden.formats.cures import cure
from clickwarden.formats.requests import NO_REQUEST

OURS = {name: name for name in ("user_id", "event", "timestamp", "product_id")}
T = 1_773_152_400


def click(**fields: Any) -> bytes:
    return json.dumps({"user_id": "ann", "event": "view", "timestamp": T} | fields).encode()


def without(name: str, **fields: Any) -> bytes:
    return json.dumps(
        {key: value for key, value in json.loads(click(**fields)).items() if key != name}
    ).encode()


@pytest.mark.parametrize(
    ("reason", "value", "said"),
    [
        ("not_json", b"", "must be JSON in UTF-8, a click or an array"),
        ("not_json", b"\0\0\0\0\x2a{", "must be JSON"),
        ("not_json", b"\0\0\0\1\0\x0cann", "Avro or Protobuf behind the five bytes of a schema registry"),
        ("not_json", b"\0\0\0\1\0\x0cann", "(schema 256): CLICKWARDEN_REGISTRY_URL says where that is"),
        ("unknown_schema", b"\0\0\0\1\0\x0cann", "at CLICKWARDEN_REGISTRY_URL has no schema 256:"),
        ("unknown_schema", b"\x0cann", "before the value, and not into a header"),
        ("unusable_schema", b"\0\0\0\1\0\x0cann", "Values of schema 256 are not read"),
        ("not_as_schema", b"\0\0\0\1\0\x0cann", "It was not written by schema 256, which it names"),
        ("not_json", b"\x1f\x8b\x08", "compressed by its producer (gzip)"),
        ("not_json", b"\x28\xb5\x2f\xfd$", "compressed by its producer (zstd)"),
        ("not_json", click().decode().encode("utf-16"), "UTF-16: send UTF-8"),
        ("not_json", click().decode().encode("utf-16-le"), "UTF-16: send UTF-8"),
        ("not_json", b"\xef\xbb\xbf" + click(), "byte order mark"),
        ("not_json", b"shop\tweb\t2026-03-10", "a line of 3 fields with tabs between"),
        ("not_json", b"{'user_id': 'ann'}", "what Python prints of a dict"),
        (
            "not_json",
            b'203.0.113.9 - - [18/May/2015:08:05:43 +0000] "GET / HTTP/1.1" 200 17',
            "'faust -A app replay FILE'",
        ),
        ("not_object", b"17", "must be a JSON object, a click, or an array"),
        ("not_object", b'"x"', "a JSON text that holds no JSON object"),
        ("missing_field", without("user_id", uid="u"), "did you mean CLICKWARDEN_FIELD_USER_ID=uid?"),
        ("missing_field", without("user_id", User_Id="u"), "did you mean CLICKWARDEN_FIELD_USER_ID=User_Id?"),
        ("missing_field", without("user_id", usr_id="u"), "did you mean CLICKWARDEN_FIELD_USER_ID=usr_id?"),
        (
            "missing_field",
            without("user_id", userId=None, anonymousId="a"),
            "did you mean CLICKWARDEN_FIELD_USER_ID=anonymousId?",
        ),
        ("missing_field", without("event", type="view"), "did you mean CLICKWARDEN_FIELD_EVENT=type?"),
        ("missing_field", without("timestamp", ts=T), "did you mean CLICKWARDEN_FIELD_TIMESTAMP=ts?"),
        ("missing_field", without("timestamp", ts=None), "There is no timestamp: CLICKWARDEN_FIELD_"),
        ("missing_field", b'{"data": {"user_id": "ann"}}', "mean CLICKWARDEN_FIELD_USER_ID=data.user_id?"),
        (
            "missing_field",
            b'{"a": {"userId": 7}, "anonymousId": "x"}',
            "mean CLICKWARDEN_FIELD_USER_ID=a.userId|anonymousId?",
        ),
        ("missing_field", b"shop\tweb" + b"\t" * 20, "USER_ID=user_id|domain_userid|network_userid and "),
        ("missing_field", b"{}", "A click needs user_id, event and timestamp"),
        ("missing_field", b"", "A click needs user_id, event and timestamp"),
        ("wrong_field", click(user_id=4.5), "must be text or a whole number, and is a number"),
        ("wrong_field", click(user_id=[], sid=1, ip="::1"), "mean CLICKWARDEN_FIELD_USER_ID=ip?"),
        ("missing_field", click(user_id=None), "There is no user_id: CLICKWARDEN_FIELD_USER_ID says where"),
        ("wrong_field", click(user_id=True), "must be text or a whole number, and is true or false."),
        ("wrong_field", click(event=["view"]), "event must be text, and is a list"),
        ("wrong_field", click(timestamp={"$date": 1}), "mean CLICKWARDEN_FIELD_TIMESTAMP=timestamp.$date?"),
        ("wrong_field", click(timestamp=True), "must be a number or text and is true or false"),
        ("wrong_field", click(product_id=1.5), "must be text, a whole number, or left out, and is a number"),
        ("empty_user_id", click(user_id="", ip="203.0.113.9"), "did you mean CLICKWARDEN_FIELD_USER_ID=ip?"),
        ("empty_user_id", click(user_id=""), "user_id is empty: send who it was"),
        ("huge_user_id", click(user_id="u" * 257), "user_id may have 256 characters"),
        ("huge_event", click(event="e" * 65), "event may have 64 characters"),
        ("bad_timestamp", click(timestamp=1773152.4), "in 1970, as if divided once too often"),
        ("bad_timestamp", click(timestamp="10/Mar/2026:14:20:00 +0000"), "_FORMAT=%d/%b/%Y:%H:%M:%S %z"),
        ("bad_timestamp", click(timestamp="Tue, 10 Mar 2026 14:20:00 GMT"), "=%a, %d %b %Y %H:%M:%S GMT"),
        ("bad_timestamp", click(timestamp="20260310142000"), "CLICKWARDEN_TIMESTAMP_FORMAT=%Y%m%d%H%M%S"),
        ("bad_timestamp", click(timestamp=-5), "must be a moment from 1971 on"),
        ("future", click(timestamp=T + 3600), "clock or time zone is wrong"),
        ("uncounted", click(), "CLICKWARDEN_LATE_LIMIT"),
        (NO_REQUEST, b"?", "neither the common or the combined log format"),
        ("a reason of a newer version", b"?", ""),
    ],
)  # fmt: skip
def test_it_says_what_to_do(reason: str, value: bytes, said: str) -> None:
    text = cure(reason, value, OURS)
    assert said in text
    assert bool(text) == bool(said)


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("value", [b"", b"\xff\0", b"{", b"[]", b"{}", b"null", b"[" * 100_000, click()])
def test_there_is_a_word_on_every_reason_whatever_the_record(reason: str, value: bytes) -> None:
    assert cure(reason, value, OURS) or reason == "wrong_field"


def test_it_speaks_of_the_names_the_topic_has() -> None:
    names = OURS | {"user_id": "uid", "timestamp": "ts"}
    assert cure("missing_field", without("user_id"), names).startswith("There is no uid:")
    assert cure("bad_timestamp", b'{"ts": 5}', names).startswith("ts would be in 1970")
    names |= {"user_id": "user.id|@key"}
    assert "_USER_ID=context.user.id?" in cure("missing_field", b'{"context": {"user": {"id": 1}}}', names)


def test_a_record_of_many_names_is_looked_through_in_little_time() -> None:
    wide = json.dumps({f"n{number}": {f"m{number}": {}} for number in range(300)}).encode()
    assert "There is no user_id" in cure("missing_field", wide, OURS)
