"""How many wrong tokens are looked at, on a clock moved by hand."""

import logging

import pytest

from clickwarden.allowance import ADDRESSES
from clickwarden.guesses import BURST, PER_SECOND, TELL_SECONDS, Guesses, TooManyGuesses


class Site:
    """A token, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.guesses = Guesses("right", "page", lambda: self.now)

    def guess(self, address: str, times: int = 10_000) -> int:
        """How many of these guesses were looked at."""
        looked_at = 0
        for _ in range(times):
            try:
                assert not self.guesses.is_right("wrong", address)
            except TooManyGuesses:
                continue
            looked_at += 1
        return looked_at


def test_each_of_several_is_right() -> None:
    guesses = Guesses("first", "door", others=["second"])
    assert [guesses.is_right(given, "192.0.2.1") for given in ("first", "second", "third", "")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert guesses.counts["wrong"] == 2


def test_few_are_looked_at_and_then_some_a_second() -> None:
    site = Site()
    assert site.guess("192.0.2.1") == BURST
    site.now += 3
    assert site.guess("192.0.2.1") == 3 * PER_SECOND
    site.now += 1e6
    assert site.guess("192.0.2.1") == BURST
    assert site.guesses.counts == {"wrong": 2 * BURST + 3, "refused": 3 * 10_000 - 2 * BURST - 3}


def test_an_address_that_guesses_is_not_told_the_right_one_and_others_are() -> None:
    site = Site()
    site.guess("192.0.2.1")
    with pytest.raises(TooManyGuesses):
        site.guesses.is_right("right", "192.0.2.1")
    assert site.guesses.is_right("right", "192.0.2.2")
    site.now += 1 / PER_SECOND
    assert site.guesses.is_right("right", "192.0.2.1")


def test_right_ones_are_no_guesses() -> None:
    site = Site()
    assert all(site.guesses.is_right("right", "192.0.2.1") for _ in range(2 * BURST))


def test_an_ipv6_network_is_one_address() -> None:
    site = Site()
    assert sum(site.guess(f"2001:db8::{host:x}", 1) for host in range(2 * BURST)) == BURST
    assert site.guess("2001:db8:0:1::1", 1) == 1


def test_as_many_addresses_are_remembered_as_there_is_room_for() -> None:
    site = Site()
    site.guess("192.0.2.1")
    for number in range(ADDRESSES):
        site.guess(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1)
    assert site.guess("192.0.2.1") == BURST


def test_the_log_tells_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    site = Site()
    site.guess("192.0.2.1")
    site.guess("192.0.2.2")
    (told,) = caplog.messages
    assert "20 wrong ones so far, the last from 192.0.2.1" in told
    site.now += TELL_SECONDS
    site.guess("192.0.2.1")
    assert len(caplog.messages) == 2
