"""What bouncers are told, so that each of them enforces the list whatever happens between."""

from collections.abc import Iterable
from random import Random

from clickwarden.blocking.address import target_of
from clickwarden.blocking.block import Block, Offence
from clickwarden.blocking.blocklist import TOLD_SECONDS, Listing
from clickwarden.blocking.history import Delta, History

OFFENCE = Offence(0, 0, "a", "bot", "high")


def block(user_id: str, until: float = 1000.0) -> Block:
    return Block(user_id, target_of(user_id), 0, until, 1, OFFENCE)


def listing(at: float, *blocks: Block, over: Iterable[Block] = ()) -> Listing:
    return Listing(at, list(blocks), list(over), {})


def told(delta: Delta) -> tuple[list[str], list[str]]:
    return [each.user_id for each in delta.new], [each.user_id for each in delta.deleted]


def test_each_is_told_of_once_and_again_where_it_lasts_until_another_time() -> None:
    history = History()
    history.take(listing(1, block("203.0.113.1")))
    first = history.since(None)
    assert told(first) == (["203.0.113.1"], [])
    history.take(listing(2, block("203.0.113.1"), block("203.0.113.2")))
    second = history.since(first.position)
    assert told(second) == (["203.0.113.2"], [])
    assert told(history.since(second.position)) == ([], [])
    history.take(listing(3, block("203.0.113.1", 2000), block("203.0.113.2")))
    assert [each.until for each in history.since(second.position).new] == [2000]
    history.take(listing(4, block("203.0.113.1", 2000), over=[block("203.0.113.2", 3)]))
    history.take(listing(5, block("203.0.113.1", 2000), over=[block("203.0.113.2", 3)]))
    assert told(history.since(second.position)) == (["203.0.113.1"], ["203.0.113.2"])
    # Another one has its own place.
    assert told(history.since(first.position)) == (["203.0.113.1"], ["203.0.113.2"])


def test_who_is_blocked_again_is_not_told_of_as_over() -> None:
    history = History()
    history.take(listing(1, block("203.0.113.1")))
    history.take(listing(2, over=[block("203.0.113.1", 2)]))
    history.take(listing(3, block("203.0.113.1")))
    assert told(history.since(None)) == (["203.0.113.1"], [])
    history.take(listing(4, over=[block("203.0.113.1", 4)]))
    assert told(history.since(3)) == ([], ["203.0.113.1"])


def test_of_who_was_never_on_it_nobody_is_told_but_when_it_begins() -> None:
    history = History()
    history.take(listing(1, over=[block("203.0.113.1", 1)]))
    history.take(listing(2, over=[block("203.0.113.1", 1), block("203.0.113.2", 2)]))
    assert told(history.since(None)) == ([], ["203.0.113.1"])


def test_who_is_there_no_more_without_a_reason_is_over_too() -> None:
    history = History()
    history.take(listing(1, block("203.0.113.1")))
    for at in range(2, 20):
        history.take(listing(at))
    assert told(history.since(1)) == ([], ["203.0.113.1"])
    history.take(listing(1000 + TOLD_SECONDS))
    assert told(history.since(1)) == ([], [])


def test_bouncers_that_ask_when_they_like_have_the_list_in_the_end() -> None:
    random = Random(1)
    for _ in range(100):
        history = History()
        held: list[dict[str, float]] = [{} for _ in range(3)]
        positions: list[int | None] = [None] * 3
        blocks: dict[str, Block] = {}
        over: dict[str, Block] = {}
        for at in range(60):
            if random.random() < 0.1:  # the worker restarts
                history, positions = History(), [None] * 3
            user = f"203.0.113.{random.randrange(6)}"
            if user in blocks and random.random() < 0.6:
                over[user] = blocks.pop(user)._replace(until=at)
            else:
                over.pop(user, None)
                blocks[user] = block(user, 1000 + at)
            history.take(listing(at, *blocks.values(), over=over.values()))
            for number, holds in enumerate(held):
                if random.random() < 0.3 or at == 59:
                    delta = history.since(positions[number])
                    for each in delta.deleted:
                        holds.pop(each.user_id, None)
                    holds.update({each.user_id: each.until for each in delta.new})
                    positions[number] = delta.position
        expected = {user: each.until for user, each in blocks.items()}
        assert held == [expected] * 3
