"""Who is on the allow-list: found as somebody would who tries every entry, of every edition of it."""

import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from clickwarden.audit.allowed import Lists
from clickwarden.detection import amendment
from clickwarden.detection.allowlist import Allowance, AllowList, Members
from clickwarden.detection.members import (
    AllowanceError,
    network_of,
    prefix_of,
    reason_of,
    until_after,
    until_of,
    user_of,
)
from clickwarden.errors import SettingsError
from clickwarden.sources.published import parse
from clickwarden.times import epoch, isotime
from tests.site import ReadRecord

NOW = 1_600_000_000


class Step(NamedTuple):
    """One change."""

    removed: Members
    added: Allowance


names = st.text("ab", min_size=1, max_size=3)
addresses = st.sampled_from(
    ["203.0.113.7", "203.0.113.9", "::ffff:203.0.113.7", "2001:db8::1", "2001:db8:0:1::1"]
)
networks = st.sampled_from(
    [
        "203.0.113.0/24",
        "203.0.113.7/32",
        "203.0.113.8/29",
        "2001:db8::/32",
        "2001:db8::/64",
        "2001:db8::1/128",
    ]
)
few = st.lists(names, max_size=2)
members = st.builds(
    Members, users=st.lists(st.one_of(names, addresses), max_size=2), prefixes=few,
    networks=st.lists(networks, max_size=2),
)  # fmt: skip
allowances = st.builds(
    lambda members, reason, until: Allowance(
        **msgspec.structs.asdict(members), reason=reason, until=isotime(until) if until else ""
    ),
    members, st.sampled_from("xyz"), st.sampled_from([0, NOW, NOW + 60]),
)  # fmt: skip
steps = st.lists(st.builds(Step, members, allowances), max_size=5)
users = st.one_of(names, addresses, st.sampled_from(["2001:db8::/64", "2001:db8::/16", "203.0.113.7/x", ""]))


def record(number: int, step: Step) -> ReadRecord:
    change = {"number": number, "rules": [], "what": "", "who": "", "when": "", "disallow": [step.removed]}
    value = msgspec.json.encode(change | {"allow": [step.added]})
    return ReadRecord(0, number, 0, 1, f"change/{number}/0a".encode(), value, ())


def address_of(user: str) -> tuple[int, int, int] | None:
    """Family, value, and bits that count."""
    address, slash, bits = user.partition("/")
    try:
        found = ip_address(address)
        length = int(bits) if slash else found.max_prefixlen
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped and length == 128:
        return 4, int(found.ipv4_mapped), 32
    return found.version, int(found), length


def slowly(history: list[Step], user: str, start: int) -> str:
    """Every entry tried, one after the other."""
    entries: dict[tuple[str, str], Allowance] = {}
    for removed, added in history:
        for kind in ("users", "prefixes", "networks"):
            for name in getattr(removed, kind):
                entries.pop((kind, name), None)
            entries.update({(kind, name): added for name in getattr(added, kind)})
    found: list[tuple[int, int, str]] = []
    for (kind, name), entry in entries.items():
        if entry.until and start >= epoch(entry.until):
            continue
        if kind == "users" and user == name:
            found.append((3, 0, entry.reason))
        if kind == "prefixes" and user.startswith(name):
            found.append((2, len(name), entry.reason))
        if kind == "networks" and (address := address_of(user)):
            network = ip_network(name)
            inside = network.version == address[0] and network.prefixlen <= address[2]
            if inside and int(network.network_address) <= address[1] <= int(network.broadcast_address):
                found.append((1, network.prefixlen, entry.reason))
    return max(found)[2] if found else ""


@given(steps, users, st.sampled_from([NOW - 60, NOW, NOW + 30, NOW + 60]))
@examples(max_examples=400)
def test_list_recount_and_trying_every_entry_agree_of_every_edition(
    history: list[Step], user: str, start: int
) -> None:
    allow_list = AllowList()
    for number, step in enumerate(history, 1):
        allow_list.take(number, [step.removed], [step.added])
    lists = Lists([record(number, step) for number, step in enumerate(history, 1)])
    for number in range(len(history) + 1):
        expected = slowly(history[:number], user, start)
        assert allow_list.reason(number, user, isotime(start)) == expected
        assert lists.reason(number, user, start) == expected


def test_an_entry_that_cannot_be_read_leaves_the_list_as_it_was() -> None:
    allow_list = AllowList()
    allow_list.take(1, [], [Allowance(users=["eve"], reason="x")])
    with pytest.raises(ValueError, match="is no network"):
        allow_list.take(2, [Members(users=["eve"])], [Allowance(networks=["203.0.113.0"], reason="x")])
    assert (allow_list.number, allow_list.reason(2, "eve", "")) == (1, "x")


def test_what_is_listed_is_who_is_on_it() -> None:
    allow_list = AllowList()
    allow_list.take(
        1, [], [Allowance(users=["eve"], networks=["2001:db8::/32", "203.0.113.0/24"], reason="x")]
    )
    allow_list.take(2, [Members(users=["eve"])], [Allowance(prefixes=["mon-"], reason="y")])
    assert [(term.since, term.reason, members) for term, members in allow_list.listed().items()] == [
        (1, "x", Members(networks=["2001:db8::/32", "203.0.113.0/24"])), (2, "y", Members(prefixes=["mon-"])),
    ]  # fmt: skip


