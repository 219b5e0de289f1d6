"""Detection over clicks that are all there, as those of a file: none is late, whatever their order."""

import math
from collections.abc import Iterator, Sequence
from typing import IO

import msgspec
import numpy as np

from clickwarden import zstd
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.detection import Parameters, anomaly_of
from clickwarden.detection.rule_windows import RuleWindows
from clickwarden.detection.rules import Rule
from clickwarden.detection.suspects import Suspect, Suspects
from clickwarden.detection.windows import Window

#: Windows that are in memory at once; a log in order needs one or two of each rule. 256 KiB each, as a rule.
OPEN = 48


class _Packed(msgspec.Struct, array_like=True):
    clicks: int
    cells: bytes
    cell_clicks: int
    suspects: dict[str, Suspect]


class WholeDetection:
    """Counts clicks in windows that stay open until the end, and says then who was abnormal.

    There is no watermark, and so nothing is late, and one wrong clock opens a
    window of its own and closes nobody's. The windows used longest ago wait
    compressed in a file, so that memory does not grow with what is counted.

    Args:
        rules: that are in effect.
        parameters: of the detection; how late a click may be is none of them.
        store: an empty file to write to and to read.

    Attributes:
        clicks: that were counted.
    """

    def __init__(self, rules: Sequence[Rule], parameters: Parameters, store: IO[bytes]) -> None:
        self.clicks = 0
        self._ruled = [RuleWindows(rule) for rule in rules]
        self._parameters = parameters
        self._store = store
        self._places: dict[tuple[int, int], tuple[int, int]] = {}
        self._open: dict[tuple[int, int], Window] = {}  # used longest ago first
        self._unpack = msgspec.msgpack.Decoder(_Packed).decode

    def count(self, batch: Batch) -> None:
        """Count a batch."""
        self.clicks += len(batch)
        if not len(batch):
            return
        never = np.full(len(batch), -np.inf)
        for number, ruled in enumerate(self._ruled):
            for start, positions in ruled.place(batch, never).windows:
                self._window(number, start).count(batch, positions)

    def _window(self, number: int, start: int) -> Window:
        """The window of this rule that begins there."""
        window = self._open.pop((number, start), None)
        if window is None:
            window = self._restored(number, start, cells=True)
            while len(self._open) >= OPEN:
                self._put_away(next(iter(self._open)))
        self._open[number, start] = window
        return window

    def _put_away(self, key: tuple[int, int]) -> None:
        window = self._open.pop(key)
        cells = zstd.compress(window.sketch.cells.tobytes(), level=1)
        packed = msgspec.msgpack.encode(
            _Packed(window.clicks, cells, window.sketch.clicks, window.suspects.all())
        )
        self._places[key] = self._store.seek(0, 2), len(packed)
        self._store.write(packed)

    def _restored(self, number: int, start: int, *, cells: bool) -> Window:
        """The window as it was put away, or a new one."""
        rule = self._ruled[number].rule
        window = Window(start, rule, self._parameters.seed, self._parameters.max_suspects)
        place = self._places.pop((number, start), None)
        if place is not None:
            self._store.seek(place[0])
            packed = self._unpack(self._store.read(place[1]))
            window.clicks = packed.clicks
            window.suspects = Suspects(rule.threshold, packed.suspects)
            if cells:
                content = zstd.decompress(packed.cells)
                window.sketch.restore(content, packed.cell_clicks)
        return window

    def close(self) -> Iterator[tuple[Window, list[Anomaly]]]:
        """Each window, in the order in which they end, and its anomalies: no more clicks come."""
        windows = self._places.keys() | self._open.keys()
        incidents: dict[tuple[int, str], tuple[float, int]] = {}  # end of the newest window, begin
        for number, start in sorted(windows, key=lambda key: (key[1] + self._ruled[key[0]].rule.window, key)):
            window = self._open.pop((number, start), None) or self._restored(number, start, cells=False)
            anomalies = []
            for user_id, suspect in window.suspects.all().items():
                if window.suspects.over(suspect):
                    end, begin = incidents.get((number, user_id), (-math.inf, start))
                    suspect.incident = begin if start <= end else start
                    incidents[number, user_id] = window.end, suspect.incident
                    anomalies.append(anomaly_of(0, "closed", window, user_id, suspect))
            yield window, anomalies
