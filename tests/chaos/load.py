"""The load: shoppers, attackers, and everything that makes their clicks hard to count."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
from confluent_kafka import KafkaException, Producer
from numpy.random import Generator, default_rng

from clickwarden.detection.rules import Rule

MINUTE = 60
DAY = 86_400
#: Event time runs this much faster than wall time, so that windows close often.
PACE = 30
SHOPPERS = 200_000
#: Of each kind, in a minute of event time.
ATTACKERS = 10
#: Clicks are sent in bursts, this often.
BURST_SECONDS = 0.05
FLUSH_SECONDS = 300.0
#: Of all clicks: behind others of their time but within the lateness; behind a closed window;
#: records that are no clicks; clicks whose time is written in another way.
DISORDERED, LATE, BAD, OTHERWISE = 0.2, 0.002, 0.002, 0.01
EVENTS = ("view", "view", "view", "view", "search", "add", "login", "buy")

NO_CLICKS: tuple[bytes | None, ...] = (
    None,
    b"",
    b"\xff\xfe",
    b"no click",
    b"[]",
    b"{}",
    b'{"user_id": "", "event": "view", "timestamp": 1}',
    b'{"user_id": "u", "event": "view", "timestamp": NaN}',
    b'{"user_id": "u", "event": "view", "timestamp": "yesterday"}',
    b'{"user_id": "u", "event": "view", "timestamp": 99999999999}',
    b'{"user_id": "u", "event": 1, "timestamp": 1}',
    b'{"user_id": "%s", "event": "view", "timestamp": 1}' % (b"u" * 300),
    b"[" * 10_000,
)


def persistent(kafka: str) -> Producer:
    """A producer that sends each record once, and gives none up while Kafka is away."""
    return Producer(
        {
            "bootstrap.servers": kafka,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 5,
            "topic.metadata.refresh.interval.ms": 2000,  # for partitions that are new
            "message.timeout.ms": 0,
            "log_level": 0,
        }
    )


class Load(threading.Thread):
    """Produces ``rate`` clicks a second until stopped, keyed by user.

    The clicks are a function of the seed. In every window attackers click as
    often as a rule's threshold, once less, once more, and many times more.
    Kafka away, it waits.
    """

    def __init__(
        self, kafka: str, topic: str, rules: Sequence[Rule], *, rate: int, lateness: float, seed: int
    ) -> None:
        super().__init__(name="load", daemon=True)
        self.sent = 0
        self._rules = rules
        self._rate = rate
        self._lateness = lateness
        self._topic = topic
        self._random = default_rng(seed)
        self._stopping = threading.Event()
        self._sending = threading.Lock()
        self._hush, self._hushed = threading.Event(), threading.Event()
        self._minute = int(time.time() - 6 * DAY) // DAY * DAY
        self._producer = persistent(kafka)

    def run(self) -> None:
        burst = max(1, int(self._rate * BURST_SECONDS))
        due = time.monotonic()
        while not self._stopping.is_set():
            minute = self._clicks()
            for first in range(0, len(minute), burst):
                if self._hush.is_set() and first + 2 * burst > len(minute):
                    self._be_silent()
                with self._sending:
                    for user, value in minute[first : first + burst]:
                        self._send(value, key=user)
                due = max(due + BURST_SECONDS, time.monotonic() - 1)
                self._stopping.wait(max(0.0, due - time.monotonic()))
                if self._stopping.is_set():
                    break

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is sent meanwhile, and Kafka has all that was."""
        with self._sending:
            self._flush()
            yield

    @contextmanager
    def silence(self) -> Iterator[None]:
        """The same, from shortly before the end of a minute of event time on."""
        self._hushed.clear()
        self._hush.set()
        try:
            if not self._hushed.wait(FLUSH_SECONDS):
                raise TimeoutError(f"the load did not fall silent within {FLUSH_SECONDS:.0f} s")
            yield
        finally:
            self._hush.clear()

    def _be_silent(self) -> None:
        self._flush()
        self._hushed.set()
        while self._hush.is_set() and not self._stopping.is_set():
            self._stopping.wait(BURST_SECONDS)

    def stop(self, partitions: int) -> None:
        """Stop, with a click in each partition that closes every window before it."""
        self._stopping.set()
        self.join()
        end = self._minute + max(rule.window for rule in self._rules) + self._lateness
        for partition in range(partitions):
            self._send(_click("last", "view", end), partition=partition)
        self._flush()

    def _flush(self) -> None:
        if self._producer.flush(FLUSH_SECONDS):
            raise TimeoutError(f"Kafka did not take the clicks within {FLUSH_SECONDS:.0f} s")

    def _send(self, value: bytes | None, **to: Any) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, **to)
            except BufferError:  # Kafka is away, or slow
                self._producer.poll(0.1)
            except KafkaException:  # not yet up
                self._stopping.wait(0.1)
            else:
                self._producer.poll(0)
                self.sent += 1
                return

    def _clicks(self) -> list[tuple[str, bytes | None]]:
        """User and value of the clicks of a minute of event time, in the order they are sent."""
        random, start = self._random, self._minute
        self._minute += MINUTE
        attack = self._attack(random)
        shopping = max(0, self._rate * MINUTE // PACE - len(attack))
        shoppers = (random.random(shopping) ** 2 * SHOPPERS).astype(int).tolist()
        chosen = random.integers(len(EVENTS), size=shopping).tolist()
        who = attack + [
            (f"user-{number}", EVENTS[event]) for number, event in zip(shoppers, chosen, strict=True)
        ]
        times = start + random.random(len(who)) * MINUTE
        delays = random.random(len(who)) * 0.99 * self._lateness
        delays[random.random(len(who)) >= DISORDERED] = 0
        order = np.argsort(times + delays, kind="stable")
        times[random.random(len(who)) < LATE] -= 2 * MINUTE
        when, fate = times.round(3).tolist(), random.random(len(who)).tolist()
        clicks = ((*who[i], when[i], fate[i]) for i in order.tolist())
        return [(user, self._value(user, event, time, chance)) for user, event, time, chance in clicks]

    def _attack(self, random: Generator) -> list[tuple[str, str]]:
        clicks = []
        for rule in self._rules:
            event = rule.events[0] if rule.events else "add"
            share = MINUTE / rule.window  # the clicks of a longer window come over its minutes
            for number in range(ATTACKERS):
                often = rule.threshold + (-1, 0, 1, 10 * number)[number % 4]
                often = int(random.binomial(often, share)) if share < 1 else often
                clicks += [(f"{rule.name}-{number}", event)] * often
        return clicks

    def _value(self, user: str, event: str, time: float, fate: float) -> bytes | None:
        if fate < BAD:
            return NO_CLICKS[int(fate / BAD * len(NO_CLICKS))]
        if fate < BAD + OTHERWISE:
            otherwise = (int(time * 1000), datetime.fromtimestamp(time, UTC).isoformat())
            return _click(user, event, otherwise[fate < BAD + OTHERWISE / 2])
        return b'{"user_id":"%s","event":"%s","product_id":"p%d","timestamp":%.3f}' % (
            user.encode(),
            event.encode(),
            int(fate * 1000),
            time,
        )


def _click(user: str, event: str, time: float | str) -> bytes:
    return json.dumps({"user_id": user, "event": event, "timestamp": time}).encode()
