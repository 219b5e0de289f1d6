"""``profile``: a click's way through the worker, in CPU µs.

What the whole way costs is measured from outside: a real worker, with all its
processes, reads the load from a real Kafka. What the steps cost is measured in
this process, where the product's own functions do them on the same clicks in
the same order. The difference is what surrounds them: fetching, Faust, the
event loop, producing.
"""

import gc
import pickle
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
from pathlib import Path

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from rich.console import Console
from rich.progress import Progress

from agents import garbage
from bench.contenders import Clickwarden
from bench.load import Load
from bench.results import report
from bench.stopwatch import Stopwatch
from bench.worker import deployment
from clickwarden.detection import rulesfile, snapshot
from clickwarden.detection.batch import Batch
from clickwarden.detection.counting import Part
from clickwarden.detection.detection import Detection
from clickwarden.detection.sketch import Sharing, Sketch
from clickwarden.detection.suspects import Suspects
from clickwarden.formats.clicks import Decoder
from clickwarden.kafka.runs import RUN_RECORDS, Run

LZ4 = 3
#: What is done within counting, and is not the counting's own time.
SKETCH = (
    (Batch, "cells"),
    (Sharing, "cells"),
    (Sharing, "entangled"),
    (Sketch, "estimate"),
    (Sketch, "raise_to"),
    (Part, "count_one"),
)
SUSPECTS = ((Suspects, "add_all"), (Suspects, "all"))
#: In the order of a click's way.
STEPS = ("unpack", "decode", "group", "hash", "hand over", "windows", "sketch", "suspects", "snapshot")


def measure(bootstrap: str, folder: Path, clicks: int, partitions: int, seed: int) -> bool:
    """Count the load in a worker, and step by step; report; whether the worker's output was right."""
    console = Console(stderr=True, highlight=False)
    settings = deployment(bootstrap, partitions, folder)
    load = Load(settings, seed)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        load.produce(clicks, progress)
    contender = Clickwarden()
    contender.prepare(load, folder)
    cost, verdict = contender.run(), contender.result()

    between_snapshots = round(cost.rate * settings.checkpoint_interval / partitions)
    taken = steps(Load(settings, seed), clicks, between_snapshots)
    microseconds = {step: taken.seconds[step] / clicks * 1e6 for step in STEPS}
    whole = cost.cpu / cost.clicks * 1e6
    microseconds["all around"] = whole - sum(microseconds.values())
    rows = [
        {"step": step, "µs a click": f"{taken:.2f}", "share": f"{taken / whole:.0%}"}
        for step, taken in [*microseconds.items(), ("together", whole)]
    ]
    title = f"{clicks:,} clicks, {partitions} partitions; the worker did {cost.rate:,.0f} clicks/s"
    report("profile", title, rows, [], {"microseconds": microseconds, "rate": cost.rate, "output": verdict})
    return verdict == "right"


def steps(load: Load, clicks: int, between_snapshots: int) -> Stopwatch:
    """What the product's functions take, with a snapshot of a partition every so many of its clicks."""
    settings = load.settings
    watch, decoder = Stopwatch(), Decoder(settings.field_names, settings.max_skew)
    known = rulesfile.load(settings.rules)
    partitions = [Detection(number, known, settings) for number in range(settings.partitions)]
    kept = [0] * settings.partitions
    counted = list(runs(load, clicks))
    with as_a_worker_collects_garbage(), ExitStack() as wrapped:
        wrapped.enter_context(watch.wrapped("sketch", SKETCH))
        wrapped.enter_context(watch.wrapped("suspects", SUSPECTS))
        for number, run in counted:
            with watch.step("unpack"):
                records = list(run.unpack())
            with watch.step("decode"):
                columns = decoder.decode(records)
            with watch.step("group"):
                batch = Batch(columns)
            with watch.step("hash"):
                batch.hashes(settings.seed)
            with watch.step("hand over"):
                batch = pickle.loads(pickle.dumps(batch, pickle.HIGHEST_PROTOCOL))
            detection = partitions[number]
            with watch.step("windows"):
                detection.count(batch)
            if detection.accepted - kept[number] >= between_snapshots:
                kept[number] = detection.accepted
                with watch.step("snapshot"):
                    snapshot.compress(snapshot.dump(detection))
    return watch


@contextmanager
def as_a_worker_collects_garbage() -> Iterator[None]:
    """Have garbage collected as rarely as in a worker."""
    usual = gc.get_threshold()
    garbage.tune()
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def runs(load: Load, clicks: int) -> Iterator[tuple[int, Run]]:
    """The clicks as Kafka would hold them, a run of one partition after one of the next."""
    by_partition = defaultdict(list)
    for message in load.messages(clicks):
        by_partition[zlib.crc32(message["key"]) % load.settings.partitions].append(message)
    cut = [
        [(number, held, first) for first in range(0, len(held), RUN_RECORDS)]
        for number, held in by_partition.items()
    ]
    for turn in zip_longest(*cut):
        for number, held, first in filter(None, turn):
            yield number, packed(held[first : first + RUN_RECORDS], first)


def packed(messages: list[dict[str, bytes]], first: int) -> Run:
    """The messages as Kafka holds them, from offset ``first`` on."""
    builder = DefaultRecordBatchBuilder(2, LZ4, 0, -1, -1, -1, 2**30)
    now = int(time.time() * 1000)
    for offset, message in enumerate(messages):
        builder.append(offset, now, message["key"], message["value"], [])
    raw = builder.build()
    raw[:8] = first.to_bytes(8)  # the base offset, which the checksum leaves out
    return Run(bytes(raw), first, first + len(messages))
