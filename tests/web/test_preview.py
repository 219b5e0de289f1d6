"""What a change would have done is tried by a process that yields to the counting and ends with who asked."""

import asyncio
import os
from pathlib import Path

import msgspec
import psutil
import pytest

from clickwarden.detection.rules import Rule
from web.preview import NICENESS, tried
from web.refusal import Refusal

BOT = Rule(name="bot", window=60, threshold=50)

#: Gives back what it is given, how nice it is, and in which session, within which alone that counts.
ECHO = "import os, sys; rules = sys.stdin.read(); print(os.nice(0), os.getsid(0), rules, end='')"
#: Says its name, and then nothing.
HANGS = """
import os, sys, time
with open(sys.argv[1], "w") as file:
    file.write(f"{os.getpid()}\\n")
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
    nice, session, rules = answer.split(b" ", 2)
    assert int(nice) == NICENESS > os.nice(0)
    assert int(session) == os.getsid(0)
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


def name_in(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def begun(path: Path) -> psutil.Process:
    """The process that has written its name there."""
    while not (name := name_in(path)).endswith("\n"):  # noqa: ASYNC110 - another writes it
        await asyncio.sleep(0.02)
    return psutil.Process(int(name))


async def test_it_ends_with_who_asked(tmp_path: Path) -> None:
    asks = True
    path = tmp_path / "pid"
    trying = asyncio.create_task(tried([BOT], lambda: asks, command=("-c", HANGS, str(path))))
    process = await begun(path)
    asks = False
    with pytest.raises(Refusal):
        await trying
    assert not process.is_running()


async def test_it_ends_where_the_request_is_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    trying = asyncio.create_task(tried([BOT], always, command=("-c", HANGS, str(path))))
    process = await begun(path)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    assert not process.is_running()
