"""What a collector took and what it refused: for Prometheus, and for the log."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator
from time import monotonic

from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clickwarden.guesses import Guesses
from clickwarden.sources.producer import ClickProducer

log = logging.getLogger(__name__)

PREFIX = "clickwarden_collect_"
#: The log tells of what is refused so often, seconds.
TELL_SECONDS = 60.0


class Takings(Collector):
    """Figures of a collector since it began.

    Args:
        producer: that takes the clicks.
        guesses: at the token.
        now: a steady clock, seconds.

    Attributes:
        refused: requests that were not taken, by reason.
    """

    def __init__(
        self, producer: ClickProducer, guesses: Guesses, now: Callable[[], float] = monotonic
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._producer = producer
        self._guesses = guesses
        self._now = now
        self._untold: Counter[str] = Counter()
        self._told = -math.inf
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(PROCESS_COLLECTOR)
        self._registry.register(self)

    def refuse(self, reason: str, example: str) -> None:
        """Count a request that was not taken; the log has a line a minute, with the last of them."""
        self.refused[reason] += 1
        self._untold[reason] += 1
        if self._now() - self._told >= TELL_SECONDS:
            counts = ", ".join(f"{count:,} {reason}" for reason, count in self._untold.most_common())
            log.warning("requests refused: %s; the last: %s", counts, ascii(example))
            self._told = self._now()
            self._untold.clear()

    def text(self) -> bytes:
        """The figures as Prometheus reads them."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The figures one by one."""
        producer = self._producer
        yield CounterMetricFamily(f"{PREFIX}clicks", "Clicks taken, and on disk", producer.sent)
        yield CounterMetricFamily(
            f"{PREFIX}acknowledged",
            "Clicks that Kafka has, also those that waited at the start",
            producer.acked,
        )
        yield GaugeMetricFamily(f"{PREFIX}waiting", "Clicks on disk that Kafka has not", producer.waiting)
        yield _by("refused", "Requests that were not taken", "reason", self.refused)
        yield _by(
            "token_guesses",
            "Wrong tokens, and what was refused without a look after too many",
            "answer",
            self._guesses.counts,
        )


def _by(name: str, meaning: str, label: str, counts: Counter[str]) -> Metric:
    metric = CounterMetricFamily(f"{PREFIX}{name}", meaning, labels=[label])
    for value, count in counts.items():
        metric.add_metric([value], count)
    return metric
