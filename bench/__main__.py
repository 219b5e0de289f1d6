"""The command line: ``python -m bench``."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from clickwarden.errors import ClickwardenError
from clickwarden.sandbox.broker import Broker


class Benchmarks(click.Group):
    """The benchmarks; without a name, ``throughput``."""

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
    code 1: an output of Clickwarden was wrong.
    """


number = click.IntRange(min=1)
broker = click.option(
    "--broker", metavar="HOST:PORT", help="A Kafka that is running; new topics are left in it."
)
partitions = click.option("--partitions", type=number, default=4, help="Of the clicks topic.")
seed = click.option("--seed", type=click.IntRange(min=0), default=7, help="Of the load.")


def clicks(default: int, help: str) -> Any:
    """The option for the size of the load."""
    return click.option("--clicks", type=number, default=default, help=help)


@main.command()
@click.option("--peers", metavar="NAMES", default="usual", help="Names with commas between, usual, or all.")
@clicks(2_000_000, "Clicks in the topic; slow peers get a share.")
@partitions
@click.option("--runs", type=number, default=3, help="Runs of each contender.")
@seed
@broker
def throughput(broker: str | None, peers: str, **sizes: int) -> None:
    """Clicks a second, beside others.

    The usual peers are a bare aiokafka consumer, Quix Streams and idiomatic
    Faust. All: also two workers, a bare confluent-kafka consumer and Flink SQL,
    which is a download of 400 MB, once.
    """
    from bench import throughput
    from bench.contenders import CONTENDERS, USUAL

    named = {"usual": USUAL, "all": tuple(CONTENDERS)}.get(peers) or ("clickwarden", *peers.split(","))
    unknown = [name for name in named if name not in CONTENDERS]
    if unknown:
        raise click.BadParameter(
            f"{', '.join(unknown)}: use usual, all, or names of {', '.join(CONTENDERS)}", param_hint="--peers"
        )
    contenders = [CONTENDERS[name] for name in dict.fromkeys(named)]
    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(throughput.measure(bootstrap, folder, contenders, **sizes))


@main.command()
@click.argument("names", nargs=-1)
@broker
def curves(broker: str | None, names: tuple[str, ...]) -> None:
    """What a click costs as one thing grows.

    NAMES: users, rules, partitions, window, garbage, disorder, size, workers; all where none is given.
    """
    from bench import curves

    unknown = [name for name in names if name not in curves.CURVES]
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}: use {', '.join(curves.CURVES)}", param_hint="NAMES")
    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(curves.measure(bootstrap, folder, names or tuple(curves.CURVES)))


@main.command()
@clicks(2_000_000, "Clicks in the topic.")
@partitions
@seed
@broker
def profile(broker: str | None, **sizes: int) -> None:
    """A click's way through the worker, step by step, in CPU µs."""
    from bench import profile

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(profile.measure(bootstrap, folder, **sizes))


@main.command()
@clicks(2_000_000, "To count; a minute of event time is a million.")
@partitions
@seed
@click.option("--rounds", type=number, default=3, help="Of which the fastest counts.")
def slide(**sizes: int) -> None:
    """What it costs that the windows of bot overlap: time a click, memory."""
    from bench import slide

    _exit(slide.measure(**sizes))


@main.command()
@click.option("--anomalies", type=number, default=60_000, help="To send and to read, 40 of each incident.")
@partitions
@broker
def anomalies(broker: str | None, **sizes: int) -> None:
    """What an anomaly costs a worker once it is found, in CPU µs."""
    from bench import anomalies

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(anomalies.measure(bootstrap, folder, **sizes))


@main.command()
@clicks(10_000_000, "Clicks that wait.")
@partitions
@seed
@broker
def backlog(broker: str | None, **sizes: int) -> None:
    """What waits for a worker that was away, at full speed."""
    from bench import backlog

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(backlog.measure(bootstrap, folder, **sizes))


@main.command()
@clicks(10_000_000, "Clicks in the topic.")
@partitions
@seed
@broker
def history(broker: str | None, **sizes: int) -> None:
    """A topic through a draft of rules, beside the worker that counts it."""
    from bench import history

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(history.measure(bootstrap, folder, **sizes))


