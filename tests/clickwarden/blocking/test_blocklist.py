"""Who is on the list, and who is not."""

import json
from random import Random
from typing import Any

from clickwarden.blocking.block import Terms
from clickwarden.blocking.blocklist import TOLD_SECONDS, BlockedUsers, Listing
from clickwarden.times import isotime

NOW = 1_800_000_000.0
HOUR = 3600.0
TERMS = Terms(severity="high", first=4 * HOUR, most=48 * HOUR)


def record(user_id: str, ago: float = 600.0, incident_id: str = "", **more: Any) -> bytes:
    """An incident as it is in the topic, whose last click was so many seconds ago."""
    fields = {
        "incident_id": incident_id or f"{user_id} {ago}",
        "user_id": user_id,
        "rule": "bot",
        "severity": "high",
        "since": isotime(NOW - ago - 60),
        "last_seen": isotime(NOW - ago),
        "window": 60,
    }
    return json.dumps(fields | more).encode()


def made(*records: bytes, terms: Terms = TERMS, **more: Any) -> BlockedUsers:
    blocklist = BlockedUsers(terms, **{"spared": lambda incident_id: False} | more)
    for each in records:
        blocklist.take(each)
    return blocklist


async def look(blocklist: BlockedUsers, now: float = NOW, allowed: str = "") -> Listing:
    return await blocklist.look(lambda user_id: user_id == allowed, now)


def values(listing: Listing) -> list[str]:
    return [block.target.value for block in listing.blocks]


async def test_it_is_until_hours_after_the_last_click() -> None:
    blocklist = made(record("203.0.113.9"), record("eve", ago=700))
    listing = await look(blocklist)
    assert values(listing) == ["203.0.113.9", "eve"]
    (block, _) = listing.blocks
    assert (block.since, block.until, block.times) == (NOW - 660, NOW - 600 + 4 * HOUR, 1)
    assert values(await look(blocklist, NOW - 600 + 4 * HOUR - 1)) == ["203.0.113.9"]
    assert values(await look(blocklist, NOW - 600 + 4 * HOUR)) == []


async def test_who_is_not_blocked() -> None:
    listing = await look(
        made(
            record("203.0.113.1", severity="medium"),
            record("203.0.113.2", shadow=True),
            record("203.0.113.3", allowed="a monitor"),
            record("203.0.113.4", ago=4 * HOUR),
            record("203.0.113.5"),
            record("203.0.113.6", severity="critical"),
            record("203.0.113.7", incident_id="human"),
            spared=lambda incident_id: incident_id == "human",
        ),
        allowed="203.0.113.5",
    )
    assert values(listing) == ["203.0.113.6"]
    # Those that a bouncer may have been told of before are told of as over.
    assert {block.target.value for block in listing.over} == {f"203.0.113.{n}" for n in (3, 4, 5, 7)}


async def test_who_is_found_human_is_blocked_no_more_and_no_longer_for_it() -> None:
    human: set[str] = set()
    blocklist = made(
        record("203.0.113.9", ago=20 * HOUR, incident_id="a"),
        record("203.0.113.9", incident_id="b"),
        spared=human.__contains__,
    )
    assert [block.times for block in (await look(blocklist)).blocks] == [2]
    human.add("a")
    blocklist.reconsider("a")
    assert [block.times for block in (await look(blocklist)).blocks] == [1]
    human.add("b")
    blocklist.reconsider("b")
    blocklist.reconsider("of nobody")
    listing = await look(blocklist)
    assert (listing.blocks, [block.target.value for block in listing.over]) == ([], ["203.0.113.9"])


async def test_an_address_that_is_allowed_is_however_it_is_written() -> None:
    blocklist = made(record("::ffff:203.0.113.9"), record("203.0.113.9"))
    assert values(await look(blocklist, allowed="203.0.113.9")) == []


async def test_an_incident_grows_and_what_was_said_of_it_before_is_replaced() -> None:
    blocklist = made(record("203.0.113.9", incident_id="a", severity="low"))
    assert values(await look(blocklist)) == []
    blocklist.take(record("203.0.113.9", ago=300, incident_id="a"))
    assert [block.until for block in (await look(blocklist)).blocks] == [NOW - 300 + 4 * HOUR]
    blocklist.take(record("203.0.113.9", ago=0, incident_id="a", allowed="it is ours"))
    assert values(await look(blocklist)) == []


async def test_private_networks_are_left_out_unless_they_are_wanted() -> None:
    users = "10.0.0.1", "::ffff:192.168.0.1", "127.0.0.1", "fd00::1", "203.0.113.9"
    listing = await look(made(*map(record, users)))
    assert (values(listing), listing.left_out) == (["203.0.113.9"], {"private": 4})
    wanted = Terms(severity="high", first=4 * HOUR, most=HOUR * 8, private=True)
    listing = await look(made(*map(record, users), terms=wanted))
    assert sorted(values(listing)) == ["10.0.0.1", "192.168.0.1", "203.0.113.9", "fd00::1"]
    assert listing.left_out == {"private": 1}
    assert listing.over == []


async def test_one_address_in_several_writings_is_one_block_the_longest() -> None:
    listing = await look(
        made(
            record("203.0.113.9", ago=600),
            record("::ffff:203.0.113.9", ago=300),
            record("2001:db8::9", ago=100),
            record("2001:DB8:0::9", ago=5 * HOUR),
        )
    )
    assert [(block.target.value, NOW + 4 * HOUR - block.until) for block in listing.blocks] == [
        ("2001:db8::9", 100),
        ("203.0.113.9", 300),
    ]
    assert listing.over == []


async def test_of_too_many_the_severest_are_listed_and_the_rest_counted() -> None:
    blocklist = made(
        *(record(f"203.0.113.{n}", ago=n) for n in range(1, 9)),
        record("203.0.113.99", ago=3 * HOUR, severity="critical"),
        most=4,
    )
    listing = await look(blocklist)
    assert values(listing) == ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.99"]
    assert listing.left_out == {"many": 5}
    assert sorted(block.target.value for block in listing.over) == [f"203.0.113.{n}" for n in range(4, 9)]


async def test_the_same_records_in_any_order_make_the_same_list() -> None:
    random = Random(1)
    records = [
        record(f"203.0.113.{random.randrange(40)}", ago=random.uniform(0, 9 * 24 * HOUR), severity=severity)
        for severity in ("medium", "high", "critical")
        for _ in range(200)
    ]
    expected = await look(made(*records))
    for _ in range(5):
        random.shuffle(records)
        listing = await look(made(*records, *random.choices(records, k=50)))
        assert listing == expected._replace(over=listing.over)
        assert sorted(listing.over) == sorted(expected.over)


async def test_what_is_no_incident_is_passed_over() -> None:
    garbage = [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b"9" * 70_000,
        record("u", since="yesterday"),
        record("u", severity="x"),
    ]
    blocklist = made(*garbage, record("203.0.113.9"))
    blocklist.take(None)
    assert values(await look(blocklist)) == ["203.0.113.9"]


async def test_no_more_is_kept_than_is_to_be() -> None:
    blocklist = made(*(record(f"203.0.113.{n}", ago=n) for n in range(100)), keep=10)
    assert values(await look(blocklist)) == [f"203.0.113.{n}" for n in range(90, 100)]


async def test_what_is_over_is_told_of_for_a_day() -> None:
    blocklist = made(record("203.0.113.9", ago=0))
    end = NOW + 4 * HOUR
    for now, told in ((end - 1, 0), (end, 1), (end + TOLD_SECONDS - 1, 1), (end + TOLD_SECONDS, 0)):
        assert len((await look(blocklist, now)).over) == told
