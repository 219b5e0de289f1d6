"""The command line: ``python -m bench``."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from app.broker import Broker
from app.errors import ClickwardenError


class Benchmarks(click.Group):
    """Without a name it is ``throughput``."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        """Put the name in where there is none."""
        if not arguments or arguments[0] not in (*self.commands, "--help"):
            arguments = ["throughput", *arguments]
        return super().parse_args(context, arguments)


@click.group(cls=Benchmarks, context_settings={"show_default": True})
def main() -> None:
    """Measure Clickwarden, beside what else could do its job.

    Figures are printed, and kept in bench/results/. Ratios within one run are
    what counts. A Kafka is started for the run unless --broker names one. Exit
    code 1: an output was wrong.
    """


number = click.IntRange(min=1)
broker = click.option(
    "--broker", metavar="HOST:PORT", help="A Kafka that is running; new topics are left in it."
)
partitions = click.option("--partitions", type=number, default=4, help="Of the clicks topic.")


@main.command()
@click.option("--clicks", type=number, default=2_000_000, help="Clicks in the topic.")
@partitions
@click.option("--runs", type=number, default=3, help="Runs of each contender.")
@click.option("--seed", type=click.IntRange(min=0), default=7, help="Of the load.")
@broker
def throughput(broker: str | None, **sizes: int) -> None:
    """Clicks a second, beside a bare consumer."""
    from bench import throughput

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(throughput.measure(bootstrap, folder, **sizes))


@main.command()
@click.option(
    "--rate", type=click.FloatRange(min=1), default=5_000.0, help="Clicks a second of all shoppers."
)
@click.option("--seconds", type=number, default=30, help="Seconds of attacks, eight in each.")
@partitions
@broker
def latency(broker: str | None, rate: float, seconds: int, partitions: int) -> None:
    """From the 51st click to its alert."""
    from bench import latency

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(latency.measure(bootstrap, folder, partitions, rate, seconds))


@main.command()
@click.option("--clicks", type=number, default=3_000_000, help="Clicks in the topic.")
@click.option("--listeners", type=number, default=200, help="Open live connections.")
@partitions
@click.option("--runs", type=number, default=3, help="Runs of each case.")
@broker
def page(broker: str | None, **sizes: int) -> None:
    """Clicks a second while 200 look at the page and 10,000 alerts come."""
    from bench import page

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(page.measure(bootstrap, folder, **sizes))


@main.command()
def sketch() -> None:
    """False alerts of the sketch; no Kafka needed. Draws docs/img/sketch-error.svg."""
    from bench import sketch

    _exit(sketch.measure())


@main.command()
@click.option("--lines", type=click.IntRange(min=10_000), default=1_000_000, help="Lines of the access log.")
@click.option("--runs", type=number, default=3, help="Runs.")
def scan(lines: int, runs: int) -> None:
    """Lines a second of 'faust -A app scan'; no Kafka needed."""
    from bench import scan

    with _folder() as folder:
        _exit(scan.measure(folder, lines, runs))


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="clickwarden-bench-") as name:
        yield Path(name)


@contextmanager
def _kafka(running: str | None, folder: Path) -> Iterator[str]:
    if running:
        yield running
        return
    with Broker(folder / "kafka", port=0) as started:
        yield started.bootstrap


def _exit(right: bool) -> None:
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        main()
    except ClickwardenError as error:
        sys.exit(f"bench: {error}")
