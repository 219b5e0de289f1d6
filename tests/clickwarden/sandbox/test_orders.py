"""What is ordered in the shop: by customers as ever, and with a stolen card."""

from random import Random
from typing import Any

import pytest

from clickwarden.sandbox.orders import COLUMNS, DAY, Orders

BEGIN, NOW = 1_767_225_600.0, 1_795_832_000.0
CARD, TIME = COLUMNS.index("card_id"), COLUMNS.index("timestamp")


def row(number: int, fraud: str = "") -> dict[str, Any]:
    return {
        "card_id": f"card-{number % 5}", "timestamp": BEGIN + 3_600 * number, "amount": 10.0 + number,
        "mcc": "fuel", "channel": "chip", "country": "DE", "merchant_id": "m1", "device": 0, "fraud": fraud,
    }  # fmt: skip


@pytest.fixture
def orders() -> Orders:
    return Orders([row(number, "spree" if number == 40 else "") for number in range(72)], NOW, Random(1))


def test_the_last_day_comes_again_at_the_same_times_of_day_and_without_frauds(orders: Orders) -> None:
    times = [each[TIME].timestamp() for each in orders.past()]
    assert len(times) == 25
    assert NOW - DAY < times[-1] <= NOW
    assert [time % DAY for time in times] == [(BEGIN + 3_600 * number) % DAY for number in range(47, 72)]


def test_customers_are_those_of_the_sample_and_the_victim_is_one_whom_nobody_robbed(orders: Orders) -> None:
    assert {orders.usual(NOW)[CARD] for _ in range(200)} == {f"card-{number}" for number in range(5)}
    stolen = orders.stolen(NOW)
    assert (stolen[CARD], stolen[TIME].timestamp()) == (orders.victim, NOW)
    assert orders.victim != "card-0"
