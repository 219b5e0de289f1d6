"""The runtime of models keeps to itself."""

import subprocess
import sys
from pathlib import Path

LOADS = "from clickwarden.models.session import Session\ntry:\n    Session(b'')\nexcept Exception: pass"


def test_the_runtime_writes_nothing_and_tells_nobody(tmp_path: Path) -> None:
    # Without CI of the environment: where it stands, the runtime is silent by itself.
    place = str(tmp_path)
    environment = {"HOME": place, "TMPDIR": place, "XDG_CACHE_HOME": place, "PYTHONPATH": str(Path.cwd())}
    run = subprocess.run(
        [sys.executable, "-c", LOADS], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    assert list(tmp_path.rglob("*")) == []
