"""The demo: an alert within a minute of nothing running, and nothing left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.alone


def start(folder: Path, *options: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "faust", "-A", "app", "demo", *options],
        env=os.environ | {"TMPDIR": str(folder)} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def first_look(output: str) -> dict[str, Any]:
    """What the page says now whose address the demo has said."""
    address = re.search(r"The page is at (\S+)", output)
    assert address
    with urllib.request.urlopen(f"{address[1]}api/v1/now") as answer:
        said: dict[str, Any] = json.load(answer)
    return said


def left(folder: Path) -> list[str]:
    """Files of the demo, and processes that were told of its folder."""
    processes = [
        process.info["name"]
        for process in psutil.process_iter(["name", "environ"])
        if (process.info["environ"] or {}).get("TMPDIR") == str(folder)
    ]
    return processes + [path.name for path in folder.iterdir()]


def test_an_alert_within_a_minute_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    with start(tmp_path) as demo:
        assert demo.stdout
        output, alert = "", False
        for line in demo.stdout:
            output += line
            if not alert and "ongoing" in line and "attacker" in line:
                alert = True
                assert time.monotonic() - began < 60
                demo.send_signal(signal.SIGINT)
    assert alert, output
    assert demo.returncode == 130
    assert "The page is at http://127.0.0.1:" in output
    assert "Traceback" not in output
    assert left(tmp_path) == []


def test_a_stolen_card_in_a_captured_table_is_told_within_a_minute(tmp_path: Path) -> None:
    began = time.monotonic()
    with start(tmp_path, "--capture") as demo:
        assert demo.stdout
        output, victim, told = "", "", False
        for line in demo.stdout:
            output += line
            if found := re.search(r"somebody shops with (\S+),", line):
                victim = found[1]
            if not told and victim and "pipeline/fraud" in line and victim in line:
                told = True
                assert time.monotonic() - began < 60
                now = first_look(output)
                demo.send_signal(signal.SIGINT)
    assert told, output
    assert demo.returncode == 130
    assert "Traceback" not in output
    assert (now["verdict"]["blind"], now["health"]["impaired"]) == (False, [])
    (capture,) = now["health"]["captures"]
    assert (capture["state"], capture["slot"], capture["active"]) == ("RUNNING", "reserved", True)
    assert left(tmp_path) == []


MARKS = {"kafka": "kafka.Kafka", "connect": "org.apache.kafka.connect.cli.ConnectDistributed"}
NAMES = {"kafka": "Kafka's node 1 died", "connect": "Kafka Connect died", "postgres": "PostgreSQL died"}


@pytest.mark.parametrize("part", ["worker", "kafka", "connect", "postgres"])
def test_a_part_that_dies_is_named_and_ends_it(tmp_path: Path, part: str) -> None:
    guarded = {"CLICKWARDEN_WEB_BIND": "0.0.0.0", "CLICKWARDEN_WEB_TOKEN": "let me in"}
    options = ["--capture"] if part in ("connect", "postgres") else []
    with start(tmp_path, *options, **(guarded if part == "worker" else {})) as demo:
        assert demo.stdout
        output = ""
        for line in demo.stdout:
            output += line
            if "shoppers click" in line or "customers order on" in line:
                mark = MARKS.get(part, part)
                (victim,) = (
                    child
                    for child in psutil.Process(demo.pid).children(recursive=True)
                    if mark in child.cmdline() or (child.name() == mark != child.parent().name())
                )
                victim.kill()
    assert demo.returncode == 1, output
    assert f"clickwarden: {NAMES.get(part, part)}" in output
    assert "Traceback" not in output
    assert left(tmp_path) == []
