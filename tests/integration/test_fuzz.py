"""10,000 records that a fuzzer made up, through a real worker: none harms it, each is accounted for.

SEED= repeats the records of a run before.
"""

import json
import os
import secrets
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from clickwarden.audit.oracle import recount
from clickwarden.detection import rulesfile
from clickwarden.formats.clicks import REASONS
from tests.site import Site, click, clicks, window_before

RECORDS = 10_000
SEED = int(os.environ.get("SEED", secrets.randbelow(10_000)))
T = window_before(time.time())
ATTACK = 61

NAMES = ("user_id", "event", "timestamp", "product_id")
numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 1e11, 1e11 - 1, 1e300, 10**400, 2**53 + 1, T, T * 1000, T + 0.999999]),
)
moments = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(["", "now", "2023-02-30", "2023-W01-1", "20230101T000000+2359", "2023-01-01T24:00"]),
)
texts = st.one_of(st.text(max_size=20), st.sampled_from(["", "u" * 256, "ü" * 257, "\ud800", "\x00", '"[{']))
scalars = st.one_of(st.none(), st.booleans(), numbers, texts, moments)
values = st.one_of(
    scalars,
    scalars,
    st.lists(scalars, max_size=2),
    st.dictionaries(texts, scalars, max_size=2),
)
good = {"user_id": st.text(min_size=1, max_size=9), "event": st.just("view"), "timestamp": st.just(T)}


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """Clicks with strange fields in them, missing ones, and names given twice."""
    strange = draw(st.sampled_from([(), (), *((name,) for name in NAMES[:3]), NAMES]))
    pairs = [(name, draw(values if name in strange else good[name])) for name in NAMES[:3]]
    pairs += draw(st.lists(st.tuples(st.sampled_from(NAMES) | texts, values), max_size=2))
    cut = draw(st.integers(0, len(pairs)))
    pairs = (pairs[cut:] + pairs[:cut])[draw(st.sampled_from([0, 0, 0, 1])) :]
    escape, space = draw(st.booleans()), draw(st.sampled_from(["", " ", "\n\t"]))
    dump: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=escape).encode
    fields = (f"{dump(name)}:{space}{dump(value)}" for name, value in pairs)
    return ("{" + f",{space}".join(fields) + "}").encode(errors="surrogatepass")


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Clicks with some bytes replaced, put in or taken out."""
    value = bytearray(draw(objects()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(value)))
        bytes_ = draw(st.sampled_from([b"", b"\xff", b"\\u", b'"', b"}", b"[", b"\xed\xa0\x80", b"1e9"]))
        value[at : at + draw(st.integers(0, 3))] = bytes_
    return bytes(value)


nested = st.builds(
    lambda depth, opening, closing: (
        b'{"user_id":"u","event":"e","timestamp":%d,"x":%b1%b}' % (T, opening * depth, closing * depth)
    ),
    st.integers(150, 1100),
    st.sampled_from([b"[", b'{"a":']),
    st.sampled_from([b"]", b"}"]),
)
records = st.one_of(objects(), objects(), mutants(), nested, st.binary(max_size=40), st.none())


def fuzzed() -> list[bytes | None]:
    """The records of the seed."""
    found: list[bytes | None] = []

    @seed(SEED)
    @settings(
        max_examples=RECORDS,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(records)
    def collect(value: bytes | None) -> None:
        found.append(value)

    collect()
    return found


def test_fuzzed_records(site: Callable[..., Site]) -> None:
    print(f"again: SEED={SEED} .venv/bin/python -m pytest {__file__}")
    topic = site()
    worker = topic.start()
    fuzz, attack = fuzzed(), clicks("eve", ATTACK, T, T + 59)
    half = RECORDS // 2
    topic.send(*attack[:20], *fuzz[:half], *attack[20:40], *fuzz[half:], *attack[40:], click("ann", T + 65))
    topic.await_counted(worker)

    verdict = topic.verdict()
    assert verdict.ok, verdict.examples
    assert verdict.accounted
    assert verdict.produced == RECORDS + ATTACK + 1
    status = worker.partitions()[0]
    assert (status["accepted"], status["late"], status["ignored"]) == (
        verdict.accepted,
        verdict.late,
        verdict.ignored,
    )
    assert ("eve", ATTACK) in [(each["user_id"], each["count"]) for each in topic.anomalies("closed")]

    refused = {int(copy.about["offset"]) for copy in topic.rejected()}
    known = rulesfile.load(topic.settings.rules)
    for record in topic.clicks():  # each by itself: two errors cannot make up for each other
        no_click = recount({0: [record]}, topic.settings, known).rejected > 0
        assert no_click == (record.offset in refused), record.value
    assert len(refused) == sum(status["rejected"].values()) == verdict.rejected
    assert len(status["rejected"]) > len(REASONS) / 2
