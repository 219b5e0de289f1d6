"""The decoder: what a click is, and that neither company nor chance changes the answer."""

import gc
import json
import weakref
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clickwarden.audit import reading
from clickwarden.detection.clicks import Clicks
from clickwarden.errors import ClickError
from clickwarden.formats.clicks import REASONS, Decoder
from clickwarden.formats.json import DEPTH_MAX
from clickwarden.formats.timestamps import seconds
from clickwarden.settings import Settings

T = 1_600_000_000
RECEIVED = 1_700_000_000_000  # milliseconds
good = [("user_id", '"ann"'), ("event", '"view"'), ("timestamp", str(T))]
SETTINGS = Settings(_env_file=None, max_skew=60)
READER = reading.Reader(SETTINGS)
DECODER = Decoder(SETTINGS.field_names, SETTINGS.max_skew)


@dataclass(frozen=True)
class Record:
    value: bytes | None
    offset: int = 0
    timestamp: int = RECEIVED
    timestamp_type: int = 1
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def decode(*values: bytes | None) -> Clicks:
    return DECODER.decode([Record(value, offset) for offset, value in enumerate(values)])


def click(**fields: Any) -> bytes:
    return json.dumps({"user_id": "ann", "event": "view", "timestamp": T} | fields).encode()


def text(*fields: tuple[str, str]) -> bytes:
    """An object of names and JSON texts, in this order, twice the same name if need be."""
    return ("{" + ",".join(f'"{name}":{literal}' for name, literal in fields) + "}").encode()


# -- what a click is ----------------------------------------------------------------------------------


def test_a_run_becomes_columns() -> None:
    clicks = decode(
        click(), click(user_id="bob", event="cart", product_id="p", timestamp=T + 1.5), click(product_id=7)
    )
    assert (clicks.users, clicks.events) == (["ann", "bob", "ann"], ["view", "cart", "view"])
    assert (clicks.products, clicks.times.tolist()) == ([None, "p", 7], [T, T + 1.5, T])
    assert (clicks.rejected, clicks.ignored, clicks.records) == ([], 0, None)


def test_an_empty_run_has_no_clicks() -> None:
    assert (decode().users, decode().times.tolist()) == ([], [])


def test_each_click_knows_its_record_among_bad_ones() -> None:
    clicks = decode(b"{", click(user_id="ann"), None, click(user_id="bob"), b"17")
    assert clicks.records is not None
    assert clicks.records.tolist() == [1, 3]
    assert [(each.offset, each.reason) for each in clicks.rejected] == [
        (0, "not_json"),
        (4, "not_object"),
    ]
    assert clicks.ignored == 1


def test_a_rejected_record_keeps_nothing_of_its_run() -> None:
    run = [Record(click()), Record(b"{", 1), Record(click(timestamp=-1), 2)]
    good = weakref.ref(run[0])
    gc.disable()
    try:
        clicks = DECODER.decode(run)
        del run
        assert good() is None
        assert len(clicks.rejected) == 2
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("timestamp", "moment"),
    [
        (0, None),
        (31_535_999.999, None),  # 1970: divided once too often
        (31_536_000, 31_536_000),
        ("1970-12-31T23:59:59Z", None),
        (T, T),
        (T + 0.25, T + 0.25),
        (99_999_999_999, None),
        (100_000_000_000, 100_000_000),
        (T * 1000 + 250, T + 0.25),
        (RECEIVED / 1000 + 60, RECEIVED / 1000 + 60),
        (RECEIVED + 60_000, RECEIVED / 1000 + 60),
        (RECEIVED / 1000 + 60.001, None),
        ("2020-09-13T12:26:40Z", T),
        ("2020-09-13T12:26:40", T),
        ("2020-09-13 14:26:40.250+02:00", T + 0.25),
        ("1969-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("", None),
        (-0.001, None),
    ],
)
def test_a_timestamp_is_one_point_in_time_whoever_is_beside_it(
    timestamp: float | str, moment: float | None
) -> None:
    expected = [] if moment is None else [moment]
    assert decode(click(timestamp=timestamp)).times.tolist() == expected
    assert decode(click(timestamp=timestamp), b"{").times.tolist() == expected


