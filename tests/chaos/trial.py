"""A trial by chance: what it brought is printed, and its logs are kept where a promise was broken."""

import logging
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tests.chaos.cluster import Broken
from tests.chaos.outcome import Outcome


def hold(name: str, seed: int, again: str, trial: Callable[[Path], Outcome]) -> None:
    """Hold a trial in a folder of its own; exit code 1 when a promise is broken.

    Args:
        name: of the trial.
        seed: that draws what happens.
        again: the command that repeats it.
        trial: takes the folder.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # outages are what this is about
    folder = Path(tempfile.mkdtemp(prefix=f"clickwarden-{name}-"))
    print(f"seed {seed}: {again}", flush=True)
    try:
        outcome = trial(folder)
        Console().print(outcome.table())
        for fault, examples in outcome.examples.items():
            print(f"{fault}:", *examples, sep="\n  ")
        ok = outcome.ok
    except Broken as error:
        print(f"broken: {error}", *getattr(error, "__notes__", ()), sep="\n  ")
        ok = False
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        sys.exit(130)
    if not ok:
        sys.exit(f"seed {seed}; logs in {folder}; again: {again}")
    shutil.rmtree(folder)
