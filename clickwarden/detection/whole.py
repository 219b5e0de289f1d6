"""Detection over clicks that are all there, as those of a file: none is late, whatever their order."""

import math
from collections.abc import Iterator, MutableMapping, Sequence
from typing import IO

import msgspec
import numpy as np

from clickwarden import zstd
from clickwarden.detection.anomaly import Anomaly
from clickwarden.detection.batch import Batch
from clickwarden.detection.detection import Parameters, anomaly_of
from clickwarden.detection.panes import Pane
from clickwarden.detection.rule_windows import RuleWindows
from clickwarden.detection.rules import Rule
from clickwarden.detection.suspect import Suspect
from clickwarden.detection.suspects import Suspects
from clickwarden.detection.windows import Window

#: Panes of one rule that are in memory at once, of 256 KiB at most as a rule; a log in order needs those of
#: one or two windows.
OPEN = 24


class _Packed(msgspec.Struct, array_like=True):
    max_suspects: int
    clicks: int
    cells: bytes
    cell_clicks: int
    suspects: dict[str, Suspect]


class StoredPanes(MutableMapping[int, Pane]):
    """The panes of one rule, by start. Those used longest ago wait compressed in a file.

    Args:
        ruled: the rule that they are of.
        seed: of the users' hashes.
        store: the file to write to and to read.
    """

    def __init__(self, ruled: RuleWindows, seed: int, store: IO[bytes]) -> None:
        self._ruled = ruled
        self._seed = seed
        self._store = store
        self._places: dict[int, tuple[int, int]] = {}
        self._open: dict[int, Pane] = {}  # used longest ago first
        self._unpack = msgspec.msgpack.Decoder(_Packed).decode

    def __len__(self) -> int:
        """How many panes."""
        return len(self._places) + len(self._open)

    def __iter__(self) -> Iterator[int]:
        """Their starts, in no order."""
        yield from self._places
        yield from self._open

    def __contains__(self, start: object) -> bool:
        """Whether there is one that starts there."""
        return start in self._open or start in self._places

    def __getitem__(self, start: int) -> Pane:
        """The pane that starts there, which is in memory until :meth:`put_away`."""
        pane = self._open.pop(start, None) or self._restored(start)
        self._open[start] = pane
        return pane

    def __setitem__(self, start: int, pane: Pane) -> None:
        """Take a new pane in."""
        self._open[start] = pane

    def __delitem__(self, start: int) -> None:
        """Be done with a pane."""
        self._places.pop(start, None)
        self._open.pop(start, None)

    def put_away(self) -> None:
        """Leave no more than :data:`OPEN` panes in memory."""
        if len(self._open) <= OPEN:
            return
        while len(self._open) > OPEN:
            start = next(iter(self._open))
            pane = self._open.pop(start)
            cells = zstd.compress(pane.sketch.cells.tobytes(), level=1)
            packed = msgspec.msgpack.encode(
                _Packed(pane.max_suspects, pane.clicks, cells, pane.sketch.clicks, pane.suspects.all())
            )
            self._places[start] = self._store.seek(0, 2), len(packed)
            self._store.write(packed)
        self._ruled.enroll(self._open.values())

    def _restored(self, start: int) -> Pane:
        place, size = self._places.pop(start)
        self._store.seek(place)
        packed = self._unpack(self._store.read(size))
        pane = self._ruled.new_pane(start, self._seed, packed.max_suspects)
        pane.clicks = packed.clicks
        pane.suspects = Suspects(self._ruled.roster, self._ruled.rule, packed.suspects)
        pane.sketch.restore(zstd.decompress(packed.cells), packed.cell_clicks)
        return pane


class WholeDetection:
    """Counts clicks in windows that stay open until the end, and says then who was abnormal.

    There is no watermark, and so nothing is late, and one wrong clock opens a
    window of its own and closes nobody's. The panes used longest ago wait
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
        self._parameters = parameters
        self._ruled: list[tuple[RuleWindows, StoredPanes]] = []
        for rule in rules:
            ruled = RuleWindows(rule)
            ruled.panes = panes = StoredPanes(ruled, parameters.seed, store)
            self._ruled.append((ruled, panes))

    def count(self, batch: Batch) -> None:
        """Count a batch."""
        self.clicks += len(batch)
        if not len(batch):
            return
        never = np.full(len(batch), -np.inf)
        for ruled, panes in self._ruled:
            for stretch in ruled.place(batch, never).stretches:
                # From which click on values are known depends on the order of the clicks of all panes.
                apart = [[fall] for fall in stretch.falls]
                for falls in [stretch.falls] if ruled.rule.measure else apart:
                    for crossing in ruled.count(batch, falls, self._parameters):
                        ruled.told.join(crossing.start, crossing.user_id, crossing.start)
                    panes.put_away()

    def close(self) -> Iterator[tuple[Window, list[Anomaly]]]:
        """Each window, in the order in which they end, and its anomalies: no more clicks come."""
        incidents: dict[tuple[int, str], tuple[float, int]] = {}  # end of the newest window, begin
        for end, number, start in sorted(self._ends()):
            ruled, panes = self._ruled[number]
            window = ruled.window(start)
            anomalies = []
            for user_id in ruled.told.incidents.get(start, ()):
                suspect = window.suspects[user_id]
                newest, begin = incidents.get((number, user_id), (-math.inf, start))
                suspect.incident = begin if start <= newest else start
                incidents[number, user_id] = end, suspect.incident
                anomalies.append(anomaly_of(0, "closed", window, user_id, suspect))
            yield window, anomalies
            if start in panes:
                del panes[start]  # no later window holds it
            panes.put_away()

    def _ends(self) -> Iterator[tuple[int, int, int]]:
        """The windows, by end, number of the rule and start."""
        for number, (ruled, panes) in enumerate(self._ruled):
            rule = ruled.rule
            starts = {
                start
                for pane in panes
                for start in range(pane - rule.window + rule.step, pane + rule.step, rule.step)
            }
            for start in starts:
                yield start + rule.window, number, start
