"""``slide``: what it costs that the windows of the shipped rule ``bot`` overlap. Nothing has to run.

The same batches are counted by turns, with ``bot`` as shipped and with its
windows side by side; of each batch the fastest of all rounds counts.
"""

import pickle
import time

import msgspec
from rich.console import Console
from rich.progress import Progress

from bench.load import Load
from bench.profile import as_a_worker_collects_garbage, runs
from bench.results import at_most, report
from clickwarden.detection import rulesfile
from clickwarden.detection.batch import Batch
from clickwarden.detection.detection import Detection
from clickwarden.detection.rules import Rule
from clickwarden.formats.clicks import Decoder
from clickwarden.settings import Settings

TIMES, MEMORY = 1.3, 2.0


class Way:
    """The default rules, in one of both ways.

    Attributes:
        rules: in effect.
        seconds: the CPU time of each batch.
        cells: bytes of the cells of ``bot``, at most at one time.
    """

    def __init__(self, rules: list[Rule], batches: int) -> None:
        self.rules = rules
        self.seconds = [float("inf")] * batches
        self.cells = 0

    def count(self, batches: list[tuple[int, bytes]], settings: Settings) -> None:
        """Count all batches anew."""
        detections = [Detection(number, self.rules, settings) for number in range(settings.partitions)]
        for place, (number, packed) in enumerate(batches):
            batch: Batch = pickle.loads(packed)
            batch.hashes(settings.seed)
            began = time.process_time()
            detections[number].count(batch)
            self.seconds[place] = min(self.seconds[place], time.process_time() - began)
            self.cells = max(self.cells, sum(map(cells_of_bot, detections)))


def cells_of_bot(detection: Detection) -> int:
    """Bytes of the cells of all panes of ``bot``."""
    return sum(pane.sketch.cells.nbytes for pane in detection.panes() if pane.rule.name == "bot")


def measure(clicks: int, partitions: int, seed: int, rounds: int) -> bool:
    """Count the load in both ways; report; whether the goals are met."""
    settings = Settings(_env_file=None, partitions=partitions)
    decoder = Decoder(settings.field_names, settings.max_skew)
    batches = [
        (number, pickle.dumps(Batch(decoder.decode(list(run.unpack()))), pickle.HIGHEST_PROTOCOL))
        for number, run in runs(Load(settings, seed), clicks)
    ]
    shipped = rulesfile.load(settings.rules)
    aligned = [msgspec.structs.replace(rule, slide=0) if rule.name == "bot" else rule for rule in shipped]
    others = [rule for rule in shipped if rule.name != "bot"]
    ways = {
        "bot sliding": Way(list(shipped), len(batches)),
        "bot aligned": Way(aligned, len(batches)),
        "without bot": Way(others, len(batches)),
    }
    console = Console(stderr=True, highlight=False)
    with (
        as_a_worker_collects_garbage(),
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        for _ in progress.track(range(rounds), description="Counting"):
            for way in ways.values():
                way.count(batches, settings)
    taken = {name: sum(way.seconds) / clicks * 1e6 for name, way in ways.items()}
    rows = [
        {"rules": name, "µs a click": f"{taken[name]:.2f}", "cells of bot": f"{way.cells >> 10:,} KiB"}
        for name, way in ways.items()
    ]
    sliding, side_by_side, _ = ways.values()
    goals = [
        at_most("time a click, sliding to aligned", TIMES, taken["bot sliding"] / taken["bot aligned"]),
        at_most("memory of the windows, sliding to aligned", MEMORY, sliding.cells / side_by_side.cells),
    ]
    report("slide", f"{clicks:,} clicks, {partitions} partitions", rows, goals, {"microseconds": taken})
    return all(goal.met for goal in goals)
