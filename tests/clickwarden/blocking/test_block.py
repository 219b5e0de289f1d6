"""How long one user is blocked, in numbers."""

from random import Random

from clickwarden.blocking.address import target_of
from clickwarden.blocking.block import REMEMBERED, Block, Offence, Terms, block_of

HOUR = 3600.0
DAY = 24 * HOUR
TERMS = Terms(severity="high", first=4 * HOUR, most=20 * HOUR)


def offence(begin: float, last: float, incident_id: str = "") -> Offence:
    return Offence(begin, last, incident_id or f"{begin}", "bot", "high")


def block(*offences: Offence, terms: Terms = TERMS) -> Block:
    found = block_of("203.0.113.9", target_of("203.0.113.9"), offences, terms)
    assert found is not None
    return found


def when(found: Block) -> tuple[float, float, int]:
    return found.since, found.until, found.times


def test_it_begins_with_the_incident_and_lasts_from_the_last_click_on() -> None:
    assert when(block(offence(100, 700))) == (100, 700 + 4 * HOUR, 1)


def test_what_goes_on_meanwhile_makes_it_longer_and_doubles_nothing() -> None:
    found = block(offence(0, 60), offence(2 * HOUR, 3 * HOUR), offence(7 * HOUR - 1, 7 * HOUR, "newest"))
    assert when(found) == (0, 11 * HOUR, 1)
    assert found.offence.incident_id == "newest"


def test_an_incident_that_is_shorter_than_one_before_it_takes_nothing_back() -> None:
    assert when(block(offence(0, 3 * HOUR), offence(HOUR, HOUR + 1))) == (0, 7 * HOUR, 1)


def test_who_comes_back_after_it_is_blocked_twice_as_long_up_to_the_longest() -> None:
    offences: list[Offence] = []
    lengths = []
    begin = 0.0
    for _ in range(5):
        offences.append(offence(begin, begin))
        found = block(*offences)
        lengths.append((found.until - begin) / HOUR)
        begin = found.until  # as soon as it is over
    assert lengths == [4, 8, 16, 20, 20]
    assert found.times == 5


def test_what_was_over_for_long_is_forgotten() -> None:
    first = offence(0, 0)
    assert block(first, offence(4 * HOUR + REMEMBERED, 4 * HOUR + REMEMBERED)).times == 2
    assert block(first, offence(4 * HOUR + REMEMBERED + 1, 4 * HOUR + REMEMBERED + 1)).times == 1


def test_several_rules_broken_at_once_are_one_block() -> None:
    found = block(*(Offence(0, 100, rule, rule, "high") for rule in ("bot", "scraper", "stuffing")))
    assert when(found) == (0, 100 + 4 * HOUR, 1)


def test_the_order_in_which_they_are_heard_does_not_matter() -> None:
    random = Random(1)
    for _ in range(200):
        offences = [
            offence(begin := random.uniform(0, 20 * DAY), begin + random.uniform(0, DAY)) for _ in range(8)
        ]
        expected = block(*offences)
        random.shuffle(offences)
        assert block(*offences) == expected
        assert expected.until >= max(each.last for each in offences) + TERMS.first


def test_nobody_is_blocked_for_nothing_nor_for_ever() -> None:
    assert block_of("u", target_of("u"), [], TERMS) is None
    many = [offence(number * 5 * DAY, number * 5 * DAY) for number in range(2000)]
    assert block(*many, terms=Terms(severity="low", first=1, most=DAY)).times == 2
    often = [offence(number, number) for number in range(0, 40_000, 2)]
    found = block(*often, terms=Terms(severity="low", first=1, most=1))
    assert (found.times, found.until) == (20_000, 39_999)
