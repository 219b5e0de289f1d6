"""Transactions on their way: made-up ones, some abnormal, and everything that makes them hard to score."""

import json
import threading
import time
from typing import Any

import numpy as np
from confluent_kafka import KafkaException
from numpy.random import Generator, default_rng

from tests.chaos.load import persistent

HOUR, DAY = 3_600, 86_400
#: Event time runs this much faster than wall time: a day is over in 6 s, before the models change again.
PACE = 14_400
#: Event time of the first: a midnight long over.
BEGIN = 1_760_054_400
CARDS, MERCHANTS = 5_000, 3_000
#: A card that makes this share of all.
HOT = 0.05
#: Of all transactions: far from usual; behind others of their time but within the lateness; later than that;
#: what nobody can score.
ABNORMAL, DISORDERED, LATE, BAD = 0.01, 0.2, 0.003, 0.003
#: Every so many days people spend otherwise, which is drift.
SHIFTING = 3
LATENESS = 0.95 * HOUR
BURST_SECONDS = 0.05
FLUSH_SECONDS = 300.0
TRADES = ("grocery", "fuel", "restaurant", "fashion", "travel", "atm", "circus")
CHANNELS = ("chip", "tap", "ecom")

NO_TRANSACTIONS: tuple[bytes | None, ...] = (
    None,
    b"",
    b"\xff\xfe",
    b"[]",
    b"{}",
    b'{"card_id": "card-1", "timestamp": "yesterday", "amount": 1}',
    b'{"card_id": "", "timestamp": 1760054400, "amount": 1}',
    b'{"card_id": "card-1", "timestamp": 99999999999999, "amount": 1}',
    b'{"card_id": "card-1", "timestamp": 1760054400, "amount": NaN}',
    b'{"card_id": "\\ud83d", "timestamp": %d, "amount": 1e308, "device": "x"}' % (BEGIN + DAY),
    b'{"card_id": ["card-1"], "timestamp": 1760054400}',
    b"[" * 10_000,
)


class Transactions(threading.Thread):
    """Produces ``rate`` transactions a second until stopped, keyed by card; Kafka away, it waits.

    They are a function of the seed.

    Attributes:
        sent: how many records.
    """

    def __init__(self, kafka: str, topic: str, *, rate: int, seed: int) -> None:
        super().__init__(name="transactions", daemon=True)
        self.sent = 0
        self._topic, self._rate = topic, rate
        self._random = default_rng(seed)
        self._stopping = threading.Event()
        self._producer = persistent(kafka)

    def run(self) -> None:
        count = max(1, int(self._rate * BURST_SECONDS))
        moment, step = float(BEGIN), PACE / self._rate
        due = time.monotonic()
        while not self._stopping.is_set():
            for card, value in transactions(self._random, count, moment, step):
                self._send(card, value)
            moment += count * step
            due = max(due + BURST_SECONDS, time.monotonic() - 1)
            self._stopping.wait(max(0.0, due - time.monotonic()))

    def stop(self) -> None:
        """Send no more; Kafka has all that was.

        Raises:
            TimeoutError: it did not take them.
        """
        self._stopping.set()
        self.join()
        if self._producer.flush(FLUSH_SECONDS):
            raise TimeoutError(f"Kafka did not take the transactions within {FLUSH_SECONDS:.0f} s")

    def _send(self, card: str, value: bytes | None) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, key=card)
            except BufferError:  # Kafka is slow
                self._producer.poll(0.1)
            except KafkaException:  # not yet up
                self._stopping.wait(0.1)
            else:
                self._producer.poll(0)
                self.sent += 1
                return


def transactions(
    random: Generator, count: int, begin: float, step: float, *, bad: float = BAD
) -> list[tuple[str, bytes | None]]:
    """Card and value of so many transactions, one every ``step`` seconds of event time from ``begin`` on."""
    cards = np.where(random.random(count) < HOT, 0, random.integers(CARDS, size=count)).tolist()
    times = begin + step * np.arange(count)
    shift = 2.0 * (times // DAY % SHIFTING == SHIFTING - 1)
    times -= random.random(count) * LATENESS * (random.random(count) < DISORDERED)
    times -= 2 * HOUR * (random.random(count) < LATE)
    abnormal = random.random(count) < ABNORMAL
    amounts = np.round(random.lognormal(np.where(abnormal, 8, 3 + shift), 1), 2).tolist()
    merchants, fates = random.integers(MERCHANTS, size=count), random.random(count)
    rows = zip(cards, times.round(3).tolist(), amounts, abnormal.tolist(), merchants.tolist(), fates.tolist(),
               strict=True)  # fmt: skip
    return [(f"card-{row[0]}", _value(row, bad)) for row in rows]


def _value(row: tuple[int, float, float, bool, int, float], bad: float) -> bytes | None:
    card, moment, amount, abnormal, merchant, fate = row
    if fate < bad:
        return NO_TRANSACTIONS[int(fate / bad * len(NO_TRANSACTIONS))]
    made: dict[str, Any] = {
        "tx_id": f"{card}-{merchant}-{fate:.9f}",
        "card_id": f"card-{card}",
        "timestamp": moment,
        "amount": amount,
        "mcc": TRADES[merchant % len(TRADES)],
        "channel": CHANNELS[card % len(CHANNELS)],
        "country": f"C{merchant % 90 if abnormal else card % 7}",
        "merchant_id": f"m{merchant if abnormal else card % 50}",
        "device": card % 9,
    }
    if fate > 0.99:  # something is missing
        del made[("amount", "mcc", "country", "device", "tx_id")[merchant % 5]]
    return json.dumps(made).encode()
