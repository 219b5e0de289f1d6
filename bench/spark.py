"""``spark``: the features of a file by Spark on this machine, beside the same without it; no Kafka needed."""

import hashlib
import os
import sys
from pathlib import Path

from bench.process import Process
from bench.results import at_least, report
from clickwarden.models import dataset, spark
from clickwarden.models.pipeline import Pipeline

PIPELINE = Path(__file__).parent.parent / "pipelines" / "fraud"
WAYS = ALONE, BY_SPARK = "alone", "spark"
STARTED, READ = "started", "read"


def measure(data: Path, folder: Path) -> bool:
    """Read a file both ways, each in a process of its own.

    Args:
        data: of records as those of ``pipelines/fraud``.
        folder: for the logs.
    """
    rows, digests, figures = [], [], {}
    for way in WAYS:
        digest = folder / f"{way}.sha256"
        command = [sys.executable, "-m", "bench.spark", way, str(data), str(digest)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with Process(command, folder / f"{way}.log", environment) as process:
            started, read = process.said(STARTED), process.said(READ)
            peak = process.peak()
        digests.append(digest.read_text())
        figures[way] = {
            "start": started.time - process.started,
            "read": read.time - started.time,
            "cpu": read.cpu,
            "peak": peak,
        }
        rows.append(
            {
                "way": way,
                "started in": f"{figures[way]['start']:.1f} s",
                "features in": f"{figures[way]['read']:.1f} s",
                "CPU": f"{read.cpu:.0f} s",
                "memory": f"{peak / 1e6:,.0f} MB",
            }
        )
    goals = [at_least("the same features", 1, float(len(set(digests)) == 1))]
    report("spark", f"features of {data.name}, {os.cpu_count()} cores", rows, goals, figures)
    return all(goal.met for goal in goals)


def _main(way: str, data: str, digest: str) -> None:
    """What one of the processes does; it stays until it was looked at."""
    if way == BY_SPARK:
        spark.session()
    print(STARTED)
    read = spark.read if way == BY_SPARK else dataset.read
    found = read(Path(data), Pipeline.load(PIPELINE), None, lambda count: None)
    Path(digest).write_text(hashlib.sha256(found.values.tobytes()).hexdigest())
    print(READ)
    sys.stdin.read()


if __name__ == "__main__":
    _main(*sys.argv[1:])
