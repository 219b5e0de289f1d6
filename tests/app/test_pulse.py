"""A process that stands still ends by itself, whatever holds it up."""

import signal
import subprocess
import sys
import time

import pytest

from app.pulse import EXIT_CODE

PROGRAM = """
import asyncio, ctypes, time
from app.pulse import Pulse

async def main():
    beating = asyncio.create_task(Pulse(1.5).beat())
    await asyncio.sleep({alive})
    print("alive", flush=True)
    {then}

asyncio.run(main())
"""


CHATTER = """
import sys, threading, time
from app.pulse import end

def chatter():
    while True:
        print("behind", file=sys.stderr)
        sum(range(50_000))

for _ in range(8):
    threading.Thread(target=chatter, daemon=True).start()
time.sleep(0.1)
end("why", 70)
"""


def start(then: str, alive: float = 0.6, stderr: int | None = None) -> subprocess.Popen[bytes]:
    program = PROGRAM.format(then=then, alive=alive)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=stderr)


@pytest.mark.parametrize(
    "hang",
    [
        "time.sleep(600)",
        "ctypes.CDLL(None).sleep(600)",
        "while True: pass",
        "open('/dev/stderr', 'wb', 0).write(bytes(1 << 20))",
    ],
    ids=["blocked", "in C, with the lock released", "busy", "on a pipe that nobody reads"],
)
def test_a_loop_that_never_wakes_up(hang: str) -> None:
    with start(hang, stderr=subprocess.PIPE) as process:
        assert process.wait(30) == EXIT_CODE


def test_it_says_why() -> None:
    with start("time.sleep(600)", stderr=subprocess.PIPE) as process:
        _, said = process.communicate(timeout=30)
    assert b"the worker stood still for" in said
    assert b"CLICKWARDEN_SESSION_TIMEOUT" in said


def test_nothing_that_others_log_comes_behind_it() -> None:
    for _ in range(5):
        said = subprocess.run([sys.executable, "-c", CHATTER], stderr=subprocess.PIPE, timeout=30).stderr
        assert said.startswith(b"behind")
        assert said.endswith(b"clickwarden: why: exiting\n")


def test_a_frozen_process_that_wakes_up() -> None:
    with start("await asyncio.sleep(600)", stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"alive\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)  # the freeze itself
        process.send_signal(signal.SIGCONT)
        assert process.wait(30) == EXIT_CODE


def test_one_that_beats_lives_and_ends_as_it_likes() -> None:
    with start("beating.cancel(); await asyncio.wait([beating]); time.sleep(2)", alive=2.5) as process:
        assert process.wait(30) == 0