def test_the_record_that_arrived_first_is_judged_by_its_own_arrival() -> None:
    early, late = RECEIVED - 3_600_000, RECEIVED
    value = click(timestamp=RECEIVED / 1000)
    clicks = DECODER.decode([Record(value, 0, late), Record(value, 1, early), Record(value, 2, late)])
    assert [(each.offset, each.reason) for each in clicks.rejected] == [(1, "future")]


@pytest.mark.parametrize("timestamp", [float("nan"), float("inf"), -1.0, "nan", "tomorrow"])
def test_what_is_no_point_in_time(timestamp: float | str) -> None:
    with pytest.raises(ClickError) as refused:
        seconds(timestamp)
    assert refused.value.reason == "bad_timestamp"


def test_a_time_with_a_year_of_five_digits_is_none_though_kafkas_clock_says_the_same() -> None:
    far = 3 * 10**11  # in nanoseconds, for as milliseconds it would be microseconds
    clicks = DECODER.decode([Record(click(timestamp=far * 10**9), 0, far * 1000 + 1), Record(click())])
    assert [(each.offset, each.reason) for each in clicks.rejected] == [(0, "bad_timestamp")]


def test_names_are_those_of_the_settings() -> None:
    names: dict[str, Any] = {
        "field_user_id": "uid",
        "field_event": "what",
        "field_product_id": "item",
        "field_timestamp": "ts",
    }
    decoder = Decoder(Settings(_env_file=None, **names).field_names, skew=60.0)
    value = text(("uid", '"ann"'), ("what", '"view"'), ("item", "7"), ("ts", str(T)), ("user_id", "0"))
    clicks = decoder.decode([Record(value)])
    assert (clicks.users, clicks.events, clicks.products) == (["ann"], ["view"], [7])
    (rejected,) = decoder.decode([Record(click())]).rejected
    assert (rejected.reason, rejected.detail) == ("missing_field", "uid")


def test_two_fields_may_stand_in_one_place() -> None:
    names = SETTINGS.field_names | {"event": "user_id"}
    clicks = Decoder(names, skew=60.0).decode([Record(click()), Record(click())])
    assert clicks.events == clicks.users
    assert len(clicks.users) == 2


def test_of_a_name_given_twice_the_last_counts() -> None:
    assert decode(text(*good, ("user_id", '"bob"'))).users == ["bob"]
    assert decode(text(("user_id", "[]"), *good)).users == ["ann"]
    assert decode(text(*good, ("user_id", "[]"))).users == []


# -- whatever arrives ---------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-2, 2**70).map(str),
    st.floats().map(repr),
    st.sampled_from(
        ["1e400", "-0", "-0.0", "1e11", "99999999999.9", "1.0", "01", "1.", ".5", "+1", "1E5", "NaN"]
    ),
    st.sampled_from([f"{RECEIVED // 1000 + 60}", f"{RECEIVED // 1000 + 60}.0001", f"{RECEIVED + 60_000}"]),
    st.integers(1, 5000).map("1".__mul__),
)
DATES = ["2020-09-13", "20200913T122640Z", "2020-W37-7", "2020-09-13T12:26:40,5Z", "2020-09-13T24:00"]
moments = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}Z"),
    st.sampled_from(DATES),
).map(json.dumps)
ESCAPES = [r'"\ud800"', r'"\udc00\ud800"', r'"\ud83d\ude00"', r'"\u0000"', r'"\x"', r'"\/"', '"\t"', '""']
strings = st.one_of(
    st.text(max_size=8).map(json.dumps),
    st.text(max_size=8).map(lambda value: json.dumps(value, ensure_ascii=False)),
    st.sampled_from(ESCAPES),
    st.builds(
        lambda kind, size: json.dumps(kind * size),
        st.sampled_from("aä😀"),
        st.sampled_from([64, 65, 256, 257]),
    ),
)
others = st.sampled_from(["null", "true", "false", "[]", "{}", "[1,[2]]", '{"a":{"a":1}}', "", "nul", "[1,]"])
literals = st.one_of(numbers, strings, moments, others)
names = st.sampled_from(["user_id", "event", "timestamp", "product_id", "other", ""])


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """A click that was tampered with: fields changed, removed, added, in any order."""
    fields = dict(each for each in good if draw(st.integers(0, 9)))
    fields |= draw(st.dictionaries(names, literals, max_size=3))
    value = text(*draw(st.permutations(list(fields.items()))))
    return (
        draw(st.sampled_from([b"", b" ", b"\n"])) + value + draw(st.sampled_from([b"", b" ", b"\x00", b","]))
    )


