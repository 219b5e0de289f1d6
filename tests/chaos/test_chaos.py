"""A short siege, the same each time; ``make chaos`` lays the long ones, of other seeds."""

from pathlib import Path

from rich.console import Console

from tests.chaos.faults import network
from tests.chaos.siege import siege

SEED = 11


def test_a_short_siege(tmp_path: Path) -> None:
    print(f"again: make chaos SEED={SEED} ROUNDS=3 WORKERS=2 RATE=3000")
    outcome = siege(tmp_path, seed=SEED, rounds=3, workers=2, nodes=1, rate=3000)
    Console().print(outcome.table())
    assert outcome.ok, outcome.verdict.examples


def test_a_worker_is_cut_off_from_the_coordinator(tmp_path: Path) -> None:
    faults = [network.coordinator_cut_off]
    outcome = siege(tmp_path, seed=SEED, rounds=1, workers=2, nodes=3, rate=1000, faults=faults)
    Console().print(outcome.table())
    assert outcome.ok, outcome.verdict.examples
