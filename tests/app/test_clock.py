"""Kafka's clock, as a worker with a wrong one knows it."""

import pytest
from aiokafka.structs import RecordMetadata

from app import clock
from app.clock import PATIENCE_SECONDS, TOLERATED_SECONDS, KafkaClock, wrong

NOON = 1_600_000_000.0


class Machine:
    """Its steady clock, and one that somebody can set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.up = 100.0
        self.ahead = 0.0
        monkeypatch.setattr(clock, "monotonic", lambda: self.up)
        monkeypatch.setattr(clock, "time", lambda: NOON + self.up + self.ahead)

    def ask(self, kafka: KafkaClock, seconds: float = 0.0, stamped: int = 1) -> None:
        """Have Kafka answer after so long, its clock being right."""
        sent = self.up
        self.up += seconds
        stamp = int((NOON + sent + seconds / 2) * 1000)
        kafka.learn(RecordMetadata("status", 0, None, 0, stamp, stamped, 0), sent)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize("ahead", [-7200.0, -1800.0, 0.0, 1800.0, 3600.0, 7200.0])
def test_a_wrong_clock_is_known_and_not_used(machine: Machine, ahead: float) -> None:
    kafka = KafkaClock()
    machine.ahead = ahead
    assert kafka.now() == NOON + machine.up + ahead  # nothing else is known
    machine.ask(kafka, seconds=0.2)
    machine.up += 50
    assert kafka.now() == pytest.approx(NOON + machine.up, abs=0.002)
    assert kafka.ahead == pytest.approx(ahead, abs=0.002)


def test_one_that_is_set_while_the_worker_runs_changes_nothing(machine: Machine) -> None:
    kafka = KafkaClock()
    machine.ask(kafka)
    machine.ahead = 3600.0
    assert kafka.now() == pytest.approx(NOON + machine.up)
    assert kafka.ahead == pytest.approx(3600.0)


def test_a_slow_answer_and_a_stamp_of_our_own_teach_nothing(machine: Machine) -> None:
    kafka = KafkaClock()
    machine.ahead = 3600.0
    machine.ask(kafka, seconds=PATIENCE_SECONDS + 1)
    machine.ask(kafka, stamped=0)
    assert kafka.ahead == 0


def test_it_is_said_beyond_what_is_tolerated() -> None:
    assert not wrong(TOLERATED_SECONDS)
    assert not wrong(-TOLERATED_SECONDS)
    assert wrong(1800.2).startswith("1,800 s ahead of Kafka's")