@st.composite
def likely(draw: st.DrawFn) -> bytes:
    """A click in which one field holds anything of its own kind."""
    kinds = {"user_id": strings, "event": strings, "timestamp": numbers | moments, "product_id": literals}
    name = draw(st.sampled_from(sorted(kinds)))
    return text(*(dict(good) | {name: draw(kinds[name])}).items())


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A click with a few characters put in place of others."""
    value, at = click(product_id="ä"), draw(st.integers(0, 60))
    put = draw(st.text(max_size=4).map(str.encode) | st.binary(max_size=3))
    return value[:at] + put + value[at + draw(st.integers(0, 4)) :]


@st.composite
def doubled(draw: st.DrawFn) -> bytes:
    """A click that gives a name twice."""
    fields = [*good, (draw(names), draw(literals))]
    return text(*draw(st.permutations(fields)))


values = st.one_of(likely(), objects(), doubled(), broken(), st.binary(max_size=40), literals.map(str.encode))


@given(values)
@example(text(*good, ("event", "5")))
@example(text(*good, ("user_id", '"bob"')))
@example(text(*good, ("product_id", "1.0")))
@example(text(*good, ("product_id", "1" * 40)))
@example(text(*good, ("product_id", "1" * 5000)))
@example(text(*good, ("other", "1e400")))
@example(text(*good, ("other", "NaN")))
@example(text(*good, ("other", '"\\ud800"')))
@example(text(("user_id", "5"), *good))
@example(text(*good, ("other", '"x"')).replace(b'"x"', b'"\xff"'))
@example(text(*good).replace(b"ann", b"\xff"))
@example(b"\xef\xbb\xbf" + text(*good))
@example(text(*good).decode().encode("utf-16"))
def test_the_recount_decodes_by_other_means_and_reads_the_same(value: bytes) -> None:
    """Same verdict, same user, event and second: else the oracle would judge by another truth."""
    clicks = decode(value)
    theirs = [thing[:3] for thing in READER.read(Record(value)) if isinstance(thing, reading.Click)]
    ours: list[tuple[Any, ...]] = [*zip(clicks.users, clicks.events, clicks.times.tolist(), strict=True)]
    assert ours == theirs


@given(st.lists(st.one_of(values, st.just(click()), st.none()), max_size=6))
def test_a_record_is_decoded_the_same_alone_and_among_others(run: list[bytes | None]) -> None:
    together = decode(*run)
    alone = [decode(value) for value in run]
    for column in ("users", "events", "products"):
        assert getattr(together, column) == [value for each in alone for value in getattr(each, column)]
    assert together.times.tolist() == [time for each in alone for time in each.times.tolist()]
    assert together.ignored == sum(each.ignored for each in alone)
    assert [(each.offset, each.element, each.reason, each.detail) for each in together.rejected] == [
        (position, each.element, each.reason, each.detail)
        for position, clicks in enumerate(alone)
        for each in clicks.rejected
    ]
    assert {each.reason for each in together.rejected} <= REASONS.keys()
    held = len(run) if together.sizes is None else together.sizes.sum()
    assert len(together.users) + len(together.rejected) + together.ignored == held >= len(run)


def nested(depth: int, opening: str, inner: str) -> bytes:
    """A click that is nested so deep."""
    closing = {"[": "]", '{"a":': "}"}[opening]
    return text(*good, ("other", opening * (depth - 1) + inner + closing * (depth - 1)))


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("inner", ["1", '"\\u0041"', '"[{"', '"\\"[[["'])
def test_so_deep_and_no_deeper_whatever_stands_in_its_texts(opening: str, inner: str) -> None:
    for depth, read in ((DEPTH_MAX, True), (DEPTH_MAX + 1, False)):
        value = nested(depth, opening, inner)
        clicks = decode(value, click())
        assert len(clicks.users) == 1 + read
        assert [each.reason for each in clicks.rejected] == ([] if read else ["not_json"])
        assert isinstance(READER.read(Record(value))[0], reading.Click) == read


@pytest.mark.parametrize(
    "opening", [b"[", b'{"a":', b'{"user_id":"ann","event":"view","timestamp":1,"other":[[']
)
def test_no_depth_is_too_much(opening: bytes) -> None:
    assert [each.reason for each in decode(opening * 100_000).rejected] == ["not_json"]
