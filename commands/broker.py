"""``faust -A app broker``: Apache Kafka for development."""

from pathlib import Path
from typing import Any

import click
from faust.cli import AppCommand, option

from app.main import settings
from clickwarden.sandbox import broker
from commands.serving import serve


class Broker(AppCommand):  # type: ignore[misc]
    """Start Apache Kafka for development, on this machine alone.

    Nothing has to be installed for it: the first start downloads Kafka
    (about 45 MB), later ones take seconds. It runs until Ctrl-C, and keeps
    its topics for the next start.
    """

    options = [  # noqa: RUF012
        option(
            "--data",
            type=click.Path(file_okay=False, path_type=Path),
            default=settings.data_dir / "broker",
            show_default=True,
            help="Folder of Kafka's data and log.",
        ),
        option(
            "--port",
            type=click.IntRange(0, 65_000),
            default=broker.PORT,
            show_default=True,
            help="First port; each node takes two. 0: any that are free.",
        ),
        option(
            "--nodes",
            type=click.IntRange(1, 9),
            default=1,
            show_default=True,
            help="Brokers in the cluster; with 3 a topic survives the loss of any one.",
        ),
    ]

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Run until a signal comes or a node dies."""
        from rich.console import Console

        console = Console(highlight=False, soft_wrap=True)
        kafka = broker.Broker(self.kwargs["data"], port=self.kwargs["port"], nodes=self.kwargs["nodes"])

        def start() -> None:
            broker.jars()
            with console.status(f"Starting {broker.NAME}"):
                kafka.start()
            console.print(f"{broker.NAME} is ready at [bold]{kafka.bootstrap}[/]")
            console.print(f"  use it   export CLICKWARDEN_BROKER=kafka://{kafka.bootstrap}")
            for node in kafka.nodes:
                console.print(f"  log      {kafka.log(node)}")
            console.print("  stop it  Ctrl-C")

        serve(kafka, "Kafka", console, start)
