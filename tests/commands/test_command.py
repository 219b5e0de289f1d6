import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.interruption import INTERRUPTED
from tests.site import RULES


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_background_job_of_a_shell_ends_when_told(ending: signal.Signals, tmp_path: Path) -> None:
    """Such a shell has its jobs ignore SIGINT, and they inherit that."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        job = subprocess.Popen(
            (sys.executable, "-m", "faust", "-A", "app", "simulate", "--attack", "0"),
            env=os.environ
            | {
                "CLICKWARDEN_BROKER": "kafka://127.0.0.1:9",  # nobody answers there
                "CLICKWARDEN_DATA_DIR": str(tmp_path),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with job:
        try:
            assert job.stdout is not None
            assert "shoppers click" in job.stdout.readline()
            job.send_signal(ending)
            assert job.wait(timeout=30) == INTERRUPTED
        finally:
            job.kill()


#: Runs a command of Faust's, and sends itself SIGINT as a module is imported, or when it is done.
MOMENT = """
import atexit, os, signal, sys

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

class Importing:
    def find_spec(self, name, *_):
        if name == moment:
            interrupt()

moment = sys.argv.pop(1)
sys.meta_path.insert(0, Importing())
if moment == "the end":
    atexit.register(interrupt)
from faust.cli.faust import cli
cli()
"""


@pytest.mark.parametrize(
    "moment", ["app.main", "commands.command", "clickwarden.detection.ruletest", "the end"]
)
def test_ctrl_c_ends_it_without_a_word_before_it_begins_and_when_it_is_done(
    moment: str, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    done = subprocess.run(
        (sys.executable, "-c", MOMENT, moment, "-A", "app", "rules", "check", str(rules)),
        env=os.environ | {"CLICKWARDEN_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (INTERRUPTED, "")
    assert bool(done.stdout) == (moment == "the end")
