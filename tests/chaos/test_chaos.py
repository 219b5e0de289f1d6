"""A short siege, of another seed each time; ``make chaos`` lays the long ones."""

from pathlib import Path
from random import randrange

from rich.console import Console

from tests.chaos.siege import siege


def test_a_short_siege(tmp_path: Path) -> None:
    seed = randrange(10**6)
    print(f"again: make chaos SEED={seed} ROUNDS=4 WORKERS=2 RATE=3000")
    outcome = siege(tmp_path, seed=seed, rounds=4, workers=2, nodes=1, rate=3000)
    Console().print(outcome.table())
    assert outcome.ok, outcome.verdict.examples
