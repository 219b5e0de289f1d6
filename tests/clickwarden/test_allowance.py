"""What is left to an address, on a clock moved by hand."""

from clickwarden.allowance import ADDRESSES, Allowance


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_is_spent_comes_back_up_to_the_burst() -> None:
    clock = Clock()
    allowance = Allowance(10, 2, clock)
    allowance.spend("a", 4)
    assert (allowance.left("a"), allowance.left("b")) == (6, 10)
    clock.now += 1
    assert allowance.left("a") == 8
    clock.now += 100
    assert allowance.left("a") == 10


def test_who_spends_more_than_is_left_waits_until_it_is_back() -> None:
    clock = Clock()
    allowance = Allowance(10, 2, clock)
    allowance.spend("a", 30)
    assert (allowance.left("a"), allowance.wait("a")) == (-20, 11)
    clock.now += 10.4
    assert allowance.left("a") < 1
    assert allowance.wait("a") == 1
    clock.now += 1
    assert allowance.left("a") >= 1


def test_it_remembers_so_many_and_forgets_who_spent_longest_ago() -> None:
    allowance = Allowance(10, 1, Clock())
    for number in range(ADDRESSES):
        allowance.spend(str(number), 10)
    allowance.spend("0", 1)
    allowance.spend("another", 10)
    assert [allowance.left(address) for address in ("0", "1", "2", "another")] == [-1, 10, 0, 0]
