"""``faust -A app postgres``: PostgreSQL for development."""

import asyncio
from pathlib import Path
from typing import Any

import click
from faust.cli import AppCommand, option
from rich.console import Console

from app.main import settings
from clickwarden.sandbox import postgres, shop
from clickwarden.sandbox.ports import HOST
from commands.serving import serve


class Postgres(AppCommand):  # type: ignore[misc]
    """Start PostgreSQL for development, on this machine alone.

    Nothing has to be installed for it but the extra clickwarden[capture]. It
    has a database `shop` with a table of card transactions, and is ready to
    be captured from: a role that reads changes, `debezium`, and one that owns
    the table and writes, `shop`, neither of them a superuser. It runs until
    Ctrl-C, and keeps what is in it for the next start.
    """

    options = [  # noqa: RUF012
        option(
            "--data",
            type=click.Path(file_okay=False, path_type=Path),
            default=settings.data_dir / "postgres",
            show_default=True,
            help="Folder of its data, log and passwords.",
        ),
        option(
            "--port",
            type=click.IntRange(0, 65_000),
            default=postgres.PORT,
            show_default=True,
            help="Port. 0: any that is free.",
        ),
    ]

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Run until a signal comes or it dies."""
        console = Console(markup=False, highlight=False, soft_wrap=True)
        server = postgres.Postgres(self.kwargs["data"], port=self.kwargs["port"])

        def start() -> None:
            with console.status("Starting PostgreSQL"):
                server.start()
                asyncio.run(shop.open_at(server))
            psql = f"{server.program('psql')} {server.address(shop.OWNER, shop.DATABASE)}"
            console.print(f"PostgreSQL {server.version} is ready at {HOST}:{server.port}")
            console.print(f"  use it   export PGPASSFILE={server.passwords}")
            console.print(f"           {psql}")
            theirs = server.data == settings.data_dir / "postgres"  # where 'register' looks by itself
            owner = "" if theirs else f" --database {server.address(shop.OWNER, shop.DATABASE)}"
            register = f"faust -A app connect register public.transactions --key card_id{owner}"
            console.print(f"  capture  {register}")
            console.print(f"  log      {server.log}")
            console.print("  stop it  Ctrl-C")

        serve(server, "PostgreSQL", console, start)
