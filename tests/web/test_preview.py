"""What a change would have done is tried by a process that yields to the counting and ends with who asked."""

import asyncio
import os
from pathlib import Path

import msgspec
import psutil
import pytest

from clickwarden.detection.rules import Rule
from web.preview import NICENESS, tried
from web.revisions import Refusal

BOT = Rule(name="bot", window=60, threshold=50)

#: Gives back what it is given, and how nice it is.
ECHO = "import os, sys; rules = sys.stdin.read(); print(os.nice(0), rules, end='')"
#: Says its name and that of its own child, and then nothing.
HANGS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""
STOPPED = """
import signal, sys, time
def stop(*_):
    sys.stderr.write("one\\nstopped: 5 of 9 clicks were counted\\n")
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
time.sleep(600)
"""


def always() -> bool:
    return True


async def test_it_is_given_the_rules_and_what_is_left_of_the_processor() -> None:
    answer = await tried([BOT, BOT], always, command=("-c", ECHO))
    nice, _, rules = answer.partition(b" ")
    assert int(nice) == NICENESS > os.nice(0)
    assert msgspec.json.decode(rules, type=dict[str, list[Rule]]) == {"rule": [BOT, BOT]}


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('clickwarden: Kafka is away; start it')", "Kafka is away; start it"),
        ("import sys; sys.stderr.write('a warning\\nthe reason\\n'); sys.exit(1)", "the reason"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "the preview has ended with status -9"),
    ],
)
async def test_what_fails_says_why(program: str, said: str) -> None:
    with pytest.raises(Refusal) as caught:
        await tried([BOT], always, command=("-c", program))
    assert (caught.value.status, str(caught.value)) == (503, said)


async def test_what_takes_too_long_says_how_far_it_got() -> None:
    with pytest.raises(Refusal, match=r"not gone through in 2 s \(stopped: 5 of 9 clicks were counted\)"):
        await tried([BOT], always, command=("-c", STOPPED), seconds=2)


def written(path: Path) -> list[psutil.Process]:
    names = path.read_text().split() if path.exists() else []
    return [psutil.Process(int(name)) for name in names]


async def begun(path: Path) -> list[psutil.Process]:
    """The process, and its child."""
    while len(processes := written(path)) < 2:  # noqa: ASYNC110 - another writes it
        await asyncio.sleep(0.02)
    return processes


async def test_it_ends_with_who_asked_and_so_does_what_it_began(tmp_path: Path) -> None:
    asks = True
    path = tmp_path / "pids"
    trying = asyncio.create_task(tried([BOT], lambda: asks, command=("-c", HANGS, str(path))))
    processes = await begun(path)
    asks = False
    with pytest.raises(Refusal):
        await trying
    assert psutil.wait_procs(processes, timeout=10)[1] == []


async def test_it_ends_where_the_request_is_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    trying = asyncio.create_task(tried([BOT], always, command=("-c", HANGS, str(path))))
    processes = await begun(path)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    assert psutil.wait_procs(processes, timeout=10)[1] == []
