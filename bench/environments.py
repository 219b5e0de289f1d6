"""An environment of its own for a peer whose libraries are not ours."""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from rich.console import Console

from clickwarden.errors import ClickwardenError

FOLDER = Path(__file__).parent / "peers"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python")


def python(peer: str, cache: Path) -> str:
    """The interpreter that runs a peer.

    Ours, unless ``peers/PEER.txt`` pins what it needs: then that of an
    environment under ``cache``, made when it is first asked for, and anew
    when the pins change.

    Raises:
        ClickwardenError: what is pinned cannot be installed.
    """
    pins = FOLDER / f"{peer}.txt"
    if not pins.exists():
        return sys.executable
    made_of = hashlib.sha256(sys.version.encode() + pins.read_bytes()).hexdigest()[:12]
    folder = cache / f"{peer}-{made_of}"
    interpreter, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        Console(stderr=True).print(f"Installing {peer} in {folder}, this once", style="dim")
        venv.create(folder, clear=True)
        done = subprocess.run(
            [*PIP, str(interpreter), "install", "--quiet", "--requirement", str(pins)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ClickwardenError(
                f"{peer} cannot be installed: {done.stderr.strip()}\n"
                "It needs the network, once; --peers names others"
            )
        ready.touch()
    return str(interpreter)
