"""Orders of the shop in PostgreSQL for development: of customers, and of one whose card was stolen.

They are made of a sample's transactions of cards, whose habits a model has learnt from it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

Row = dict[str, Any]

COLUMNS = ("card_id", "amount", "mcc", "channel", "country", "merchant_id", "device", "timestamp")
DAY = 86_400
#: What is bought with a stolen card, and where.
LOOT, ELSEWHERE = ("jewellery", "electronics"), ("BR", "US", "CN")
#: Beyond the devices that the sample has: the thief's own.
DEVICE = 9


class Orders:
    """What is ordered.

    Args:
        sample: transactions of cards, the oldest first.
        now: epoch seconds.
        chance: that draws the rest.

    Attributes:
        victim: whose card is stolen.
    """

    def __init__(self, sample: Sequence[Row], now: float, chance: Random) -> None:
        # By whole days, for the time of day is a habit, too.
        self._later = (now - sample[-1]["timestamp"]) // DAY * DAY
        self._sample = [row for row in sample if not row["fraud"]]
        self._chance = chance
        robbed = {row["card_id"] for row in sample if row["fraud"]}
        self.victim: str = chance.choice(
            [each["card_id"] for each in self._sample if each["card_id"] not in robbed]
        )

    def past(self) -> list[tuple[Any, ...]]:
        """What was ordered on the last day, which is as far as the pipeline's features look back."""
        since = self._sample[-1]["timestamp"] - DAY
        return [
            _written(row, row["timestamp"] + self._later) for row in self._sample if row["timestamp"] >= since
        ]

    def usual(self, moment: float) -> tuple[Any, ...]:
        """An order of a customer, like one of that customer before."""
        row = self._chance.choice(self._sample)
        return _written(row | {"amount": round(row["amount"] * self._chance.uniform(0.8, 1.25), 2)}, moment)

    def stolen(self, moment: float) -> tuple[Any, ...]:
        """An order of who has the victim's card."""
        chance = self._chance
        return _written(
            {
                "card_id": self.victim,
                "amount": round(chance.uniform(600, 1900), 2),
                "mcc": chance.choice(LOOT),
                "channel": "ecom",
                "country": chance.choice(ELSEWHERE),
                "merchant_id": f"m{chance.randrange(10_000)}",
                "device": DEVICE,
            },
            moment,
        )


def _written(row: Row, moment: float) -> tuple[Any, ...]:
    return *(row[name] for name in COLUMNS[:-1]), datetime.fromtimestamp(moment, UTC)
