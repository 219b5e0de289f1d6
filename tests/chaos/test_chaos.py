"""A short siege, the same each time; ``make chaos`` lays the long ones, of other seeds."""

from pathlib import Path

from rich.console import Console

from tests.chaos.siege import siege

SEED = 11


def test_a_short_siege(tmp_path: Path) -> None:
    print(f"again: make chaos SEED={SEED} ROUNDS=3 WORKERS=2 RATE=3000")
    outcome = siege(tmp_path, seed=SEED, rounds=3, workers=2, nodes=1, rate=3000)
    Console().print(outcome.table())
    assert outcome.ok, outcome.verdict.examples