@main.command()
@click.option(
    "--rate",
    "rates",
    type=click.FloatRange(min=1),
    multiple=True,
    default=(1_000, 10_000, 50_000),
    help="Clicks a second of all shoppers; may be repeated.",
)
@click.option("--seconds", type=number, default=60, help="Seconds of attacks, eight in each.")
@partitions
@broker
def latency(broker: str | None, rates: tuple[float, ...], seconds: int, partitions: int) -> None:
    """From the 51st click to its alert."""
    from bench import latency

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(latency.measure(bootstrap, folder, partitions, rates, seconds))


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
@clicks(2_000_000, "Clicks in the topic.")
@partitions
@click.option("--runs", type=number, default=3, help="Runs of each case.")
@click.option("--rate", type=click.FloatRange(min=1), default=10_000, help="Clicks a second of all shoppers.")
@click.option("--seconds", type=number, default=60, help="Seconds of attacks, eight in each.")
@broker
def telling(broker: str | None, rate: float, **sizes: int) -> None:
    """From the 51st click to the message, and clicks a second while people are told."""
    from bench import telling

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(telling.measure(bootstrap, folder, rate=rate, **sizes))


@main.command()
def sketch() -> None:
    """False alerts of the sketch; no Kafka needed. Draws docs/img/sketch-error.svg."""
    from bench import sketch

    _exit(sketch.measure())


@main.command()
def scorecard() -> None:
    """What the shipped rules find, how soon, and whom they alarm by mistake; no Kafka needed.

    Writes docs/scorecard.md anew. Exit code 1: a score is worse than on the page that is committed.
    """
    from bench import scorecard
    from bench.trial import Scale

    _exit(scorecard.measure(Scale()))


@main.command()
@click.option("--seconds", type=number, default=10, help="Seconds of each run.")
@click.option("--runs", type=number, default=3, help="Runs of each size of request.")
@broker
def collect(broker: str | None, seconds: int, runs: int) -> None:
    """Clicks a second that one core takes over HTTP."""
    from bench import collect

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(collect.measure(bootstrap, folder, seconds, runs))


@main.command()
@click.option("--lines", type=click.IntRange(min=10_000), default=1_000_000, help="Lines of the access log.")
@click.option("--runs", type=number, default=3, help="Runs.")
def scan(lines: int, runs: int) -> None:
    """Lines a second of 'faust -A app scan'; no Kafka needed."""
    from bench import scan

    with _folder() as folder:
        _exit(scan.measure(folder, lines, runs))


@main.command()
@click.option("--clicks", type=number, default=200_000, help="Clicks of each shape.")
@click.option("--runs", type=number, default=9, help="Runs of each shape.")
def records(clicks: int, runs: int) -> None:
    """Clicks nested, in arrays and in envelopes, beside flat ones; no Kafka needed."""
    from bench import records

    _exit(records.measure(clicks, runs))


@main.command()
@click.option("--clicks", type=number, default=100_000, help="Clicks a turn.")
@click.option("--turns", type=number, default=15, help="Turns of each.")
def conditions(clicks: int, turns: int) -> None:
    """What conditions on fields of a click cost; no Kafka needed."""
    from bench import conditions

    _exit(conditions.measure(clicks, turns))


@main.command()
@click.option("--clicks", type=number, default=100_000, help="Clicks.")
@click.option("--runs", type=number, default=5, help="Runs of each set of rules.")
def kinds(clicks: int, runs: int) -> None:
    """What eight rules of all kinds cost, beside the three shipped; no Kafka needed."""
    from bench import kinds

    _exit(kinds.measure(clicks, runs))


@main.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Folder with the sets: tables as NAME.csv.gz, Numenta's series in nab/.",
)
@click.option("--detectors", default="", help="Names with commas between; all where none is given.")
@seed
def learned(data: Path, detectors: str, seed: int) -> None:
    """How well the detectors do on labelled sets, as shipped; no Kafka needed."""
    from bench import learned

    with _folder() as folder:
        _exit(learned.measure(data, folder, [name for name in detectors.split(",") if name], seed))


