"""What ends the servers that we started, when we have died."""

import signal
import subprocess


class Watchdog:
    """Leads a process group, and ends what is in it once our process has died, however that did.

    A server joins by ``Popen(…, process_group=watchdog.group)``; a terminal's Ctrl-C then does not
    reach it either, and how it ends is ours to say.

    Args:
        ending: the signal by which the servers end in order.
        seconds: how long they have for it before they are killed.
    """

    def __init__(self, ending: signal.Signals, seconds: float) -> None:
        name = ending.name.removeprefix("SIG")
        # Its stdin ends when our process does.
        script = f"read -r _; trap '' {name}; kill -{name} 0; sleep {seconds:.0f}; kill -KILL 0"
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        self.group = self._process.pid

    def dismiss(self) -> None:
        """End it, where nothing is left to watch over."""
        self._process.kill()
        self._process.communicate()
