"""How a command runs a server for development."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, Protocol

from rich.console import Console

from clickwarden.errors import ClickwardenError


class Server(Protocol):
    """What runs until it is stopped."""

    def stop(self) -> None:
        """Shut it down, whatever of it runs."""
        ...

    def wait(self) -> NoReturn:
        """Watch over it for ever; raise a ClickwardenError where it dies by itself."""
        ...


def serve(server: Server, name: str, console: Console, start: Callable[[], None]) -> None:
    """Start it by ``start``, which also says so, and run it until a signal comes or it dies."""
    try:
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, _interrupt)
        start()
        server.wait()
    except KeyboardInterrupt:
        console.print(f"Stopping {name}")
    except ClickwardenError as error:
        sys.exit(f"clickwarden: {error}")
    finally:
        server.stop()


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
