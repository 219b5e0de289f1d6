"""``scan``: a file is whole, however its lines are ordered."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

T = 1_600_000_020  # start of a window of 60 s
RULES = """
[[rule]]
name = "bot"
window = 60
threshold = 50
"""


def lines(user: str, count: int, time: float) -> list[str]:
    return [json.dumps({"user_id": user, "event": "view", "timestamp": time})] * count


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Of eve most clicks, and of bob all that take him over the threshold, stand behind a later minute."""
    (tmp_path / "rules.toml").write_text(RULES)
    path = tmp_path / "clicks.ndjson"
    told = lines("eve", 55, T) + lines("bob", 40, T) + lines("ann", 40, T)
    late = lines("eve", 5, T + 1) + lines("bob", 20, T + 1) + lines("ann", 5, T + 1)
    path.write_text("\n".join(told + lines("joe", 20, T + 65) + late + lines("joe", 20, T + 200) + late[:5]))
    return path


def scan(log: Path, *options: str) -> subprocess.CompletedProcess[str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("CLICKWARDEN_")}
    done = subprocess.run(
        (sys.executable, "-m", "faust", "-A", "app", "scan", str(log), *options),
        env=others | {"CLICKWARDEN_RULES": str(log.with_name("rules.toml")), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "210 lines, 0 skipped, 35 late; 2 anomalies" in done.stderr
    return done


def test_each_case_is_printed_once_closed_with_its_final_figures(log: Path) -> None:
    anomalies = [json.loads(line) for line in scan(log, "--json").stdout.splitlines()]
    assert [(each["user_id"], each["count"], each["count_high"]) for each in anomalies] == [
        ("eve", 65, 65),
        ("bob", 60, 60),
    ]
    assert {(each["status"], each["revision"]) for each in anomalies} == {("closed", 0)}


def test_people_are_shown_the_same(log: Path) -> None:
    found = [line.split() for line in scan(log).stdout.splitlines() if not line.startswith(" ")]
    assert [(words[0], words[4]) for words in found] == [("closed", "eve"), ("closed", "bob")]
    assert found[0][5] == "65"
