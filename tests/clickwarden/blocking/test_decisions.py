"""Blocks as CrowdSec's bouncers read them."""

import re

import msgspec
import pytest

from clickwarden.blocking.address import target_of
from clickwarden.blocking.block import Block, Offence
from clickwarden.blocking.decisions import SCOPES, Wanted, decision_of, duration

NOW = 1_800_000_000.0
USERS = "203.0.113.9", "2001:db8:1:2::/64", "eve", "2001:db8::9"
BLOCKS = [
    Block(user_id, target_of(user_id), NOW, NOW + 14_399.5, 1, Offence(NOW, NOW, "a", "bot", "high"))
    for user_id in USERS
]


def asked(**query: str) -> list[str]:
    wanted = Wanted(query, None)
    return [block.user_id for block in BLOCKS if wanted(block)]


def test_a_decision_has_what_a_bouncer_wants() -> None:
    decision = msgspec.to_builtins(decision_of(BLOCKS[0], NOW))
    number = decision.pop("id")
    assert 0 < number < 2**53
    assert decision == {
        "origin": "clickwarden",
        "type": "ban",
        "scope": "Ip",
        "value": "203.0.113.9",
        "duration": "3h59m59.500s",
        "scenario": "clickwarden/bot",
    }
    assert number == decision_of(BLOCKS[0], NOW + 5).id != decision_of(BLOCKS[1], NOW).id


@pytest.mark.parametrize(
    "seconds", [0.0, 0.0004, 0.9996, 59.9996, 60.0, 3599.9999, 14_400.0, 604_800.25, -7.5, -90_000.0]
)
def test_a_duration_is_read_as_it_is_meant(seconds: float) -> None:
    found = re.fullmatch(r"(-?)(\d+)h([0-5]?\d)m([0-5]?\d\.\d{3})s", duration(seconds))
    assert found is not None
    read = 3600 * int(found[2]) + 60 * int(found[3]) + float(found[4])
    assert (-read if found[1] else read) == pytest.approx(seconds, abs=0.0006)


def test_what_is_asked_for() -> None:
    assert asked() == list(USERS)
    assert [block.user_id for block in BLOCKS if Wanted({"scopes": ",".join(SCOPES)}, None)(block)] == [
        "203.0.113.9", "2001:db8:1:2::/64", "2001:db8::9",
    ]  # fmt: skip
    assert asked(scopes="Ip,username") == ["203.0.113.9", "eve", "2001:db8::9"]
    assert asked(scope="range") == ["2001:db8:1:2::/64"]
    assert asked(ip="203.0.113.9") == asked(ip="::ffff:203.0.113.9") == ["203.0.113.9"]
    assert asked(ip="2001:db8:1:2:aaaa::1") == ["2001:db8:1:2::/64"]
    assert asked(ip="203.0.113.10") == asked(ip="2001:db8:1:3::1") == []
    assert asked(range="203.0.113.0/24") == []
    assert asked(range="203.0.113.0/24", contains="false") == ["203.0.113.9"]
    assert asked(scope="Username", value="eve") == ["eve"]
    assert asked(type="captcha") == asked(origins="CAPI,lists") == asked(scenarios_containing="ssh") == []
    assert asked(type="ban", origins="crowdsec,clickwarden", scenarios_containing="ssh,bot") == list(USERS)
    assert asked(scenarios_not_containing="bot") == []


@pytest.mark.parametrize("query", [{"ip": "eve"}, {"range": "203.0.113.0/99"}, {"ip": "2001:db8::1%25\n"}])
def test_an_address_that_is_none_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is no address"):
        Wanted(query, None)
