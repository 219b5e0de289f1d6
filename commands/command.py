"""How a command of ours runs."""

import asyncio
import logging
import signal
import sys
from typing import Any, ClassVar, NoReturn

import click
from faust.cli import AppCommand
from faust.cli.base import cli

from app.interruption import INTERRUPTED, end_where_interrupted
from clickwarden.errors import ClickwardenError

#: It was done, but so much cannot be counted that the result says little.
BLIND = 3


class AsyncCommand(AppCommand):  # type: ignore[misc]
    """Runs ``run()`` without Faust's worker around it.

    An error raised on purpose becomes one line and exit code 1; Ctrl-C and
    SIGTERM cancel ``run()`` and make it exit code 130, as Ctrl-C does before
    and after it.
    """

    abstract: ClassVar[bool] = True

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run it, and exit."""
        # aiokafka logs every attempt to connect; we say once that Kafka is away.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        try:
            try:
                self._run()
            finally:
                end_where_interrupted()
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except ClickwardenError as error:
            sys.exit(f"clickwarden: {error}")
        sys.exit(0)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.get_loop()
            # A shell has its background jobs ignore SIGINT, and asyncio then lets it be.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
            runner.run(self.run(*self.args, **self.kwargs))


def group(name: str, help: str, alone: type[AppCommand] | None = None) -> click.Group:
    """A command that does several things, each an :class:`Action` with options and a help of its own.

    ``alone``, an abstract command with options, is what it does where none of them is named.
    """

    def begin(context: click.Context, *args: Any, **kwargs: Any) -> None:
        if alone is not None and context.invoked_subcommand is None:
            alone(context, *args, **kwargs)()

    decorated = click.pass_context(begin)
    for option in reversed((alone and alone.options) or ()):
        decorated = option(decorated)
    made: click.Group = cli.group(name, help=help, invoke_without_command=alone is not None)(decorated)
    return made


class Action(AsyncCommand):
    """One thing that a command does: ``faust -A app COMMAND ACTION``."""

    abstract: ClassVar[bool] = True

    group: ClassVar[click.Group]
    action: ClassVar[str]

    @classmethod
    def as_click_command(cls) -> click.Command:
        """Make it part of its command."""

        def begin(context: click.Context, *args: Any, **kwargs: Any) -> None:
            cls(context, *args, **kwargs)()

        made = click.pass_context(begin)
        for option in reversed(cls.options or ()):
            made = option(made)
        return cls.group.command(cls.action, help=cls.__doc__)(made)
