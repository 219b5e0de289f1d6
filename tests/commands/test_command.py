import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from commands.command import INTERRUPTED


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