def test_a_look_among_100_000_networks_takes_no_longer_than_among_few() -> None:
    def seconds(count: int) -> float:
        allow_list = AllowList()
        given = [f"10.{number >> 8 & 255}.{number & 255}.0/{24 + number % 4}" for number in range(count)]
        allow_list.take(1, [], [Allowance(networks=given, reason="x")])
        begin = time.process_time()
        for number in range(2000):
            allow_list.reason(1, f"192.0.2.{number % 250}", "")
        return time.process_time() - begin

    assert min(seconds(100_000) for _ in range(3)) < 5 * min(seconds(100) for _ in range(3))


def test_what_people_write_wrong_is_said_in_a_sentence() -> None:
    for call, words in (
        (lambda: user_of(""), "1 to 256 characters, and this one 0"),
        (lambda: user_of("x" * 257), "this one 257"),
        (lambda: prefix_of(""), "everybody would be allowed"),
        (lambda: prefix_of("mon-*"), r"leave the \* out: 'mon-'"),
        (lambda: network_of("203.0.113.1/24"), "write 203.0.113.0/24 for the network, or 203.0.113.1 for"),
        (lambda: network_of("::/0"), "holds every address"),
        (lambda: network_of("::ffff:0:0/96"), "holds every address"),
        (lambda: network_of("shop"), "'shop' is no network"),
        (lambda: reason_of(None), "say why"),
        (lambda: reason_of("x" * 201), "has 201 characters; say why in 1 to 200"),
        (lambda: until_of("tomorrow", NOW), "until: 'tomorrow' is no time"),
        (lambda: until_after("0d", NOW), "for: '0d' is no time"),
        (lambda: until_of("2020-01-01", NOW), "is over"),
        (lambda: until_of("9999-12-31T23:59:59.5Z", NOW), "is no time"),
        (lambda: until_after("999999w", NOW), "is no time"),
        (lambda: parse(b"{}", "f.json"), "f.json: is no list of networks"),
        (lambda: parse(b"[" * 100_000, "f.json"), "f.json: is no list of networks"),
        (lambda: parse(b'{"prefixes": []}', "f.json"), "f.json: holds no network"),
        (lambda: parse(b'{"prefixes": [{"ipv4Prefix": "0.0.0.0/0"}]}', "f"), "f: prefix 1: .*every address"),
        (lambda: parse(b'{"prefixes": [{"ipv4Prefix": 7}]}', "f"), "f: is no list of networks"),
    ):
        with pytest.raises(SettingsError, match=words):
            call()


def test_published_networks_are_read_in_order_and_each_once() -> None:
    content = {
        "creationTime": "x",
        "prefixes": [{"ipv6Prefix": "2001:DB8::/32"}, {"ipv4Prefix": "203.0.113.7"}] * 2,
    }
    assert parse(msgspec.json.encode(content), "f") == ["2001:db8::/32", "203.0.113.7/32"]


def test_an_amendment_says_what_it_does_and_changes_nothing_that_is_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow_list = AllowList()
    eve, crawler = Members(users=["eve"]), ["203.0.113.0/24", "2001:db8::/32"]
    added = amendment.adding(allow_list, eve, "x", "")
    assert added == ("allow user eve", [], [Allowance(users=["eve"], reason="x")])
    allow_list.take(1, added[1], added[2])
    assert amendment.adding(allow_list, eve, "x", "") == (1, "x", "")
    assert isinstance(amendment.adding(allow_list, eve, "x", "2099-01-01T00:00:00Z"), amendment.Amendment)
    replaced = amendment.replacing(allow_list, crawler, "f.json", "y", "")
    assert replaced is not None
    assert replaced.what == "allow the 2 networks of f.json: 2 new or changed, 0 gone"
    allow_list.take(2, replaced.disallow, replaced.allow)
    assert amendment.replacing(allow_list, crawler, "f.json", "y", "") is None
    fewer = amendment.replacing(allow_list, crawler[:1], "f.json", "y", "")
    assert fewer == (
        "allow the network of f.json: 0 new or changed, 1 gone",
        [Members(networks=crawler[1:])],
        [],
    )
    assert amendment.removing_for(allow_list, "y").what == "allow no more: y (2 entries)"
    monkeypatch.setattr(amendment, "MOST", 3)
    nobody, joe = Members(prefixes=["e"]), Members(users=["joe"])
    refusals: list[tuple[Callable[[], object], str, str]] = [
        (lambda: amendment.removing(allow_list, nobody), "prefix", "prefix 'e' is not on the allow-list"),
        (lambda: amendment.removing_for(allow_list, "z"), "reason", "the reasons are: 'x', 'y'"),
        (lambda: amendment.adding(allow_list, joe, "x", ""), "user", "takes 3 entries, and has 3"),
    ]
    for refuse, field, words in refusals:
        with pytest.raises(AllowanceError, match=words) as refused:
            refuse()
        assert refused.value.field == field
    assert isinstance(amendment.adding(allow_list, eve, "other", ""), amendment.Amendment)  # is on it already
