"""The rules topic: who may write there may write anything, and no worker dies of it."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import pytest

from clickwarden.audit.adoptions import adoptions_told
from clickwarden.detection import adoption
from clickwarden.detection.adoption import Adoption
from clickwarden.detection.rules import Rule
from clickwarden.detection.ruletest import Draft
from clickwarden.errors import SettingsError
from clickwarden.kafka.rulestopic import RulesTopic, adoption_key, change_of, written
from clickwarden.settings import Settings

OWNER = "0000000007/0000"
BOT = Draft(name="bot", window=60, threshold=50)

CHANGE = b'{"number":1,"rules":%s,"what":"%s","who":"eve","when":"now"}'
JUNK = {
    "a partition of many digits": (b"adopted/" + b"1" * 5000 + b"/0000000007/0000", b"[]"),
    "an owner in no UTF-8": (b"adopted/0/\xff", b"[]"),
    "an owner behind all": (b"adopted/0/zzz", b"[]"),
    "words in no UTF-8": (b"change/1/a", CHANGE % (b"[]", b"\xff")),
    "a rule in no UTF-8": (b"change/1/a", CHANGE % (b'[{"name":"\xff"}]', b"")),
    "a deep rule": (b"change/1/a", CHANGE % (b"[" * 100_000 + b"]" * 100_000, b"")),
    "a rule as deep as one parser reads": (b"change/1/a", CHANGE % (b"[" * 300 + b"]" * 300, b"")),
    "a deep beginning": (b"change/1/a", b'{"number":' * 100_000),
    "nothing": (b"change/1/a", None),
}


class Record(NamedTuple):
    """A record of the topic, as far as it is read."""

    offset: int
    key: bytes | None
    value: bytes | None


def holding(records: Sequence[tuple[bytes | None, bytes | None]]) -> RulesTopic:
    topic = RulesTopic(Settings(_env_file=None))
    topic._take([Record(offset, *record) for offset, record in enumerate(records)])  # noqa: SLF001
    return topic


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_is_left_out_and_what_follows_is_read(junk: tuple[bytes, bytes | None]) -> None:
    first = change_of(
        RulesTopic(Settings(_env_file=None)).book, written([BOT]), what="", who="", why="", now=0
    )
    told = adoption.dump([Adoption(0, (BOT.rule,))])
    topic = holding(
        [junk, (b"change/1/b", msgspec.json.encode(first)), (adoption_key(0, OWNER), told)],
    )
    assert topic.book.rules == (BOT.rule,)
    assert topic.adoptions.last == {0: Adoption(0, (BOT.rule,))}


@pytest.mark.parametrize(
    "value", [b"", b"[]", b"[[],[]]", b"[[],[[0,[5]]]]", b'[["\xff"],[]]', b"[" * 100_000, b"5"]
)
def test_what_no_worker_has_told_of_a_partition_is_no_adoption(value: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        adoption.load(value)


@pytest.mark.parametrize("value", [b"\xff", b"[]", b"[[],[[0,[5]]]]", b"[[5],[]]", b"[" * 100_000, b"5"])
def test_a_recount_says_that_it_cannot_read_it(value: bytes) -> None:
    with pytest.raises(SettingsError):
        adoptions_told([Record(0, adoption_key(0, OWNER), value)])  # type: ignore[list-item]


def test_a_recount_reads_nothing_of_other_keys() -> None:
    rules = (Rule(name="bot", window=60, threshold=50),)
    told = adoption.dump([Adoption(0, rules)])
    records = [Record(0, adoption_key(0, OWNER), told), *(Record(1, *junk) for junk in JUNK.values())]
    assert adoptions_told(records) == ({0: [(0, rules)]}, {0: []})  # type: ignore[arg-type]
