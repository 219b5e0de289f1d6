"""What a change of a rule would have done in the last hour: tried by a process beside the one that counts."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from time import monotonic

import msgspec
from aiohttp import web

from app.main import app
from clickwarden.detection.rules import Rule
from web.refusal import Refusal
from web.revisions import RevisionRequest, draft

#: What is run; the rules are its standard input.
COMMAND = ("-m", "faust", "-A", "app", "rules", "try", "-", "--since", "1h", "--json")
#: Longest it may take, and then to say how far it has got, seconds.
SECONDS = 60.0
LAST_WORDS_SECONDS = 5.0
CPU_SECONDS = 120
#: Between two looks whether it is still wanted.
LOOK_SECONDS = 0.25
#: It is given what nobody else wants of the processor.
NICENESS = 19


class Previews:
    """Tries changes, one at a time."""

    def __init__(self) -> None:
        self._running = False
        self._stopped = False

    async def preview(self, name: str, asked: RevisionRequest, waiting: Callable[[], bool]) -> bytes:
        """A :class:`clickwarden.audit.comparison.Comparison` as JSON.

        Args:
            name: of the rule.
            asked: what becomes of it.
            waiting: whether somebody still waits for it.

        Raises:
            Refusal: as :meth:`web.revisions.draft` and :func:`tried`; or another is under way.
        """
        if self._running:
            raise Refusal(429, "another preview is under way at this worker: try again when it is done")
        self._running = True
        try:
            # Whether its tests fail is told when it is to be saved.
            new = await draft(name, asked, tested=False)
            return await tried([each.rule for each in new.drafts], lambda: waiting() and not self._stopped)
        finally:
            self._running = False

    async def stop(self, _: web.Application) -> None:
        """End what runs, and begin no other."""
        self._stopped = True


async def tried(
    rules: Sequence[Rule],
    wanted: Callable[[], bool],
    *,
    command: Sequence[str] = COMMAND,
    seconds: float = SECONDS,
) -> bytes:
    """What a process says of rules, that has the processor when nobody else wants it; it never outlives us.

    Args:
        rules: all that would be in force.
        wanted: whether somebody still waits for it.
        command: that tries them, of Python.
        seconds: it may take; then it is asked how far it has got.

    Raises:
        Refusal: it takes too long, fails, or is not wanted any more.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    # In our own session: Linux shares the processor out among sessions first, and is nice only within one.
    os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    if sys.platform == "linux":  # where the worker is killed, the kernel ends it
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    saying = asyncio.create_task(process.communicate(msgspec.json.encode({"rule": rules})))
    try:
        ended = await _ends(saying, seconds, wanted)
        if not ended and wanted():
            process.send_signal(signal.SIGTERM)
            await _ends(saying, LAST_WORDS_SECONDS, wanted)
    finally:
        if process.returncode is None:
            process.kill()  # what it decodes with ends by itself then
        answer, said = await saying
    if process.returncode == 0:
        return answer
    words = said.decode(errors="replace").strip().rpartition("\n")[2].removeprefix("clickwarden: ")
    if ended:
        raise Refusal(503, words or f"the preview has ended with status {process.returncode}")
    raise Refusal(
        503,
        f"the last hour was not gone through in {seconds:.0f} s ({words or 'it had hardly begun'}); "
        "try it with 'faust -A app rules try FILE --since 1h', which has no bound",
    )


async def _ends(task: asyncio.Task[tuple[bytes, bytes]], seconds: float, wanted: Callable[[], bool]) -> bool:
    """Whether a task ends in time, while it is wanted."""
    deadline = monotonic() + seconds
    while not task.done() and wanted() and monotonic() < deadline:
        await asyncio.wait([task], timeout=LOOK_SECONDS)
    return task.done()


previews = Previews()
app.web.web_app.on_shutdown.append(previews.stop)
