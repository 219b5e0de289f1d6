"""A short siege, the same each time; ``make chaos`` lays the long ones, of other seeds."""

import os
from pathlib import Path
from random import randrange

import pytest
from rich.console import Console

from tests.chaos import sabotage
from tests.chaos.changes import change
from tests.chaos.faults import network
from tests.chaos.models import swap
from tests.chaos.siege import siege
from tests.chaos.telling import tell

pytestmark = pytest.mark.alone

SEED = 11


def test_a_short_siege(tmp_path: Path) -> None:
    print(f"again: make chaos SEED={SEED} ROUNDS=3 WORKERS=2 RATE=3000")
    outcome = siege(tmp_path, seed=SEED, rounds=3, workers=2, nodes=1, rate=3000)
    Console().print(outcome.table())
    assert outcome.ok, outcome.verdict.examples


def test_rules_that_change_under_load_and_kills(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or randrange(10**6))
    print(f"again: make changes SEED={seed} CHANGES=8 KILLS=2 WORKERS=2 RATE=2000")
    outcome = change(tmp_path, seed=seed, changes=8, kills=2, workers=2, rate=2000)
    Console().print(outcome.table())
    assert outcome.ok, outcome.verdict.examples
    assert outcome.figures["changes of the rules"] == 8


def test_models_that_change_under_load_and_kills(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or randrange(10**6))
    print(f"again: make models SEED={seed} KILLS=2 SWAPS=3 WORKERS=2 RATE=1000")
    outcome = swap(tmp_path, seed=seed, kills=2, swaps=3, workers=2, rate=1000)
    Console().print(outcome.table())
    assert outcome.ok, outcome.examples
    assert outcome.figures["champions' alarms"] > 50


def test_workers_killed_while_they_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in sabotage.hook(tmp_path, "soon_over").items():
        monkeypatch.setenv(variable, value)
    seed = int(os.environ.get("SEED") or randrange(10**6))
    print(f"again: make telling SEED={seed} KILLS=2 WORKERS=1 AWAY=3 SPELL=3")
    outcome = tell(tmp_path, seed=seed, kills=2, workers=1, away=3, spell=3)
    Console().print(outcome.table())
    assert outcome.ok, (outcome.complaints, outcome.verdict.examples)
    assert outcome.kills == 2


def test_a_worker_is_cut_off_from_the_coordinator(tmp_path: Path) -> None:
    faults = [network.coordinator_cut_off]
    outcome = siege(tmp_path, seed=SEED, rounds=1, workers=2, nodes=3, rate=1000, faults=faults)
    Console().print(outcome.table())
    assert outcome.ok, outcome.verdict.examples