@main.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="Card transactions as those of pipelines/fraud, whose habits shift on the 26th day.",
)
def drift(data: Path) -> None:
    """Whether drift is told on its first day and on no clean one; no Kafka needed."""
    from bench import drift

    _exit(drift.measure(data))


@main.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with Numenta's series in nab/.",
)
@seed
def series(data: Path, seed: int) -> None:
    """Time series learnt together, by one threshold for all and by one for each; no Kafka needed."""
    from bench import series

    with _folder() as folder:
        _exit(series.measure(data, folder, seed))


@main.command()
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Card transactions as those of pipelines/fraud.",
)
def spark(data: Path) -> None:
    """The features of a file by Spark, beside the same without it; no Kafka needed."""
    from bench import spark

    with _folder() as folder:
        _exit(spark.measure(data, folder))


@main.command()
@click.option("--records", type=number, default=200_000, help="Records of each load.")
@click.option("--runs", type=number, default=3, help="Runs of each load.")
def features(records: int, runs: int) -> None:
    """What the features of a pipeline's records cost; no Kafka needed."""
    from bench import features

    _exit(features.measure(records, runs))


@main.command()
@click.option("--records", type=number, default=1_000_000, help="Records in the topic; peers get a share.")
@click.option("--runs", type=number, default=3, help="Runs of each contender.")
@click.option("--alone", is_flag=True, help="Without peers.")
@broker
def scoring(broker: str | None, records: int, runs: int, alone: bool) -> None:
    """A worker that scores the topic of a pipeline, with its changelog, beside others.

    The others score five fields of a record as they come, and keep no state: Quix Streams with an ONNX
    forest, and a consumer's loop that asks scikit-learn about one record after the other.
    """
    from bench import scoring
    from bench.scorers import ARTICLE, QUIX

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(scoring.measure(bootstrap, folder, records, runs, [] if alone else [QUIX, ARTICLE]))


@main.command()
@click.option("--rate", type=number, default=5_000, help="Records a second where few are alarmed.")
@click.option("--alarming", type=number, default=4_200, help="Records a second where nearly all are.")
@click.option("--seconds", type=number, default=60, help="Seconds of each.")
@broker
def alarms(broker: str | None, **sizes: int) -> None:
    """From a record to its anomaly, and anomalies a second where nearly every record is one."""
    from bench import alarms

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(alarms.measure(bootstrap, folder, **sizes))


@main.command()
@clicks(2_000_000, "Clicks in the topic.")
@partitions
@click.option("--runs", type=number, default=5, help="Pairs of runs.")
@seed
@broker
def idle(broker: str | None, **sizes: int) -> None:
    """Clicks a second beside a pipeline that has nothing to score."""
    from bench import idle

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(idle.measure(bootstrap, folder, **sizes))


@main.command()
@click.option(
    "--rows", type=number, default=1_000_000, help="Of the table; a tenth more by COPY, and by commits."
)
@click.option("--seconds", type=number, default=30, help="Of 500 commits a second, twice.")
@broker
def capture(broker: str | None, **sizes: int) -> None:
    """From a table of PostgreSQL to its topic, and to the page."""
    from bench import capture

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(capture.measure(bootstrap, folder, **sizes))


@main.command()
@click.option("--seconds", type=number, default=600, help="That nothing changes in the captured table.")
@broker
def quiet(broker: str | None, seconds: int) -> None:
    """PostgreSQL's log as the slot of a quiet table keeps it, beside a busy one."""
    from bench import quiet

    with _folder() as folder, _kafka(broker, folder) as bootstrap:
        _exit(quiet.measure(bootstrap, folder, seconds))


@main.command()
def docs() -> None:
    """Put the newest results into docs/performance.md and docs/img/; measures nothing."""
    from bench import docs

    docs.refresh()


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
    if not right:
        sys.exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        main()
    except ClickwardenError as error:
        sys.exit(f"bench: {error}")
